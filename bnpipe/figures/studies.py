"""A study: final accuracies over its cells and the curves behind them, or maps of learning rate and init std."""

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bnpipe.analysis.stats import estimate_mean
from bnpipe.analysis.study_tables import is_map
from bnpipe.analysis.tables import rows_to_average
from bnpipe.analysis.words import in_words, tick_text
from bnpipe.core.csv_files import read_table
from bnpipe.figures.arms import COLOURS, LINE_STYLES, MARKERS
from bnpipe.figures.maps import draw_maps
from bnpipe.figures.style import (
    DIVERGED,
    SMALL,
    TWO_COLUMNS,
    canvas,
    distinct,
    draw_mean,
    legend_columns,
    save,
    scale_steps,
    style,
    wrapped,
)

MAX_CURVES = 8  # in one panel
MAX_PLACES, MAX_VARIATIONS = 20, 8  # drawn side by side: of the setting with the most values, and of the others
PANELS_PER_ROW, MAX_PANELS = 3, 9
WIDTH = TWO_COLUMNS / PANELS_PER_ROW  # of a panel, in inches
EXPLANATION = "every seed, mean and its 95% interval"


class VariantStyle(NamedTuple):
    """How the runs of a variant are drawn; variants can be told apart without colour."""

    colour: str
    line_style: Any
    marker: str


def make_study(
    accuracy: Path, runs: Path, swept: Sequence[str], about: str, note: str, outputs: Sequence[Path]
) -> None:
    """Draw a study from the files of its two tables into each of the output files; see `draw_study`."""
    with style():
        save(draw_study(read_table(accuracy), read_table(runs), swept, about, note), outputs)


def draw_study(accuracy: pd.DataFrame, runs: pd.DataFrame, swept: Sequence[str], about: str, note: str) -> Figure:
    """Draw a study in the form that its swept settings call for.

    accuracy, runs: the study's tables of these names. swept: the settings that differ between its cells, columns of
    both. about, note: the question of the study and what it was run on; both are written above the axes.
    """
    runs = runs.assign(diverged=runs["first_nonfinite_step"].notna())
    if is_map(runs, swept):
        return draw_maps(runs, about, note)
    swept = sorted(swept, key=lambda name: -runs[name].nunique())  # the setting with the most values gives the places
    labelled = with_labels(runs, swept)
    shown = labelled[first_cells(labelled)]
    if len(shown) < len(labelled):
        cells, of = (table.drop_duplicates(["variant", "place"]) for table in (shown, labelled))
        note = f"{note}; the first {len(cells)} of {len(of)} cells; all are in summary.csv"
    keys = [*swept, "arm", "seed"]
    curves = with_labels(accuracy.merge(shown[[*keys, "diverged"]], on=keys), swept)
    return draw_cells(while_all_train(curves), shown, in_words(swept[0]), about, note)


def draw_cells(curves: pd.DataFrame, runs: pd.DataFrame, first: str, about: str, note: str) -> Figure:
    """Draw final accuracy over the first swept setting, and for each of its values the mean curves of all variants.

    curves, runs: the tables `accuracy` and `runs` with a column `diverged` and those of `with_labels`. first: the name
    of that setting in words. about, note: what is written above the axes. If there are too many curves for a panel, or
    too many panels, no panel is drawn.
    """
    styles = variant_styles(runs)
    crosses = f"; {DIVERGED}, with their number, never averaged with others" if runs["diverged"].any() else ""
    places = distinct(runs["place"])
    places = places if len(styles) <= MAX_CURVES and len(places) <= MAX_PANELS else []
    heading = f"{note}; n = {runs['seed'].nunique()} seeds, {EXPLANATION}{crosses}"
    figure, final, panels = _canvas(len(places), about, heading)
    _draw_final(final, runs, styles)
    final.set_xlabel(first)
    for axes, place in zip(panels, places, strict=True):
        _draw_curves(axes, curves[curves["place"] == place], styles)
        axes.set_title(wrapped(f"{first}: {place}", 0.8 * WIDTH, size=8))
    for axes in panels[::PANELS_PER_ROW]:
        axes.set_ylabel("validation accuracy")
    handles = [
        Line2D(
            [],
            [],
            color=variant_style.colour,
            linestyle=variant_style.line_style,
            marker=variant_style.marker,
            label=variant,
        )
        for variant, variant_style in styles.items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=legend_columns(runs["arm"].nunique()))
    return figure


def with_labels(table: pd.DataFrame, swept: Sequence[str]) -> pd.DataFrame:
    """Add columns of text: `place`, the first swept value; `variation`, the others; `variant`, arm and variation.

    table: one with the columns `arm` and those of the swept settings.
    """
    place, *others = (table[name].map(tick_text) for name in swept)
    variation = pd.Series("", index=table.index)
    for name, ticks in zip(swept[1:], others, strict=True):
        variation = variation + f", {in_words(name)}: " + ticks
    return table.assign(place=place, variation=variation, variant=table["arm"] + variation)


def first_cells(runs: pd.DataFrame) -> pd.Series:
    """Choose the rows that a figure of cells shows: those of the first MAX_PLACES places and MAX_VARIATIONS variations.

    runs: a table with the columns of `with_labels`.
    """
    places, variations = distinct(runs["place"])[:MAX_PLACES], distinct(runs["variation"])[:MAX_VARIATIONS]
    return runs["place"].isin(places) & runs["variation"].isin(variations)


