"""What tests of experiments along training read and compare with: a tuning, a packed data set, a step's mini-batch."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.made_up import SHAPE
from bnpipe.core.csv_files import write_table
from bnpipe.core.settings import TrainingSettings
from bnpipe.data.packed import Dataset, Images, pack
from bnpipe.networks.seeds import BatchOrder, initial_weights, streams_of


def write_tuning(folder: Path, chosen: Mapping[float, bool]) -> Path:
    """Write the table of a tuning with two seeds. chosen: whether each learning rate is chosen."""
    rows = [
        ("tanh-vanilla", "tanh", "vanilla", 0.1, rate, seed, 150.0, is_chosen)
        for rate, is_chosen in chosen.items()
        for seed in (500, 501)
    ]
    keys = ["entrant", "activation", "arm", "init_std", "learning_rate", "seed", "updates_to_90", "chosen"]
    write_table(pd.DataFrame(rows, columns=keys), folder / "tuning.csv")
    return folder / "tuning.csv"


def packed_images(folder: Path, dataset: Dataset) -> Path:
    """Pack the training images of a data set; the first 100 are for validation."""
    images = dataset.train.pixels.reshape(-1, 28, 28), dataset.train.labels.astype(np.uint8)
    pack(images, images, 100, folder / "packed.safetensors")
    return folder / "packed.safetensors"


def batch_of_step(step: int, seed: int, settings: TrainingSettings, images: Images) -> Images:
    """Return the mini-batch that a seed's stream gives for a step."""
    streams = streams_of([seed])
    initial_weights(streams[0], settings.layer_sizes(SHAPE), settings.init_std)
    order = BatchOrder(streams, len(images), settings.batch_size)
    return images.take(order.next_batches(step + 1)[step, :, 0])
