"""The verdicts on all claims: every seed as a dot beside the smallest effect that would matter."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from bnpipe.analysis.claim_words import MARKS, count_text, effect_text, further_text
from bnpipe.analysis.verdicts import Verdict
from bnpipe.analysis.words import MINUS
from bnpipe.core.csv_files import read_table
from bnpipe.figures.style import SMALL, TWO_COLUMNS, canvas, save, style

# Neither vanilla nor batchnorm has one of these colours. They differ in lightness too.
COLOURS: dict[Verdict, str] = {
    "supported": "#009E73",
    "reversed": "#AA4499",
    "too small to matter": "#8A5A00",
    "undecided": "#555555",
}
MARKERS = {"": "o", "above": ">", "below": "<"}  # of a seed, by what is known of its true value
HOLDS = "#E6F3EE"
FARTHEST = 30.0  # largest multiple of the smallest effect that is drawn; farther seeds are drawn at the edge
TICKS = {-10: f"{MINUS}10", -1: f"{MINUS}1", 0: "0", 1: "1", 10: "10"}
LINE = 0.3  # height of a claim, in inches
LEFT, RIGHT = -252, 8  # where texts begin, in points from the left and the right side of the axes
DOT = 3.0  # points
STAGGER = (0.0, -0.16, 0.16, -0.08, 0.08)  # of neighbouring dots, so that equal ones can be told apart


def make_claims_figure(claims: Path, evidence: Path, note: str, outputs: Sequence[Path]) -> None:
    """Draw the tables of claims and of their evidence from their files into each of the output files."""
    with style():
        save(draw_claims(read_table(claims), read_table(evidence), note), outputs)


def draw_claims(claims: pd.DataFrame, evidence: pd.DataFrame, note: str) -> Figure:
    """Draw the table `claims`, each claim as a row under the heading of its group, with its seeds in `evidence`."""
    groups = list(dict.fromkeys(claims["group"])) or ["no claim can be measured from these runs"]
    heights = [max(1, int((claims["group"] == group).sum())) for group in groups]
    figure = canvas(TWO_COLUMNS, 1.0 + LINE * sum(heights) + 0.35 * len(groups), f"{note}; BN: batch normalization")
    axes = figure.subplots(len(groups), squeeze=False, sharex=True, height_ratios=heights)[:, 0]
    for area, group, rows in zip(axes, groups, heights, strict=True):
        _write(area, group, LEFT, 1, lift=8, x=0, weight="bold", of="axes")
        area.axvspan(1, FARTHEST, color=HOLDS, linewidth=0)
        area.axvline(1, color="black", linewidth=0.8)
        area.axvline(-1, color="black", linewidth=0.5, linestyle=":")
        for y, (_, row) in enumerate(claims[claims["group"] == group].iterrows()):
            _draw_row(area, y, row, evidence[evidence["claim"] == row["claim"]])
        _scale(area, rows)
    axes[-1].set_xlabel("effect of a seed, in multiples of the smallest that would matter\n(logarithmic beyond 1)")
    axes[-1].tick_params(axis="x", labelbottom=True)
    figure.legend(handles=_handles(), loc="outside lower left", ncols=5)
    return figure


def _draw_row(axes: Axes, y: int, row: "pd.Series[Any]", seeds: pd.DataFrame) -> None:
    colour, sesoi = COLOURS[row["verdict"]], row["sesoi"]
    ends = _placed(np.array([row["low"], row["high"]]), sesoi)
    axes.plot(ends, [y, y], color=colour, linewidth=3, alpha=0.25, solid_capstyle="butt")
    known = seeds.assign(censored=seeds["censored"].fillna("")).dropna(subset="value").sort_values("value")
    for place, (value, censored) in enumerate(zip(known["value"], known["censored"], strict=True)):
        marker = MARKERS.get(censored)
        if marker is not None:
            x, stagger = _placed(np.array([value]), sesoi), STAGGER[place % len(STAGGER)]
            axes.plot(x, [y + stagger], marker=marker, color=colour, markersize=DOT, markeredgewidth=0, clip_on=False)
    median, worst = _placed(np.array([row["median"], row["worst"]]), sesoi)
    axes.plot([median], [y], marker="|", color=colour, markersize=9, markeredgewidth=1.4, clip_on=False)
    axes.plot(
        [worst], [y], marker="o", color="black", markersize=5.5, fillstyle="none", markeredgewidth=0.7, clip_on=False
    )
    _write(axes, short(row["statement"]), LEFT, y)
    _write(axes, count_text(row), LEFT, y, line=1, colour="#555555")
    _write(axes, f"{MARKS[row['verdict']]} {row['verdict']}", RIGHT, y, x=1, colour=colour, weight="bold")
    further = further_text(row).removesuffix(" would decide it")
    _write(axes, further or effect_text(row), RIGHT, y, x=1, line=1, colour="#555555")


def _placed(values: Any, sesoi: float) -> Any:
    """Return values (n,) in multiples of the smallest effect, limited to what is drawn; nan stays nan."""
    return np.clip(values / sesoi, -FARTHEST, FARTHEST)


def short(statement: str) -> str:
    """Abbreviate "batch normalization" in a statement, so that it fits into the figure."""
    return statement.replace("batch normalization", "BN").replace("Batch normalization", "BN")


def _write(
    axes: Axes,
    text: str,
    offset: float,
    y: float,
    *,
    x: int = 0,
    line: int = 0,
    lift: float = 0,
    colour: str = "black",
    weight: str = "normal",
    of: str = "rows",
) -> None:
    """Write a text beside the axes, at a row (which has two lines of text) or at a height of the axes."""
    axes.annotate(
        text,
        xy=(x, y),
        xytext=(offset, lift + 4.5 - 9 * line),
        xycoords=axes.transAxes if of == "axes" else axes.get_yaxis_transform(),
        textcoords="offset points",
        annotation_clip=False,
        verticalalignment="center",
        fontsize=SMALL,
        fontweight=weight,
        color=colour,
    )


def _scale(axes: Axes, rows: int) -> None:
    axes.set_xscale("symlog", linthresh=1)
    axes.set_xlim(-FARTHEST, FARTHEST)
    axes.set_xticks(list(TICKS), list(TICKS.values()))
    axes.set_xticks([], minor=True)
    axes.set_ylim(rows - 0.5, -0.5)
    axes.set_yticks(range(rows), [""] * rows)
    axes.tick_params(axis="y", length=0)


def _handles() -> list[Artist]:
    def dot(marker: str, label: str, **line: Any) -> Line2D:
        return Line2D([], [], color="#555555", marker=marker, linestyle="none", label=label, **line)

    return [
        dot("o", "a seed", markersize=DOT),
        dot(">", "a seed: this or more", markersize=DOT),
        dot("<", "a seed: this or less", markersize=DOT),
        dot("o", "worst seed", markersize=5.5, fillstyle="none", markeredgecolor="black"),
        dot("|", "median", markersize=9),
        Patch(color="#555555", alpha=0.25, label="interval of the median"),
        Patch(color=HOLDS, label="speaks for the claim"),
    ]
