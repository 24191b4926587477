"""The fair comparison under every optimizer: how many times faster a network is with batch normalization.

seeds   one row for each nonlinearity, optimizer and seed: the updates to 90% of both networks, and their ratio
ratios  one row for each nonlinearity and optimizer: the mean ratio, and how it compares with plain descent's
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from bnpipe.analysis.curves import updates_of_runs
from bnpipe.analysis.measures.sources import PAIR
from bnpipe.analysis.stats import Estimate, estimate_mean
from bnpipe.analysis.words import listed, two_digits
from bnpipe.core.csv_files import ENTRANT_KEYS, read_table, write_table

SEED_COLUMNS = ["activation", "optimizer", "seed", *PAIR, "ratio"]
RATIO_COLUMNS = [
    *("activation", "optimizer", "vanilla_rate", "batchnorm_rate", "inside"),
    *("n", "vanilla", "batchnorm", "ratio", "low", "high"),
    *("relative", "relative_low", "relative_high"),
]
PLAIN = "sgd"  # the optimizer that the others are compared with


def make_ratios(
    curves: Sequence[Path], tunings: Sequence[Path], optimizers: Mapping[str, str], seeds: Path, ratios: Path
) -> None:
    """Compare the networks of every optimizer and write the two tables; see `seeds_table` and `ratios_table`.

    curves: tables of the networks at their best rates. tunings: tables of `bnpipe.analysis.best_rates`. optimizers: the
    optimizer of each network, by the network's name.
    """
    trained = pd.concat([updates_of_runs(read_table(table), ENTRANT_KEYS) for table in curves])
    trials = pd.concat([read_table(table) for table in tunings])
    found = seeds_table(trained.assign(optimizer=trained["entrant"].map(optimizers)))
    write_table(found, seeds)
    write_table(ratios_table(found, trials.assign(optimizer=trials["entrant"].map(optimizers))), ratios)


def seeds_table(trained: pd.DataFrame) -> pd.DataFrame:
    """Pair the networks of every seed; columns SEED_COLUMNS, in the order of the rows.

    trained: columns activation, optimizer, arm, seed and updates_to_90. `vanilla` and `batchnorm` are updates to 90%,
    `ratio` is the first divided by the second. A cell is empty if a network never reached 90%.
    """
    keys = ["activation", "optimizer", "seed"]
    vanilla, batchnorm = (
        trained.loc[trained["arm"] == arm, [*keys, "updates_to_90"]].rename(columns={"updates_to_90": arm})
        for arm in PAIR
    )
    pairs = vanilla.merge(batchnorm, on=keys)
    return pairs.assign(ratio=pairs["vanilla"] / pairs["batchnorm"])[SEED_COLUMNS]


def ratios_table(seeds: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """Summarize the pairs of every nonlinearity and optimizer; columns RATIO_COLUMNS, in the order of the rows.

    seeds: see `seeds_table`. trials: the networks' tables of tuning, with a column `optimizer`. `vanilla_rate` and
    `batchnorm_rate` are the chosen learning rates; `inside` says whether at least two more rates were tried on either
    side of each. Means are geometric; `ratio` has Student's 95% interval, `low` to `high`. `relative` is this ratio
    divided by plain descent's, seed by seed, with its interval. `n` counts the seeds that have a ratio.
    """
    plain = seeds[seeds["optimizer"] == PLAIN].set_index(["activation", "seed"])["ratio"]
    rows = []
    for (activation, optimizer), own in seeds.groupby(["activation", "optimizer"], sort=False):
        tried = trials[(trials["activation"] == activation) & (trials["optimizer"] == optimizer)]
        chosen = tried[tried["chosen"]].drop_duplicates("arm").set_index("arm").loc[[*PAIR]]
        beside = plain.reindex(pd.MultiIndex.from_frame(own[["activation", "seed"]])).to_numpy()
        relative = own["ratio"] / beside if optimizer != PLAIN else own["ratio"] * np.nan
        updates = (_geometric(own[arm]).mean for arm in PAIR)
        quotients = (value for values in (own["ratio"], relative) for value in _interval_of(values))
        rows.append(
            (
                *(activation, optimizer, *chosen["learning_rate"], chosen["inside"].all()),
                *(own["ratio"].notna().sum(), *updates, *quotients),
            )
        )
    return pd.DataFrame(rows, columns=RATIO_COLUMNS)


def answer(ratios: pd.DataFrame) -> str:
    """Say in sentences whether the lead of batch normalization shrinks with the optimizers of the table of ratios."""
    sentences = []
    for activation, own in ratios.groupby("activation", sort=False):
        leads = [f"{_times(row)} with {row['optimizer']}" for _, row in own.iterrows()]
        sentences.append(f"With {activation}, the ratio of updates to 90%, vanilla over batchnorm, is {listed(leads)}.")
        changes = [f"{_change(row)} with {row['optimizer']}" for _, row in own.iterrows() if row["optimizer"] != PLAIN]
        if changes:
            sentences.append(f"Compared with {PLAIN}, this ratio {listed(changes)}.")
    return " ".join(sentences)


def _geometric(values: pd.Series) -> Estimate:
    """Return the geometric mean of positive values and its interval; unknown values are left out."""
    return Estimate(*np.exp(estimate_mean(np.log(values.dropna()))))


def _interval_of(values: pd.Series) -> tuple[float, float, float]:
    found = _geometric(values)
    return found.mean, found.low, found.high


def _times(row: pd.Series) -> str:
    """Write a ratio with its interval."""
    if np.isnan(row["ratio"]):
        return "unknown"
    interval = "" if np.isnan(row["low"]) else f" ({two_digits(row['low'])} to {two_digits(row['high'])})"
    return f"{row['ratio']:.2f}{interval}"


def _change(row: pd.Series) -> str:
    """Say whether a ratio differs from plain descent's, that is, whether the interval of the quotient excludes 1."""
    if row["relative_high"] < 1:
        return f"shrinks to {row['relative']:.2f} times its size"
    if row["relative_low"] > 1:
        return f"grows to {row['relative']:.2f} times its size"
    return "shows no clear change"
