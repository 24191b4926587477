"""A study: final accuracies over its cells, and the curves behind them; of learning rate and init std, maps."""

from collections.abc import Sequence
from itertools import cycle, product
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bnpipe.analysis.stats import estimate_mean
from bnpipe.analysis.tables import rows_to_average
from bnpipe.core.csv_files import read_table
from bnpipe.figures.style import (
    COLOURS,
    LINE_STYLES,
    MARKERS,
    SMALL,
    TWO_COLUMNS,
    canvas,
    draw_mean,
    save,
    scale_steps,
    style,
    wrapped,
)

MAP = {"learning_rate", "init_std"}  # the swept settings of which maps are drawn
COLOUR_MAP = matplotlib.colormaps["cividis"]  # reads the same to the colour-blind
MAX_CURVES = 8  # in one panel
MAX_PLACES, MAX_VARIATIONS = 20, 8  # drawn side by side, of the first swept setting and of the others
MAX_WRITTEN = 10  # values along an axis of a map, if its cells are to be read
IN_A_ROW = 3  # panels
WIDTH = TWO_COLUMNS / IN_A_ROW  # of a panel, in inches
DIVERGED = "\N{MULTIPLICATION SIGN}: diverged"
EXPLANATION = "every seed, mean and its 95% interval"
LETTERS = {"saturated": "s", "dead": "d", "overflow": "o"}  # of the states that are not healthy
_STATES = ", ".join(f"{state} ({letter})" for state, letter in LETTERS.items())
MAP_EXPLANATION = f"every seed, mean of those that stayed finite, how many are {_STATES}; {DIVERGED}"
LARGE_MAP_EXPLANATION = "mean of the runs that stayed finite"


class VariantStyle(NamedTuple):
    """How the runs of a variant are drawn: told apart without colours too."""

    colour: str
    line_style: Any
    marker: str


def make_study(
    accuracy: Path, runs: Path, swept: Sequence[str], about: str, note: str, outputs: Sequence[Path]
) -> None:
    """Draw a study from the files of its two tables, into each of the output files; see `draw_study`."""
    with style():
        save(draw_study(read_table(accuracy), read_table(runs), swept, about, note), outputs)


def draw_study(accuracy: pd.DataFrame, runs: pd.DataFrame, swept: Sequence[str], about: str, note: str) -> Figure:
    """Draw a study in the form that its swept settings ask for.

    accuracy, runs: the study's tables of these names. swept: the settings that differ between its cells, columns of
    both. about: what the study asks; note: what it was run on. Both stand above the axes.
    """
    runs = runs.assign(diverged=runs["first_nonfinite_step"].notna())
    if set(swept) == MAP and pd.api.types.is_numeric_dtype(runs["init_std"]):
        return draw_maps(runs, about, note)
    labelled = with_labels(runs, swept)
    shown = labelled[first_cells(labelled)]
    if len(shown) < len(labelled):
        cells, of = (table.drop_duplicates(["variant", "place"]) for table in (shown, labelled))
        note = f"{note}; the first {len(cells)} of {len(of)} cells, all are in summary.csv"
    keys = [*swept, "arm", "seed"]
    curves = accuracy.merge(shown[[*keys, "diverged"]], on=keys)
    return draw_cells(with_labels(curves, swept), shown, spoken(swept[0]), about, note)


