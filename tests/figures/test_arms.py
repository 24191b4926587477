from typing import get_args

from bnpipe.core.settings import Arm
from bnpipe.figures.arms import COLOURS, LINE_STYLES, MARKERS, SPARES


def test_every_arm_has_a_colour_a_line_and_a_marker_of_its_own() -> None:
    assert list(COLOURS) == list(LINE_STYLES) == list(MARKERS) == list(get_args(Arm))
    assert (
        len(set(COLOURS.values())) == len(set(LINE_STYLES.values())) == len(set(MARKERS.values())) == len(get_args(Arm))
    )


def test_arms_of_ones_own_are_told_apart_from_all_others() -> None:
    for taken, spare in zip((COLOURS, LINE_STYLES, MARKERS), zip(*SPARES, strict=True), strict=True):
        assert len({*map(str, taken.values()), *map(str, spare)}) == len(get_args(Arm)) + 3
