"""Made-up tables of studies, and what tests read off the figures of them."""

from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bnpipe.figures.studies import draw_study
from bnpipe.figures.style import style

ARMS = ["vanilla", "batchnorm"]
ABOUT = "Does it help, and does it help in so many words that a line of this figure does not hold all of them?"
Tables = tuple[pd.DataFrame, pd.DataFrame]  # accuracy, runs


def make_tables(sweep: dict[str, list[Any]], arms: list[str] = ARMS) -> Tables:
    """Return tables of a study: final accuracy 0.1 a cell, 0.02 more for each further arm and 0.01 for each seed."""
    cells = [dict(zip(sweep, values, strict=True)) for values in product(*sweep.values())]
    runs = pd.DataFrame(
        [
            {**cell, "arm": arm, "seed": 42 + seed, "final_accuracy": 0.1 * (1 + c) + 0.02 * a + 0.01 * seed}
            for (a, arm), (c, cell), seed in product(enumerate(arms), enumerate(cells), range(3))
        ]
    ).assign(first_nonfinite_step=np.nan, state="healthy")
    evaluations = [runs.assign(step=step, accuracy=runs["final_accuracy"] * step / 120) for step in (0, 60, 120)]
    accuracy = pd.concat(evaluations).sort_index(kind="stable")
    return accuracy[[*sweep, "arm", "seed", "step", "accuracy"]], runs


def diverge(runs: pd.DataFrame, **chosen: Any) -> None:
    """Let the runs of all seeds but the first diverge; chosen: values of columns that restrict these runs."""
    rows = np.logical_and.reduce([runs["seed"] > 0, *(runs[name] == value for name, value in chosen.items())])
    runs.loc[rows, ["final_accuracy", "first_nonfinite_step"]] = 0.0958, 1
    runs.loc[rows, "state"] = "overflow"


def drawn(tables: Tables, swept: list[str]) -> Figure:
    """Return the figure of a study in the style of the project."""
    with style():
        return draw_study(*tables, swept, ABOUT, "MNIST")


def heights(line: Line2D) -> list[float]:
    """Return the y of a line's points."""
    return [float(y) for y in np.asarray(line.get_ydata())]


def texts(axes: Axes) -> list[str]:
    """Return what is written on axes."""
    return [text.get_text() for text in axes.texts]
