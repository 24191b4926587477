"""Two variants of batch normalization, written like a user's own parts (docs/how-to.md): modules and nothing else."""

import torch
from torch import Tensor

from bnpipe.core.settings import TrainingSettings
from bnpipe.modules.norms import BatchNorm


class BatchRenorm(BatchNorm):
    """Batch renormalization (Ioffe 2017, arXiv 1702.03275, algorithm 1): corrected towards the moving averages.

    Let m be the mean and s = sqrt(variance + epsilon) the standard deviation, of the mini-batch or by the moving
    averages. Then

        x_hat = (z - m_batch) / s_batch * r + d,
        r = s_batch / s_moving, between 1 / r_max and r_max,   d = (m_batch - m_moving) / s_moving, between +-d_max,

    where r and d count as constants for the gradient. Without the limits x_hat is (z - m_moving) / s_moving, which is
    what inference computes. r_max is 1 and d_max 0 for the first ``settings.renorm_start`` steps, which is batch
    normalization; over ``renorm_ramp`` steps they rise in a straight line to ``renorm_max_scale`` and
    ``renorm_max_shift``. The paper lets the two rise at different paces. It averages standard deviations; here
    variances are averaged, as in `BatchNorm`, so that inference is the same in both arms.
    """

    step: Tensor  # (runs, 1, 1), int64: how many mini-batches have been seen in training mode

    def __init__(self, weight: Tensor, settings: TrainingSettings) -> None:
        super().__init__(weight, settings)
        self.register_buffer("step", weight.new_zeros((len(weight), 1, 1), dtype=torch.int64))
        self._settings = settings

    def normalize(self, z: Tensor) -> Tensor:
        if not self.training:
            return super().normalize(z)
        variance, mean = torch.var_mean(z, dim=1, keepdim=True, correction=0)
        r, d = self.correction(mean, variance)
        self.move_averages(mean, variance, z.shape[1])
        self.step.add_(1)
        return (z - mean) * torch.rsqrt(variance + self.epsilon) * r + d

    @torch.no_grad()
    def correction(self, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        """Return r and d, each (runs, 1, units), for a mini-batch with this mean and biased variance."""
        own = self._settings
        risen = ((self.step - own.renorm_start).to(mean.dtype) / own.renorm_ramp).clamp(0, 1)  # 0, then rising to 1
        r_max, d_max = 1 + (own.renorm_max_scale - 1) * risen, own.renorm_max_shift * risen
        s_moving = torch.sqrt(self.variance + self.epsilon)
        r = torch.sqrt(variance + self.epsilon) / s_moving
        d = (mean - self.mean) / s_moving
        return r.clamp(1 / r_max, r_max), d.clamp(-d_max, d_max)


class GhostBatchNorm(BatchNorm):
    """Ghost batch normalization (Hoffer et al. 2017, arXiv 1705.08741, algorithm 1): each part of the batch by itself.

    In training, every ``settings.ghost_size`` images of the mini-batch are normalized with their own mean and variance;
    if some images are left, they form a smaller part. The moving averages move once a step, towards the mean over the
    parts of their means and variances, as in TensorFlow's ``virtual_batch_size``. The paper moves them once for every
    part, so that they forget faster if there are more parts. Here their weight means the same as in `BatchNorm`, and
    only the number of images in the statistics differs.
    """

    def __init__(self, weight: Tensor, settings: TrainingSettings) -> None:
        super().__init__(weight, settings)
        self._size = settings.ghost_size

    def normalize(self, z: Tensor) -> Tensor:
        if not self.training:
            return super().normalize(z)
        m = z.shape[1]
        size = min(self._size, m)
        rest = m % size
        blocks = [z[:, : m - rest].reshape(len(z), -1, size, z.shape[2])]  # (runs, parts, images of a part, units)
        if rest:
            blocks.append(z[:, m - rest :].unsqueeze(1))
        statistics = [torch.var_mean(block, dim=2, keepdim=True, correction=0) for block in blocks]
        variance, mean = (torch.cat(values, dim=1).mean(dim=1) for values in zip(*statistics, strict=True))
        self.move_averages(mean, variance, size)
        normalized = [
            ((block - mean) * torch.rsqrt(variance + self.epsilon)).flatten(1, 2)
            for block, (variance, mean) in zip(blocks, statistics, strict=True)
        ]
        return torch.cat(normalized, dim=1)
