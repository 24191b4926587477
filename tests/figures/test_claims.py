import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bnpipe.analysis.claim_words import MARKS, count_text
from bnpipe.analysis.claims import EVIDENCE_COLUMNS, claims_table
from bnpipe.analysis.registry.family import FAMILY, GROUPS
from bnpipe.core.csv_files import write_table
from bnpipe.figures.claims import COLOURS, DOT, FARTHEST, draw_claims, make_claims_figure, short
from bnpipe.figures.style import style
from bnpipe.grid.config import SmallestEffects
from tests.figures.checks import check_figure

EFFECTS: dict[str, float] = SmallestEffects().model_dump()
Tables = tuple[pd.DataFrame, pd.DataFrame]


def made_up(seeds: int, claims: int = len(FAMILY)) -> Tables:
    """Return made-up claims with their evidence, of all verdicts; effects are in multiples of what would matter."""
    rng = np.random.default_rng(0)
    rows = []
    for i, claim in enumerate(FAMILY[:claims]):
        sesoi = claim.sesoi(EFFECTS)
        middle = (2.0, 0.3, -2.5, 1.0)[i % 4]
        for seed in range(2000, 2000 + seeds):
            value = sesoi * (middle + 0.2 * rng.normal())
            rows.append((claim.key, seed, math.copysign(1, value) if claim.unit == "outcome" else value, ""))
    evidence = pd.DataFrame(rows, columns=EVIDENCE_COLUMNS)
    return claims_table(evidence, EFFECTS), evidence


def one_claim(*seeds: tuple[float, str]) -> Tables:
    """Return one claim whose seeds have values in multiples of 5 points."""
    rows = [("copes-with-bad-weights-tanh", 2000 + i, 0.05 * x, known) for i, (x, known) in enumerate(seeds)]
    evidence = pd.DataFrame(rows, columns=EVIDENCE_COLUMNS)
    return claims_table(evidence, EFFECTS), evidence


def drawn(tables: Tables) -> Figure:
    with style():
        figure = draw_claims(*tables, "MNIST, 12 seeds")
        figure.draw_without_rendering()  # lays it out
    return figure


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def dots(axes: Axes, marker: str = "o") -> list[float]:
    """Return the places of seeds."""
    lines = [line for line in axes.get_lines() if line.get_marker() == marker and line.get_markersize() == DOT]
    return sorted(place(line) for line in lines)


def place(line: Line2D) -> float:
    return float(np.asarray(line.get_xdata())[0])


def rings(axes: Axes) -> list[float]:
    return [place(line) for line in axes.get_lines() if line.get_fillstyle() == "none"]


def test_each_claim_has_its_words_beside_it_and_each_group_its_heading() -> None:
    claims, evidence = made_up(12)
    assert {*claims["verdict"]} == COLOURS.keys()
    figure = drawn((claims, evidence))
    written = texts(figure)
    assert {*GROUPS, *map(short, claims["statement"]), *claims.apply(count_text, axis="columns")} <= {*written}
    for verdict, mark in MARKS.items():
        assert written.count(f"{mark} {verdict}") == (claims["verdict"] == verdict).sum()
    assert [len(axes.texts) - 1 for axes in figure.axes] == [4 * (claims["group"] == group).sum() for group in GROUPS]


def test_every_seed_is_a_dot_in_multiples_of_what_would_matter_and_the_worst_is_ringed() -> None:
    (axes,) = drawn(one_claim((0.5, ""), (-0.25, ""), (3, ""))).axes
    assert dots(axes) == pytest.approx([-0.25, 0.5, 3])
    assert rings(axes) == pytest.approx([-0.25])


def test_seeds_of_which_a_bound_is_known_point_the_way_and_unknown_ones_are_left_out() -> None:
    (axes,) = drawn(one_claim((2, "above"), (0.5, "below"), (math.nan, "both"), (1.5, ""))).axes
    assert [dots(axes, marker) for marker in "><o"] == [pytest.approx([2]), pytest.approx([0.5]), pytest.approx([1.5])]


def test_seeds_far_outside_are_at_the_edge_and_not_cut() -> None:
    (axes,) = drawn(one_claim((math.inf, ""), (-99, ""))).axes
    assert dots(axes) == [-FARTHEST, FARTHEST]
    assert axes.get_xlim() == (-FARTHEST, FARTHEST)
    assert not [line for line in axes.get_lines() if line.get_markersize() == DOT and line.get_clip_on()]


def test_seeds_that_are_missing_are_written_where_there_is_no_verdict() -> None:
    written = texts(drawn(one_claim((2, ""), (2, ""), (2, ""))))
    assert "8 more agreeing seeds" in written
    assert "3 of 3 seeds: at least 5 points higher" in written


@pytest.mark.parametrize("rows", [0, 1, 10, len(FAMILY)])
@pytest.mark.parametrize("seeds", [3, 12])
def test_every_number_of_claims_can_be_read(rows: int, seeds: int) -> None:
    figure = drawn(made_up(seeds, rows))
    check_figure(figure)
    assert all(axes.get_position().width > 0.25 for axes in figure.axes)


def test_equal_tables_are_drawn_as_equal_bytes(tmp_path: Path) -> None:
    claims, evidence = made_up(12, 5)
    write_table(claims, tmp_path / "claims.csv")
    write_table(evidence, tmp_path / "evidence.csv")
    for name in ("a", "b"):
        outputs = [tmp_path / f"{name}.svg", tmp_path / f"{name}.png"]
        make_claims_figure(tmp_path / "claims.csv", tmp_path / "evidence.csv", "MNIST", outputs)
    for suffix in ("svg", "png"):
        assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()
    assert "With tanh, BN needs fewer steps" in (tmp_path / "a.svg").read_text()
