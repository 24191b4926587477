from typing import get_args

import pytest

from bnpipe.core.settings import BuiltInArm
from bnpipe.figures.arms import COLOURS, LINE_STYLES, MARKERS, Styles

BUILT_IN = get_args(BuiltInArm)
KINDS = pytest.mark.parametrize("styles", [COLOURS, LINE_STYLES, MARKERS], ids=["colours", "lines", "markers"])


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Styles, "_taken", {})


@KINDS
def test_every_arm_has_a_colour_a_line_and_a_marker_of_its_own(styles: Styles) -> None:
    assert tuple(styles) == BUILT_IN
    assert len({*map(str, styles.values())}) == len(BUILT_IN)


@KINDS
def test_arms_of_ones_own_are_told_apart_from_all_others(styles: Styles) -> None:
    own = [f"Own{number}" for number in range(len(styles.spares))]
    assert len({str(styles[arm]) for arm in [*BUILT_IN, *own]}) == len(BUILT_IN) + len(own)
    assert tuple(styles) == BUILT_IN  # which variations of an arm are drawn in turn
    assert styles["OneTooMany"] in styles.spares


def test_an_arm_of_ones_own_looks_alike_whatever_is_drawn_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    places = {}
    for other in (None, "batchnorm"):
        monkeypatch.setattr(Styles, "_taken", {})
        if other:
            COLOURS[other]
        places[other] = COLOURS["MeanOnly"], LINE_STYLES["MeanOnly"], MARKERS["MeanOnly"]
    assert places[None] == places["batchnorm"]
    place = COLOURS.spares.index(COLOURS["MeanOnly"])
    assert (LINE_STYLES["MeanOnly"], MARKERS["MeanOnly"]) == (LINE_STYLES.spares[place], MARKERS.spares[place])
