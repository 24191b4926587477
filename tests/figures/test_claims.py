from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bnpipe.analysis.claims import CLAIMS, EVIDENCE_COLUMNS, claims_table
from bnpipe.core.csv_files import write_table
from bnpipe.figures.claims import VERDICT_COLOURS, VERDICT_MARKERS, draw_claims, make_claims_figure
from bnpipe.figures.style import style
from bnpipe.grid.config import SmallestEffects
from tests.figures.checks import check_figure


def table_of(seeds: int, claims: int) -> pd.DataFrame:
    """Return made-up claims in the order of CLAIMS, of which the effects lie far apart."""
    rng = np.random.default_rng(0)
    rows = [
        (claim.key, seed, (-1) ** i * 0.02 * i + 0.15 * rng.normal(), False)
        for i, claim in enumerate(CLAIMS[:claims])
        for seed in range(seeds)
    ]
    return claims_table(pd.DataFrame(rows, columns=EVIDENCE_COLUMNS), SmallestEffects().model_dump())


def drawn(claims: pd.DataFrame) -> Figure:
    with style():
        figure = draw_claims(claims, "MNIST, 10 seeds")
        figure.draw_without_rendering()  # lays it out
    return figure


def texts(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def markers(axes: Axes, kind: str) -> list[Line2D]:
    return [line for line in axes.get_lines() if line.get_marker() == kind and line.get_color() != "black"]


def test_each_claim_has_its_words_and_its_place_in_multiples_of_what_would_matter() -> None:
    claims = table_of(seeds=11, claims=len(CLAIMS))
    (axes,) = drawn(claims).axes
    written = texts(axes)
    assert {"supported", "refuted", "inconclusive"} == {*claims["verdict"]}
    for word in VERDICT_COLOURS:
        assert written.count(word) == (claims["verdict"] == word).sum()
        expected = claims[claims["verdict"] == word]
        placed = [float(np.asarray(line.get_xdata())[0]) for line in markers(axes, VERDICT_MARKERS[word])]
        assert placed == pytest.approx((expected["effect"] / expected["sesoi"].abs()).tolist())
    assert sum(text.endswith("; n = 11") for text in written) == len(claims)
    assert {*claims["statement"], *claims["claim"]} <= {*written}


def test_three_seeds_have_no_verdict() -> None:
    (axes,) = drawn(table_of(seeds=3, claims=7)).axes
    assert texts(axes).count("n too small for a verdict") == 7
    assert len(markers(axes, VERDICT_MARKERS["inconclusive"])) == 7


def test_an_effect_far_outside_is_an_arrow_at_the_edge() -> None:
    claims = table_of(seeds=10, claims=len(CLAIMS))
    claims = claims[claims["claim"].isin(["3", "6a", "7"])].assign(
        sesoi=0.01, effect=[1.5, -1.5, 0.5], low=[1.2, -1.8, 0.4], high=[1.8, -1.2, 0.6]
    )
    (axes,) = drawn(claims).axes
    for kind, edge, y in ((">", 100, 0), ("<", -100, 1)):
        (arrow,) = markers(axes, kind)
        assert np.asarray(arrow.get_xydata()).tolist() == [[edge, y]]
        assert not arrow.get_clip_on()  # it would be cut in half


@pytest.mark.parametrize("rows", [0, 1, 10, len(CLAIMS)])
def test_every_number_of_claims_can_be_read(rows: int) -> None:
    figure = drawn(table_of(seeds=10, claims=rows))
    check_figure(figure)
    (axes,) = figure.axes
    assert axes.get_position().width > 0.3


def test_equal_tables_are_drawn_as_equal_bytes(tmp_path: Path) -> None:
    claims = table_of(seeds=10, claims=5)
    write_table(claims[claims["claim"] == "3"], tmp_path / "claims.csv")
    for name in ("a", "b"):
        make_claims_figure(tmp_path / "claims.csv", "MNIST", [tmp_path / f"{name}.svg", tmp_path / f"{name}.png"])
    for suffix in ("svg", "png"):
        assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()
    assert "BN makes learning rate 1 viable" in (tmp_path / "a.svg").read_text()
