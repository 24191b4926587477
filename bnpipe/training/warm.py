"""Compile what training on a CPU needs and keep it on disk: ``python -m bnpipe.training.warm float32 float64``.

Otherwise the first job of a precision compiles it, and jobs that run at the same time do the same work again.
Each precision takes about 40 seconds.
"""

from argparse import ArgumentParser
from dataclasses import replace

import numpy as np

from bnpipe.core.settings import Precision, Runs, Shape, TrainingSettings
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


def compile_all(*precisions: Precision) -> None:
    """Use everything that is compiled, in each of the precisions, on tiny networks and images."""
    labels = np.arange(TINY.classes)
    images = Images(np.zeros((len(labels), TINY.pixels), np.uint8), labels, TINY)
    for precision in precisions:
        settings = replace(SETTINGS, precision=precision)
        train_runs(Runs.of_seeds(settings, [0]), Dataset(images, images, images, sha256=""))
        network = draw_network(settings, TINY, np.random.RandomState(0))
        shown = images.shown(network.number)
        network.step_from(shown, network.forward(shown))
        network.infer(shown)
        network.survey(images.pixels, np.arange(TINY.classes, dtype=np.int32).reshape(2, -1))


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("precisions", nargs="+", choices=NUMBERS)
    compile_all(*parser.parse_args().precisions)