def draw_maps(runs: pd.DataFrame, about: str, note: str) -> Figure:
    """Draw final accuracy over learning rate and init std, and against the effective learning rate; an arm a row.

    runs: the table of this name, with a column `diverged`. Where nothing but learning rate / init std^2 matters, the
    lines of all init stds are one. Of large maps no cell is written in and no run is drawn; a scale of colours stands
    beside them.
    """
    arms = _unique(runs["arm"])
    is_large = max(runs["learning_rate"].nunique(), runs["init_std"].nunique()) > MAX_WRITTEN
    explanation = LARGE_MAP_EXPLANATION if is_large else MAP_EXPLANATION
    figure = canvas(TWO_COLUMNS, 1.9 * len(arms) + 0.5, about, _drawn(note, runs, explanation))
    grid = figure.subplots(len(arms), 2, squeeze=False, sharex="col", sharey="col", width_ratios=(1.2, 1))
    for row, arm in zip(grid, arms, strict=True):
        _draw_map(row[0], runs[runs["arm"] == arm], is_large)
        _draw_effective_rates(row[1], runs[runs["arm"] == arm], is_large)
        for axes in row:
            axes.set_title(arm)
    if is_large:
        scale = ScalarMappable(Normalize(0, 1), COLOUR_MAP)
        figure.colorbar(scale, ax=grid[:, 0].tolist(), label="final accuracy; grey: all runs diverged")
    grid[-1, 0].set_xlabel("learning rate")
    grid[-1, 1].set_xlabel("effective learning rate: learning rate / init std²")
    handles, labels = grid[0, 1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 5))
    return figure


def draw_cells(curves: pd.DataFrame, runs: pd.DataFrame, first: str, about: str, note: str) -> Figure:
    """Draw final accuracy over the first swept setting, and for each of its values the mean curves of all variants.

    curves, runs: the tables `accuracy` and `runs` with a column `diverged` and those of `with_labels`. first: name of
    that setting in words. Too many curves for a panel are left out.
    """
    styles = variant_styles(runs)
    crosses = f"; {DIVERGED}, and how many of all, never averaged with others" if runs["diverged"].any() else ""
    places = _unique(runs["place"]) if len(styles) <= MAX_CURVES else []
    figure, final, panels = _canvas(len(places), about, _drawn(note, runs, EXPLANATION + crosses))
    _draw_final(final, runs, styles)
    final.set_xlabel(first)
    for axes, place in zip(panels, places, strict=True):
        _draw_curves(axes, curves[curves["place"] == place], styles)
        axes.set_title(wrapped(f"{first}: {place}", 0.8 * WIDTH, size=8))
    for axes in panels[::IN_A_ROW]:
        axes.set_ylabel("validation accuracy")
    handles = [
        Line2D([], [], color=look.colour, linestyle=look.line_style, marker=look.marker, label=variant)
        for variant, look in styles.items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=runs["arm"].nunique())
    return figure


def with_labels(table: pd.DataFrame, swept: Sequence[str]) -> pd.DataFrame:
    """Add columns of text: `place`, the first swept value; `variation`, the others; `variant`, arm and variation."""
    place, *others = (table[name].map(_tick) for name in swept)
    variation = pd.Series("", index=table.index)
    for name, ticks in zip(swept[1:], others, strict=True):
        variation = variation + f", {spoken(name)}: " + ticks
    return table.assign(place=place, variation=variation, variant=table["arm"] + variation)


def first_cells(runs: pd.DataFrame) -> pd.Series:
    """Choose the rows that a figure of cells holds: of the first MAX_PLACES places, and MAX_VARIATIONS variations.

    runs: with the columns of `with_labels`.
    """
    places, variations = _unique(runs["place"])[:MAX_PLACES], _unique(runs["variation"])[:MAX_VARIATIONS]
    return runs["place"].isin(places) & runs["variation"].isin(variations)


