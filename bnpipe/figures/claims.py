"""The verdicts on all claims: effects with their intervals, against the smallest that would matter."""

from collections.abc import Sequence
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

from bnpipe.claims import MINUS, condition_text, effect_text, verdict_text
from bnpipe.csv_files import read_table
from bnpipe.figures.house import save, style

# None of the colours of the arms; they differ in lightness too.
COLOURS = {"supported": "#009E73", "refuted": "#AA4499", "inconclusive": "#666666"}
MARKERS = {"supported": "o", "refuted": "X", "inconclusive": "s"}
BAND = "#E8E8E8"
FARTHEST = 100.0  # multiples of the smallest effect that are drawn; an arrow stands for more
TICKS = {-10: f"{MINUS}10", -1: f"{MINUS}1", 0: "0", 1: "1", 10: "10"}


class Column(NamedTuple):
    """A column of text beside the axes."""

    side: int  # of the axes: 0 left, 1 right
    offset: float  # from that side, in points


COLUMNS = {
    "claim": Column(0, -256),
    "": Column(0, -210),
    "n": Column(1, 12),
    "holds if": Column(1, 34),
    "effect [95% interval]": Column(1, 112),
    "verdict": Column(1, 258),
}


def draw_claims(claims: pd.DataFrame, note: str) -> Figure:
    """Draw the table `claims`, a row a claim, each in multiples of its smallest effect that would matter."""
    rows = max(1, len(claims))
    figure = Figure(figsize=(11, 1.8 + 0.25 * rows), layout="constrained")
    figure.suptitle(note, x=0.01, ha="left")
    axes = figure.subplots()
    axes.axvspan(-1, 1, color=BAND)
    _write(axes, list(COLUMNS), y=1, of=axes.transAxes, lift=9, weight="bold")
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
    colour, ends = COLOURS[verdict], np.array([low, high]) / abs(sesoi)
    axes.plot(np.clip(ends, -FARTHEST, FARTHEST), [y, y], color=colour)
    axes.plot([np.sign(sesoi)], [y], marker=">", color="black", markersize=4)
    axes.plot([effect / abs(sesoi)], [y], marker=MARKERS[verdict], color=colour, markersize=6)
    for end, marker in zip(ends * [-1, 1], "<>", strict=True):
        if end > FARTHEST:
            edge = FARTHEST if marker == ">" else -FARTHEST
            axes.plot([edge], [y], marker=marker, color=colour, markersize=6, clip_on=False)


def _texts(row: "pd.Series[Any]") -> list[str]:
    texts = (row["claim"], row["statement"], row["n"], condition_text(row), effect_text(row), verdict_text(row))
    return [str(text) for text in texts]


def _write(axes: Axes, texts: Sequence[str], y: float, of: Transform, lift: float = 0, weight: str = "normal") -> None:
    """Write a text into each column at a height y in the coordinates `of`, lifted by some points."""
    for text, (side, offset) in zip(texts, COLUMNS.values(), strict=True):
        axes.annotate(
            *(text, (side, y), (offset, lift), of, "offset points"),
            annotation_clip=False,
            verticalalignment="center",
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
    verdicts = [Line2D([], [], color=COLOURS[name], marker=MARKERS[name], label=name) for name in COLOURS]
    from_here = Line2D([], [], color="black", marker=">", markersize=4, linestyle="none")
    from_here.set_label("the claim holds from here on")
    return [*verdicts, from_here, Patch(color=BAND, label="too small to matter")]
