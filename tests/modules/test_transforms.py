import torch

from bnpipe.networks.transforms import Bias
from tests.conftest import make_settings


def test_bias_adds_and_descends() -> None:
    bias = Bias(torch.empty(1, 3, 2), make_settings(arm="vanilla"))
    delta = torch.tensor([[[1.0, -2.0]], [[3.0, 0.5]]])
    assert bias.backward(delta) is delta
    assert bias.bias.flatten().tolist() == [-4.0, 1.5]  # 0 minus the sums of the columns
    assert bias.forward(torch.zeros(1, 1, 2)).flatten().tolist() == [-4.0, 1.5]
    assert bias.infer(torch.ones(1, 1, 2)).flatten().tolist() == [-3.0, 2.5]


def test_state_is_what_a_transform_learns_and_the_averages_it_keeps() -> None:
    bias = Bias(torch.empty(2, 3, 4), make_settings(arm="vanilla"))
    assert bias.state()["bias"] is bias.parameters()["bias"] is bias.bias
    assert bias.averages() == {}
    averages = {"moving_mean": torch.zeros(2, 4)}

    class WithAverages(Bias):
        def averages(self) -> dict[str, torch.Tensor]:
            return averages

    assert list(WithAverages(torch.empty(2, 3, 4), make_settings()).state()) == ["bias", "moving_mean"]
