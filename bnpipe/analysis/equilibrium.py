"""Weight decay and batch normalization: whether the weights grow without decay, and settle with it as theory says.

equilibrium  one row for each arm and weight decay: growth of the norm, and the angle of a step with its prediction
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from bnpipe.analysis.words import two_digits, whole
from bnpipe.core.csv_files import read_table, write_table

EQUILIBRIUM_COLUMNS = [
    *("arm", "learning_rate", "weight_decay", "n", "steps"),
    *("norm_growth", "angle", "predicted_angle", "ratio", "lowest_ratio", "highest_ratio"),
]
LAST_PART = 0.5  # the second half of training; weights should have settled by then
TOLERANCE = 0.1  # of the ratio: theory holds if the ratio is within 10% of 1
KEYS = ["arm", "learning_rate", "weight_decay"]


def make_equilibrium_table(turns: Sequence[Path], table: Path) -> None:
    """Summarize the tables of `bnpipe.experiments.equilibrium` and write the table; see `equilibrium_table`."""
    write_table(equilibrium_table(pd.concat([read_table(own) for own in turns])), table)


def equilibrium_table(turns: pd.DataFrame) -> pd.DataFrame:
    """Summarize every arm and weight decay, in the order of the rows; columns EQUILIBRIUM_COLUMNS.

    turns: the table of `bnpipe.experiments.equilibrium`. `n` counts seeds. `norm_growth` is the norm at the last
    measured step divided by the norm at the first, as a geometric mean over layers and seeds. `angle` is the root mean
    square over the second half of training, layers and seeds, in radians. `predicted_angle` is
    sqrt(2 * learning rate * weight decay), and `ratio` is `angle` divided by it. Theory says nothing about vanilla; its
    rows have both columns for comparison. The last two columns are the lowest and the highest ratio of a single layer
    and seed. Without weight decay nothing is predicted, and the prediction and the ratios are empty.
    """
    rows = []
    for _, own in turns.groupby(KEYS, sort=False):
        arm, rate, decay = (own[name].iloc[0] for name in KEYS)
        last = own["step"].max()
        of_layers = own.groupby(["seed", "layer"])
        growth = np.exp(np.log(of_layers["norm"].last() / of_layers["norm"].first()).mean())
        late = own[own["step"] >= LAST_PART * last]
        squares = np.square(late["angle"]).groupby([late["seed"], late["layer"]]).mean()
        predicted = np.sqrt(2 * rate * decay) if decay else np.nan
        angle, ratios = np.sqrt(squares.mean()), np.sqrt(squares) / predicted
        found = (growth, angle, predicted, angle / predicted, ratios.min(), ratios.max())
        rows.append((arm, rate, decay, own["seed"].nunique(), last + 1, *found))
    return pd.DataFrame(rows, columns=EQUILIBRIUM_COLUMNS)


def answer(table: pd.DataFrame) -> str:
    """Say in sentences what the table of equilibria shows about networks with batch normalization."""
    normalized = table[table["arm"] == "batchnorm"].to_dict("records")
    sentences = []
    for row in normalized:
        if row["weight_decay"] == 0:
            sentences.append(
                f"Without weight decay the weights below batch normalization grow: after {whole(row['steps'])} steps "
                f"their norm is {two_digits(row['norm_growth'])} times what it was."
                if row["norm_growth"] > 1
                else "Without weight decay the weights below batch normalization do not grow."
            )
            continue
        norm = "their norm" if sentences else "the norm of weights below batch normalization"
        is_met = abs(row["ratio"] - 1) <= TOLERANCE
        sentences.append(
            f"With weight decay {row['weight_decay']:g} {norm} is {two_digits(row['norm_growth'])} times what it was, "
            f"and a step turns them by {row['angle']:.4f} radians, {row['ratio']:.2f} times the predicted "
            f"{row['predicted_angle']:.4f}: {'within' if is_met else 'not within'} {TOLERANCE:.0%} "
            f"(layers and seeds: {row['lowest_ratio']:.2f} to {row['highest_ratio']:.2f})."
        )
    return " ".join(sentences)