def while_all_train(curves: pd.DataFrame) -> pd.DataFrame:
    """Leave out a cell's steps after some of its runs have stopped, where a mean would be of the slow runs only.

    curves: the table `accuracy` with the columns of `with_labels`.
    """
    of_cell = [curves["variant"], curves["place"]]
    runs = curves.groupby(of_cell)["seed"].transform("nunique")
    return curves[curves.groupby([*of_cell, curves["step"]])["seed"].transform("nunique") == runs]


def variant_styles(runs: pd.DataFrame) -> dict[str, VariantStyle]:
    """Choose how each variant is drawn, in the order of the variants.

    Arms differ in colour, line and marker. Variations of an arm differ in line, marker and lightness of its colour.
    """
    arms, variations = distinct(runs["arm"]), distinct(runs["variation"])
    if len(variations) == 1:
        return {arm + variations[0]: VariantStyle(COLOURS[arm], LINE_STYLES[arm], MARKERS[arm]) for arm in arms}
    styles, markers = list(LINE_STYLES.values()), list(MARKERS.values())
    return {
        arm + variation: VariantStyle(
            _lightened(COLOURS[arm], number / len(variations)),
            styles[(number + 1) % len(styles)],  # the second is solid
            markers[(number + 1) % len(markers)],
        )
        for arm, (number, variation) in product(arms, enumerate(variations))
    }


def _canvas(panels: int, *lines: str) -> tuple[Figure, Axes, list[Axes]]:
    """Return a figure, its axes for final accuracies, and this number of panels beside or below them."""
    beside = panels < PANELS_PER_ROW
    columns, rows = (1 + panels, 1) if beside else (PANELS_PER_ROW, 1 - (-panels // PANELS_PER_ROW))
    figure = canvas(TWO_COLUMNS, 1.9 * rows + 0.3, *lines)
    grid = figure.add_gridspec(rows, columns)
    final = figure.add_subplot(grid[0, 0] if beside else grid[0, :])
    first = 1 if beside else PANELS_PER_ROW
    places = [divmod(number, columns) for number in range(first, first + panels)]
    return figure, final, [figure.add_subplot(grid[place]) for place in places]


def _draw_final(axes: Axes, runs: pd.DataFrame, styles: dict[str, VariantStyle]) -> None:
    """Draw every final accuracy at its place, with variants side by side and the means of the finite runs."""
    places = distinct(runs["place"])
    width = 0.8 / len(styles)  # of a variant; places are 1 apart
    cells = {
        x - 0.4 + width * number: (runs[(runs["variant"] == variant) & (runs["place"] == place)], variant_style)
        for (number, (variant, variant_style)), (x, place) in product(enumerate(styles.items()), enumerate(places))
    }
    for left, (cell, variant_style) in cells.items():
        _draw_cell(axes, left + 0.3 * width, left + 0.6 * width, cell, variant_style)
    axes.set_title("final accuracy")
    axes.set_ylabel("validation accuracy")
    axes.set_xticks(range(len(places)), places)
    axes.set_xlim(-0.5, len(places) - 0.5)
    axes.set_ylim(max(axes.get_ylim()[0], 0), min(axes.get_ylim()[1], 1))
    axes.grid(axis="x", visible=False)
    for left, (cell, _) in cells.items():
        _count_diverged(axes, left + 0.3 * width, cell)


def _draw_cell(axes: Axes, seeds_at: float, mean_at: float, runs: pd.DataFrame, variant_style: VariantStyle) -> None:
    """Draw the final accuracies of a cell: finite runs, their mean and interval, and diverged runs."""
    finite, diverged = (runs.loc[runs["diverged"] == state, "final_accuracy"] for state in (False, True))
    axes.plot(
        [seeds_at] * len(finite), finite, variant_style.marker, color=variant_style.colour, markersize=2.5, alpha=0.4
    )
    mean, _, low, high = estimate_mean(finite)
    ends = [[mean - low], [high - mean]]
    axes.errorbar(mean_at, mean, ends, fmt=variant_style.marker, color=variant_style.colour, markersize=4, capsize=2)
    if len(diverged):
        axes.plot([seeds_at] * len(diverged), diverged, "x", color=variant_style.colour, markersize=4)


def _count_diverged(axes: Axes, x: float, runs: pd.DataFrame) -> None:
    """Write vertically how many runs diverged, if any did: above their marks, or below if these are high.

    The scale of the axes must be final.
    """
    diverged = runs.loc[runs["diverged"], "final_accuracy"]
    above = diverged.max() < np.mean(axes.get_ylim())
    if len(diverged):
        axes.annotate(
            f"{len(diverged)} of {len(runs)}",
            xy=(x, diverged.max()),
            xytext=(0, 6 if above else -6),
            xycoords="data",
            textcoords="offset points",
            rotation=90,
            horizontalalignment="center",
            verticalalignment="bottom" if above else "top",
            fontsize=SMALL,
        )


def _draw_curves(axes: Axes, curves: pd.DataFrame, styles: dict[str, VariantStyle]) -> None:
    for variant, variant_style in styles.items():
        of_variant = curves[curves["variant"] == variant]
        averaged = of_variant[rows_to_average(of_variant["diverged"])]
        draw_mean(axes, averaged, "step", "accuracy", variant_style.colour, linestyle=variant_style.line_style)
    axes.set_ylim(0, 1)
    scale_steps(axes, most=4)


def _lightened(colour: str, share: float) -> str:
    """Mix a colour with a share of white."""
    red, green, blue = (part + share * (1 - part) for part in to_rgb(colour))
    return to_hex((red, green, blue))
