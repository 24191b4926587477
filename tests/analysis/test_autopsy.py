from dataclasses import replace

import numpy as np
import pytest

from bnpipe.analysis.autopsy import Finding, autopsies
from bnpipe.core.records import Curves
from tests.conftest import make_record


def curves(**seen: list[list[float]]) -> Curves:
    """Return the curves of a run evaluated at steps 0, 60 and 120; given are shares of units, (evaluations, layers)."""
    made = make_record().curves
    calm = {"saturated": np.zeros((1, 3, 3)), "dead": np.zeros((1, 3, 3))}
    given = {name: np.array([values], dtype=np.float32) for name, values in seen.items()}
    return replace(made, diagnostics={**made.diagnostics, **calm, **given})


def test_a_run_with_nothing_bad_is_healthy() -> None:
    half = [[0.5] * 3] * 3  # a layer is saturated when more than half of it is
    assert autopsies(curves(saturated=half, dead=[[0.99] * 3] * 3)) == [Finding("healthy")]


@pytest.mark.parametrize(("state", "share"), [("saturated", 0.51), ("dead", 1.0)])
def test_the_first_bad_step_and_its_lowest_layer_are_named(state: str, share: float) -> None:
    bad: list[list[float]] = [[0, 0, 0], [0, share, share], [share, share, share]]
    assert autopsies(curves(**{state: bad})) == [Finding(state, step=60, layer=2)]


def test_what_recovers_by_the_end_is_healthy() -> None:
    assert autopsies(curves(dead=[[0, 0, 1], [0, 0, 1], [0, 0, 0.5]])) == [Finding("healthy")]


def test_layers_for_which_a_share_has_no_meaning_are_passed_over() -> None:
    assert autopsies(curves(saturated=[[np.nan] * 3] * 3, dead=[[0, 1, np.nan]] * 3)) == [Finding("dead", 0, 2)]


def test_overflow_is_told_from_the_record_of_where_it_began() -> None:
    assert autopsies(make_record(diverged=True).curves) == [Finding("overflow", step=1, layer=2, place="z")]


def test_without_diagnostics_only_overflow_is_known() -> None:
    assert autopsies(make_record(diagnostics=False).curves) == [Finding("unknown")]
    assert autopsies(make_record(diagnostics=False, diverged=True).curves) == [Finding("overflow", step=1)]
