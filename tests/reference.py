"""A second implementation of the random contract (docs/design.md): one network in plain torch.nn, without bnpipe."""

import itertools
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


class TutorialBatchNorm(nn.Module):
    """TensorFlow 1's batch normalization for rank-2 inputs."""

    moving_mean: Tensor
    moving_variance: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(features))
        self.beta = nn.Parameter(torch.zeros(features))
        self.register_buffer("moving_mean", torch.zeros(features))
        self.register_buffer("moving_variance", torch.ones(features))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            mean, variance = x.mean(0), x.var(0, unbiased=False)
            with torch.no_grad():
                self.moving_mean.mul_(0.99).add_(0.01 * mean)
                self.moving_variance.mul_(0.99).add_(0.01 * variance)
        else:
            mean, variance = self.moving_mean, self.moving_variance
        return (x - mean) / torch.sqrt(variance + 1e-3) * self.gamma + self.beta


def build(
    stream: np.random.RandomState,
    sizes: list[int],
    init_std: float,
    activation: str,
    arm: str,
    logits_arm: str | None = None,
) -> nn.Sequential:
    """Draw a network. logits_arm: the arm of the last layer; None means `arm`."""
    layers: list[nn.Module] = []
    arms = [arm] * (len(sizes) - 2) + [logits_arm or arm]
    for (fan_in, fan_out), own in zip(itertools.pairwise(sizes), arms, strict=True):
        linear = nn.Linear(fan_in, fan_out, bias=own == "vanilla")
        drawn = stream.normal(size=(fan_in, fan_out), scale=init_std).astype(np.float32)
        linear.weight.data = torch.from_numpy(drawn.T.copy())
        if own == "vanilla":
            nn.init.zeros_(linear.bias)
            layers += [linear]
        else:
            layers += [linear, TutorialBatchNorm(fan_out)]
        layers += [{"tanh": nn.Tanh, "relu": nn.ReLU, "sigmoid": nn.Sigmoid}[activation]()]
    return nn.Sequential(*layers[:-1])


def batches(stream: np.random.RandomState, images: int, size: int) -> Iterator[NDArray[np.int64]]:
    order = list(range(images))

    def shuffle() -> None:
        nonlocal order
        q = np.arange(images)
        stream.shuffle(q)
        order = [order[i] for i in q]

    shuffle()
    position = 0
    while True:
        batch = []
        for _ in range(size):
            if position == images:
                shuffle()
                position = 0
            batch.append(order[position])
            position += 1
        yield np.array(batch)


def train(
    seed: int,
    activation: str,
    arm: str,
    learning_rate: float,
    init_std: float,
    steps: int,
    hidden: list[int],
    train_set: tuple[Tensor, Tensor],
    validation_set: tuple[Tensor, Tensor],
    interval: int = 60,
    logits_arm: str | None = None,
) -> tuple[list[float], list[float]]:
    """Return the validation accuracies and the training losses of one network."""
    stream = np.random.RandomState(seed)
    classes = int(train_set[1].max()) + 1
    network = build(stream, [train_set[0].shape[1], *hidden, classes], init_std, activation, arm, logits_arm)
    optimizer = torch.optim.SGD(network.parameters(), lr=learning_rate)
    drawn = batches(stream, len(train_set[1]), 60)
    accuracies, losses = [], []
    for step in range(steps):
        index = torch.from_numpy(next(drawn))
        network.train()
        loss = nn.functional.cross_entropy(network(train_set[0][index]), train_set[1][index])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
        if step % interval == 0:
            network.eval()
            with torch.no_grad():
                hits = network(validation_set[0]).argmax(1) == validation_set[1]
            accuracies.append(hits.double().mean().item())
    return accuracies, losses


def look(
    network: nn.Sequential, images: NDArray[np.float32], labels: NDArray[np.int64]
) -> tuple[list[NDArray[np.float64]], list[NDArray[np.float64]], NDArray[np.float64]]:
    """Return z of every layer, the gradient of the loss there, and the outputs of the last hidden layer."""
    products, hidden, out = [], torch.empty(0), torch.from_numpy(images)
    for module in network:
        if isinstance(module, nn.Linear):
            hidden = out
        out = module(out)
        if isinstance(module, nn.Linear):
            products.append(out)
    slopes = torch.autograd.grad(nn.functional.cross_entropy(out, torch.from_numpy(labels)), products)
    z, deltas = ([values.detach().double().numpy() for values in kind] for kind in (products, slopes))
    return z, deltas, hidden.detach().double().numpy()
