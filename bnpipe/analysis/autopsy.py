"""What became of each run: healthy, saturated, dead or overflow, and where it went wrong first."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bnpipe.core.records import Curves
from bnpipe.core.settings import OVERFLOW_PLACES

SATURATED_SHARE = 0.5  # of a layer's outputs over all units and images; beyond it, the layer passes on little but signs


class Finding(NamedTuple):
    """What became of a run. Steps count from 0, layers from 1; a field is None if there is nothing to name."""

    state: str
    step: int | None = None  # the first bad one; dead and saturated layers are seen at evaluated steps only
    layer: int | None = None  # the first bad one in that step, in the order of computation
    place: str | None = None  # what was not finite: one of OVERFLOW_PLACES


def autopsies(curves: Curves) -> list[Finding]:
    """Examine every run.

    overflow    a loss, weight, activation or gradient is not finite
    dead        at the last evaluation every unit of some relu layer is 0 for the whole probe
    saturated   at the last evaluation more than half of some layer's outputs are saturated
    healthy     none of these
    Without diagnostics, only overflow and its step can be recognized; the state of any other run is "unknown".
    """
    return [_examine(curves, run, int(step)) for run, step in enumerate(curves.first_nonfinite_step)]


def _examine(curves: Curves, run: int, first_nonfinite_step: int) -> Finding:
    if first_nonfinite_step >= 0:
        if curves.failure is None:
            return Finding("overflow", first_nonfinite_step)
        step, layer, place = map(int, curves.failure[run])
        return Finding("overflow", step, layer + 1, OVERFLOW_PLACES[place])
    if not curves.diagnostics:
        return Finding("unknown")
    evaluated = curves.evaluated[run]
    dead, saturated = (curves.diagnostics[name][run][evaluated] for name in ("dead", "saturated"))
    for state, bad in (("dead", dead == 1), ("saturated", saturated > SATURATED_SHARE)):  # (evaluations, layers)
        if bad[-1].any():
            return Finding(state, *_first(bad, curves.steps))
    return Finding("healthy")


def _first(bad: NDArray[np.bool_], steps: NDArray[np.int64]) -> tuple[int, int]:
    """Return the first step at which a layer is bad, and that layer. bad: (evaluations, layers)."""
    evaluation = int(bad.any(axis=1).argmax())
    return int(steps[evaluation]), int(bad[evaluation].argmax()) + 1
