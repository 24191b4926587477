"""All figures of one condition, from the records of its runs."""

from collections.abc import Sequence
from pathlib import Path

from bnpipe.figures.curves import make_curves
from bnpipe.figures.diagnostics import make_diagnostics


def make_condition(
    records: Sequence[Path],
    condition: str,
    note: str,
    seed: int,
    arms: Sequence[str],
    single_seed: Sequence[Path],
    all_seeds: Sequence[Path],
    diagnostics: Sequence[Path],
) -> None:
    """Draw curves of one seed, curves of all, and what goes on inside the networks.

    The last three arguments are files of several formats; without diagnostics in the records there are none of the
    last.
    """
    make_curves(records, condition, note, seed, arms, single_seed, all_seeds)
    if diagnostics:
        make_diagnostics(records, condition, note, arms, diagnostics)
