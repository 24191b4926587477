"""All figures of one condition, from the records of its runs."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from bnpipe.analysis.tables import accuracy_table, evaluations_of, layers_of, runs_of, with_divergence
from bnpipe.core.errors import InputError
from bnpipe.core.records import read_record
from bnpipe.figures.curves import ALL_SEEDS, draw_all_seeds, draw_single_seed
from bnpipe.figures.diagnostics import draw_diagnostics
from bnpipe.figures.style import save, style


def make_condition(
    records: Sequence[Path],
    condition: str,
    note: str,
    seed: int,
    arms: Sequence[str],
    single_seed: Sequence[Path],
    all_seeds: Sequence[Path],
    diagnostics: Sequence[Path] = (),
) -> None:
    """Draw the curves of one seed, the curves of all seeds, and what goes on inside the networks.

    single_seed, all_seeds, diagnostics: files, each in one format. Without files for diagnostics the layers are not
    drawn. Raises InputError if they are to be drawn but the runs were trained without diagnostics.
    """
    read = [read_record(path) for path in records]
    runs = pd.concat([runs_of(record, "") for record in read])
    curves = with_divergence(accuracy_table([evaluations_of(record) for record in read]), runs)
    with style():
        save(draw_single_seed(curves, condition, f"{note}, seed {seed}", seed, arms), single_seed)
        save(draw_all_seeds(curves, condition, note + ALL_SEEDS, arms), all_seeds)
        if diagnostics:
            layers = pd.concat([layers_of(record) for record in read])
            if layers.empty:
                raise InputError(
                    f"condition {condition}: expected runs trained with diagnostics, got runs trained without; "
                    "set `diagnostics: true` in the configuration"
                )
            save(draw_diagnostics(layers, runs, condition, note, arms), diagnostics)
