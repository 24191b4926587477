"""Compile everything that jobs on a CPU need, and keep it on disk: ``python -m bnpipe.training.warm``.

Otherwise the first job compiles it, and jobs that run at the same time do the same work again.
"""

from dataclasses import replace

import numpy as np

from bnpipe.core.settings import Runs, Shape, TrainingSettings
from bnpipe.data.packed import Dataset, Images
from bnpipe.networks.network import NUMBERS, draw_network
from bnpipe.training.train import train_runs

SETTINGS = TrainingSettings(
    arm="batchnorm",
    activation="tanh",
    learning_rate=0.01,
    init_std=0.1,
    steps=2,
    hidden_sizes=(4,),
    batch_size=4,
    evaluation_interval=1,
    epsilon=1e-3,
    moving_average_weight=0.01,
    moving_variance="biased",
    diagnostics=True,
)

TINY = Shape(channels=1, rows=2, columns=2, classes=10)


def compile_all() -> None:
    """Call everything that is compiled once in each precision, on tiny networks and images."""
    labels = np.arange(TINY.classes)
    images = Images(np.zeros((len(labels), TINY.pixels), np.uint8), labels, TINY)
    for precision in NUMBERS:
        settings = replace(SETTINGS, precision=precision)
        train_runs(Runs.of_seeds(settings, [0]), Dataset(images, images, images, sha256=""))
        network = draw_network(settings, TINY, np.random.RandomState(0))
        shown = images.shown(network.number)
        network.step_from(shown, network.forward(shown))
        network.infer(shown)
        network.survey(images.pixels, np.arange(TINY.classes, dtype=np.int32).reshape(2, -1))


if __name__ == "__main__":
    compile_all()
