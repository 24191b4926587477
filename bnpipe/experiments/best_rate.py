"""The fair comparison: a network is tried with many learning rates, then trained at the best one.

curves  one row for each evaluation of a run, up to the first that passes 90%
finals  one row for each run: its accuracy after all its steps
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bnpipe.core.csv_files import ENTRANT_KEYS, write_table
from bnpipe.core.records import Curves
from bnpipe.core.settings import Runs
from bnpipe.data.packed import Dataset, open_dataset
from bnpipe.experiments.tuned import best_rate
from bnpipe.training.engines import engine_on_cpu
from bnpipe.training.train import train_runs
from bnpipe.training.trainer import OnEvaluation

CURVE_COLUMNS = [*ENTRANT_KEYS, "step", "accuracy"]
FINAL_COLUMNS = [*ENTRANT_KEYS, "final_accuracy"]
FINE_INTERVAL = 10  # steps between evaluations at the best rate


def make_trials(
    entrant: str,
    settings: Mapping[str, Any],
    learning_rates: Sequence[float],
    seeds: Sequence[int],
    packed: Path,
    curves: Path,
    on_evaluation: OnEvaluation = lambda *_: None,
) -> None:
    """Train a network with every learning rate and tuning seed; write the table `curves`.

    entrant: its name. settings: the fields of TrainingSettings; the learning rate is replaced. on_evaluation: see
    `bnpipe.training.train.train_runs`. Raises InputError if the packed file cannot be used.
    """
    pairs = [(rate, seed) for rate in learning_rates for seed in seeds]
    rates, all_seeds = zip(*pairs, strict=True)
    runs = Runs.from_plain({**settings, "learning_rate": rates}, all_seeds)
    _write_curves(entrant, runs, open_dataset(packed), curves, on_evaluation)


def make_tuned_curves(
    entrant: str,
    settings: Mapping[str, Any],
    seeds: Sequence[int],
    packed: Path,
    tuning: Path,
    curves: Path,
    on_evaluation: OnEvaluation = lambda *_: None,
) -> None:
    """Train a network at the best rate of a table of trials, for each seed, up to 90%; write the table `curves`.

    Arguments and errors are otherwise those of `make_trials`; InputError too if the table names no best rate.
    """
    runs = Runs.from_plain({**settings, "learning_rate": best_rate(tuning)}, seeds)
    _write_curves(entrant, runs.change(evaluation_interval=FINE_INTERVAL), open_dataset(packed), curves, on_evaluation)


def make_tuned_runs(
    entrant: str,
    settings: Mapping[str, Any],
    steps: int,
    seeds: Sequence[int],
    packed: Path,
    tuning: Path,
    curves: Path,
    finals: Path,
    on_evaluation: OnEvaluation = lambda *_: None,
) -> None:
    """Train a network at the best rate of a table of trials, for each seed; write the tables `curves` and `finals`.

    Each seed is trained twice: once with frequent evaluations up to 90%, and once for all ``steps``. Arguments and
    errors are otherwise those of `make_trials`; InputError too if the table names no best rate.
    """
    dataset = open_dataset(packed)
    runs = Runs.from_plain({**settings, "learning_rate": best_rate(tuning)}, seeds)
    _write_curves(entrant, runs.change(evaluation_interval=FINE_INTERVAL), dataset, curves, on_evaluation)
    whole = runs.change(steps=steps, evaluation_interval=max(steps - 1, 1), stop_at_accuracy=None)
    final = _train(whole, dataset, lambda *_: None).accuracy[:, -1]
    write_table(_networks(entrant, whole).assign(final_accuracy=final)[FINAL_COLUMNS], finals)


def _write_curves(entrant: str, runs: Runs, dataset: Dataset, curves: Path, on_evaluation: OnEvaluation) -> None:
    write_table(_curves_table(entrant, runs, _train(runs, dataset, on_evaluation)), curves)


def _train(runs: Runs, dataset: Dataset, on_evaluation: OnEvaluation) -> Curves:
    return train_runs(runs, dataset, on_evaluation, engine_on_cpu(runs.settings))


def _networks(entrant: str, runs: Runs) -> pd.DataFrame:
    """Name the network of every run; columns ENTRANT_KEYS."""
    return pd.DataFrame(
        {
            "entrant": entrant,
            "activation": runs.settings.activation,
            "arm": runs.settings.arm,
            "init_std": [str(std) for std in runs.init_stds],
            "learning_rate": runs.learning_rates,
            "seed": runs.seeds,
        }
    )


def _curves_table(entrant: str, runs: Runs, curves: Curves) -> pd.DataFrame:
    """Return a table of the evaluations of all runs; columns CURVE_COLUMNS."""
    networks = _networks(entrant, runs)
    evaluations = len(curves.steps)
    table = networks.loc[networks.index.repeat(evaluations)].assign(
        step=np.tile(curves.steps, len(runs)), accuracy=curves.accuracy.ravel()
    )
    return table[curves.evaluated.ravel()][CURVE_COLUMNS]
