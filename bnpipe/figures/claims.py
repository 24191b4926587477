"""The verdicts on all claims: effects with their intervals, relative to the smallest effect that would matter."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.transforms import Transform

from bnpipe.analysis.claim_words import condition_text, effect_text, verdict_text
from bnpipe.analysis.words import MINUS
from bnpipe.core.csv_files import read_table
from bnpipe.figures.style import SMALL, TWO_COLUMNS, canvas, save, style

# Other colours than those of vanilla and batchnorm; they differ in lightness too.
VERDICT_COLOURS = {"supported": "#009E73", "refuted": "#AA4499", "inconclusive": "#666666"}
VERDICT_MARKERS = {"supported": "o", "refuted": "X", "inconclusive": "s"}
BAND = "#E8E8E8"
FARTHEST = 100.0  # largest multiple of the smallest effect that is drawn; an arrow marks larger ones
TICKS = {-10: f"{MINUS}10", -1: f"{MINUS}1", 0: "0", 1: "1", 10: "10"}


class Place(NamedTuple):
    """The place of a text beside the axes."""

    side: int  # of the axes: 0 left, 1 right
    offset: float  # from that side, in points
    line: int = 0  # 0 or 1: each claim has two lines


NUMBER, STATEMENT, CONDITION = Place(0, -208), Place(0, -168), Place(0, -168, 1)
EFFECT, VERDICT = Place(1, 8), Place(1, 8, 1)
HEADINGS = {NUMBER._replace(line=1): "claim", EFFECT: "effect [95% interval]", VERDICT: "verdict"}


def draw_claims(claims: pd.DataFrame, note: str) -> Figure:
    """Draw the table `claims`, each claim as a row, in multiples of the smallest effect that would matter."""
    rows = max(1, len(claims))
    figure = canvas(TWO_COLUMNS, 1.2 + 0.28 * rows, note)
    axes = figure.subplots()
    axes.axvspan(-1, 1, color=BAND)
    _write(axes, HEADINGS, y=1, of=axes.transAxes, lift=14, weight="bold")
    for y, (_, row) in enumerate(claims.iterrows()):
        _draw_effect(axes, y, row["effect"], row["low"], row["high"], row["sesoi"], row["verdict"])
        _write(axes, _texts(row), y, of=axes.get_yaxis_transform())
    if claims.empty:
        axes.annotate("these runs decide no claim", (0, 0), ha="center", va="center")
    _scale(axes, rows)
    figure.legend(handles=_handles(), loc="outside lower left", ncols=5)
    return figure


def make_claims_figure(claims: Path, note: str, outputs: Sequence[Path]) -> None:
    """Draw the table of claims from its file into each of the output files."""
    with style():
        save(draw_claims(read_table(claims), note), outputs)


def _draw_effect(axes: Axes, y: float, effect: float, low: float, high: float, sesoi: float, verdict: str) -> None:
    colour, ends = VERDICT_COLOURS[verdict], np.array([low, high]) / abs(sesoi)
    axes.plot(np.clip(ends, -FARTHEST, FARTHEST), [y, y], color=colour)
    axes.plot([np.sign(sesoi)], [y], marker=">", color="black", markersize=3.5)
    axes.plot([effect / abs(sesoi)], [y], marker=VERDICT_MARKERS[verdict], color=colour, markersize=5)
    for end, marker in zip(ends * [-1, 1], "<>", strict=True):
        if end > FARTHEST:
            edge = FARTHEST if marker == ">" else -FARTHEST
            axes.plot([edge], [y], marker=marker, color=colour, markersize=5, clip_on=False)


def _texts(row: "pd.Series[Any]") -> dict[Place, str]:
    return {
        NUMBER: str(row["claim"]),
        STATEMENT: str(row["statement"]),
        CONDITION: f"holds if {condition_text(row)}; n = {row['n']}",
        EFFECT: effect_text(row),
        VERDICT: verdict_text(row),
    }


def _write(
    axes: Axes, texts: Mapping[Place, str], y: float, of: Transform, lift: float = 0, weight: str = "normal"
) -> None:
    """Write texts at their places, at a height y in the coordinates `of`, raised by `lift` points."""
    for (side, offset, line), text in texts.items():
        axes.annotate(
            text,
            xy=(side, y),
            xytext=(offset, lift + 4.5 - 9 * line),
            xycoords=of,
            textcoords="offset points",
            annotation_clip=False,
            verticalalignment="center",
            fontsize=SMALL,
            fontweight=weight,
        )


def _scale(axes: Axes, rows: int) -> None:
    axes.set_xscale("symlog", linthresh=1)
    axes.set_xlim(-FARTHEST, FARTHEST)
    axes.set_xticks(list(TICKS), list(TICKS.values()))
    axes.set_xlabel("effect, in multiples of the smallest that would matter\n(logarithmic beyond 1)")
    axes.set_ylim(rows - 0.5, -0.5)
    axes.set_yticks(range(rows), [""] * rows)
    axes.tick_params(axis="y", length=0)


def _handles() -> list[Artist]:
    verdicts = [
        Line2D([], [], color=VERDICT_COLOURS[name], marker=VERDICT_MARKERS[name], label=name)
        for name in VERDICT_COLOURS
    ]
    from_here = Line2D([], [], color="black", marker=">", markersize=3.5, linestyle="none")
    from_here.set_label("the claim holds from here on")
    return [*verdicts, from_here, Patch(color=BAND, label="too small to matter")]