def variant_styles(runs: pd.DataFrame) -> dict[str, VariantStyle]:
    """Choose a look for every variant, in their order.

    Arms differ in colour, line and marker; where there are variations of an arm these differ in line, marker and
    lightness of its colour.
    """
    arms, variations = _unique(runs["arm"]), _unique(runs["variation"])
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
    """Return a figure, wide axes for final accuracies, and so many panels of one scale beside or below."""
    beside = panels < IN_A_ROW
    columns, rows = (1 + panels, 1) if beside else (IN_A_ROW, 1 - (-panels // IN_A_ROW))
    figure = canvas(TWO_COLUMNS, 1.9 * rows + 0.3, *lines)
    grid = figure.add_gridspec(rows, columns)
    final = figure.add_subplot(grid[0, 0] if beside else grid[0, :])
    first = 1 if beside else IN_A_ROW
    places = [divmod(number, columns) for number in range(first, first + panels)]
    return figure, final, [figure.add_subplot(grid[place]) for place in places]


def _draw_final(axes: Axes, runs: pd.DataFrame, styles: dict[str, VariantStyle]) -> None:
    """Draw every final accuracy at its place, variants side by side, under the mean of the finite ones."""
    places = _unique(runs["place"])
    width = 0.8 / len(styles)  # of a variant, where places are 1 apart
    cells = {
        x - 0.4 + width * number: (runs[(runs["variant"] == variant) & (runs["place"] == place)], look)
        for (number, (variant, look)), (x, place) in product(enumerate(styles.items()), enumerate(places))
    }
    for left, (cell, look) in cells.items():
        _draw_cell(axes, left + 0.3 * width, left + 0.6 * width, cell, look)
    axes.set_title("final accuracy")
    axes.set_ylabel("validation accuracy")
    axes.set_xticks(range(len(places)), places)
    axes.set_xlim(-0.5, len(places) - 0.5)
    axes.set_ylim(max(axes.get_ylim()[0], 0), min(axes.get_ylim()[1], 1))
    axes.grid(axis="x", visible=False)
    for left, (cell, _) in cells.items():
        _count_diverged(axes, left + 0.3 * width, cell)


def _draw_cell(axes: Axes, seeds_at: float, mean_at: float, runs: pd.DataFrame, look: VariantStyle) -> None:
    """Draw the final accuracies of a cell: seeds, mean and interval, and the diverged ones."""
    finite, diverged = (runs.loc[runs["diverged"] == state, "final_accuracy"] for state in (False, True))
    axes.plot([seeds_at] * len(finite), finite, look.marker, color=look.colour, markersize=2.5, alpha=0.4)
    mean, _, low, high = estimate_mean(finite)
    ends = [[mean - low], [high - mean]]
    axes.errorbar(mean_at, mean, ends, fmt=look.marker, color=look.colour, markersize=4, capsize=2)
    if len(diverged):
        axes.plot([seeds_at] * len(diverged), diverged, "x", color=look.colour, markersize=4)


def _count_diverged(axes: Axes, x: float, runs: pd.DataFrame) -> None:
    """Write how many of the runs diverged, where any did, upright over their marks, or under them where these are high.

    The axes have their scale.
    """
    diverged = runs.loc[runs["diverged"], "final_accuracy"]
    over = diverged.max() < np.mean(axes.get_ylim())
    if len(diverged):
        axes.annotate(
            *(f"{len(diverged)} of {len(runs)}", (x, diverged.max()), (0, 6 if over else -6), "data", "offset points"),
            rotation=90,
            horizontalalignment="center",
            verticalalignment="bottom" if over else "top",
            fontsize=SMALL,
        )


def _draw_curves(axes: Axes, curves: pd.DataFrame, styles: dict[str, VariantStyle]) -> None:
    for variant, look in styles.items():
        of_variant = curves[curves["variant"] == variant]
        averaged = of_variant[rows_to_average(of_variant["diverged"])]
        draw_mean(axes, averaged, "step", "accuracy", look.colour, linestyle=look.line_style)
    axes.set_ylim(0, 1)
    scale_steps(axes, most=4)


def _draw_map(axes: Axes, runs: pd.DataFrame, is_large: bool) -> None:
    """Colour every cell by the mean of its finite runs; where the map is not large, write it in."""
    rates, stds = _unique(runs["learning_rate"]), _unique(runs["init_std"])
    axes.set_facecolor("#BBBBBB")  # of a cell without a finite run
    finite = runs[~runs["diverged"]]
    means = finite.pivot_table(index="init_std", columns="learning_rate", values="final_accuracy")
    means = means.reindex(index=stds, columns=rates)
    look: dict[str, Any] = {"rasterized": True} if is_large else {"edgecolors": "white"}
    axes.pcolormesh(np.ma.masked_invalid(means), cmap=COLOUR_MAP, vmin=0, vmax=1, **look)
    if not is_large:
        _write_cells(axes, means, runs)
    for axis, values in ((axes.xaxis, rates), (axes.yaxis, stds)):
        named = np.arange(0, len(values), -(-len(values) // MAX_WRITTEN))
        axis.set_ticks(named + 0.5, [_tick(values[number]) for number in named])
    axes.tick_params(axis="x", rotation=90 if is_large else 0)
    axes.set_ylabel("init std")
    axes.grid(visible=False)


def _write_cells(axes: Axes, means: pd.DataFrame, runs: pd.DataFrame) -> None:
    """Write into each cell what stands in it; means: init stds x learning rates."""
    for (row, std), (column, rate) in product(enumerate(means.index), enumerate(means.columns)):
        cell = runs[(runs["init_std"] == std) & (runs["learning_rate"] == rate)]
        mean = means.loc[std, rate]
        colour = "white" if mean < 0.5 else "black"
        axes.text(column + 0.5, row + 0.5, _written(mean, cell), color=colour, ha="center", va="center", fontsize=SMALL)


def _written(mean: float, runs: pd.DataFrame) -> str:
    """Write a cell's mean, where it has one, and how many runs are in each state that is not healthy."""
    shown = [] if np.isnan(mean) else [f"{mean:.2f}"]
    counts = {letter: (runs["state"] == state).sum() for state, letter in LETTERS.items()}
    return "\n".join([*shown, *(f"{count} {letter}" for letter, count in counts.items() if count)])


def _draw_effective_rates(axes: Axes, runs: pd.DataFrame, is_large: bool) -> None:
    """Draw final accuracy against learning rate / init std^2, the cells of an init std a line; some lines are named."""
    runs = runs.assign(rate=runs["learning_rate"] / runs["init_std"] ** 2)
    stds = _unique(runs["init_std"])
    named = stds[:: -(-len(stds) // MAX_WRITTEN)]
    for std, shade, marker in zip(stds, np.linspace(0, 0.9, len(stds)), cycle(MARKERS.values()), strict=False):
        colour = to_hex(COLOUR_MAP(shade))
        of_std = runs[runs["init_std"] == std]
        finite, diverged = (of_std[of_std["diverged"] == state] for state in (False, True))
        if not is_large:
            axes.plot(finite["rate"], finite["final_accuracy"], marker, color=colour, markersize=2.5, alpha=0.3)
            axes.plot(diverged["rate"], diverged["final_accuracy"], "x", color=colour, markersize=4)
        means = finite.groupby("rate")["final_accuracy"].mean()
        look: dict[str, Any] = {"linewidth": 0.8} if is_large else {"marker": marker, "markersize": 4}
        axes.plot(means.index, means, color=colour, label=f"init std {std:g}" if std in named else None, **look)
    axes.set_xscale("log")
    axes.set_ylim(0, 1)
    axes.set_ylabel("final validation accuracy")


def _drawn(note: str, runs: pd.DataFrame, explanation: str) -> str:
    return f"{note}; n = {runs['seed'].nunique()} seeds, {explanation}"


def _lightened(colour: str, share: float) -> str:
    """Mix a colour with a share of white."""
    red, green, blue = (part + share * (1 - part) for part in to_rgb(colour))
    return to_hex((red, green, blue))


def _tick(value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if not isinstance(value, int | float | np.number):
        return str(value)
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:g}"


def spoken(name: str) -> str:
    """Write the name of a setting or of a column in words."""
    return name.replace("_", " ")


def _unique(values: pd.Series) -> list[Any]:
    """Return the values in the order of their first appearance, which is that of the configuration."""
    return list(dict.fromkeys(values))
