from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bnpipe.analysis.best_rates import TUNING_COLUMNS, make_tuning, tuning_table
from bnpipe.core.csv_files import read_table, write_table


def trials(updates: dict[float, list[float]]) -> pd.DataFrame:
    """Return curves that pass 90% after these updates, by learning rate, each a tuning seed's; nan never passes.

    A curve rises in a straight line from 0 after no update, and is evaluated after 100 of them and once it has passed.
    """
    rows = []
    for rate, of_seeds in updates.items():
        for seed, passed in enumerate(of_seeds, 500):
            slope = 0.0001 if np.isnan(passed) else 0.9 / passed
            end = 1000 if np.isnan(passed) else passed + 20
            rows += [(rate, seed, int(after) - 1, slope * after) for after in (100, end)]
    table = pd.DataFrame(rows, columns=["learning_rate", "seed", "step", "accuracy"])
    return table.assign(entrant="tanh-vanilla", activation="tanh", arm="vanilla", init_std=0.1)


def chosen(table: pd.DataFrame) -> float:
    (rate,) = table.loc[table["chosen"], "learning_rate"].unique()
    return float(rate)


def test_a_trial_is_a_row_with_its_interpolated_updates() -> None:
    table = tuning_table(trials({0.1: [250, np.nan]}), steps=1001)
    assert list(table.columns) == TUNING_COLUMNS
    assert table["seed"].tolist() == [500, 501]
    assert table["updates_to_90"].tolist() == pytest.approx([250, np.nan], nan_ok=True)


def test_the_rate_with_the_smallest_geometric_mean_is_chosen() -> None:
    # Arithmetic means 310 and 300, geometric means sqrt(120 * 500) = 245 and 300: the first wins.
    assert chosen(tuning_table(trials({0.1: [120, 500], 0.3: [300, 300]}), steps=1001)) == 0.1


def test_a_rate_at_which_a_trial_never_passes_is_behind_one_at_which_all_do() -> None:
    # If the missed trial counted as 1001, its mean, sqrt(120 * 1001) = 347, would be the smaller one.
    assert chosen(tuning_table(trials({0.1: [120, np.nan], 0.3: [400, 400]}), steps=1001)) == 0.3


def test_of_rates_at_which_as_many_never_pass_the_others_decide() -> None:
    assert chosen(tuning_table(trials({0.1: [500, np.nan], 0.3: [400, np.nan]}), steps=1001)) == 0.3


def test_of_equal_rates_the_smaller_is_chosen() -> None:
    assert chosen(tuning_table(trials({0.3: [300], 0.1: [300]}), steps=1001)) == 0.1


@pytest.mark.parametrize(("best", "inside"), [(0.1, False), (0.2, False), (0.3, True), (0.4, False), (0.5, False)])
def test_the_best_rate_is_inside_if_two_are_on_either_side(best: float, inside: bool) -> None:
    table = tuning_table(trials({rate: [200 if rate == best else 300] for rate in (0.1, 0.2, 0.3, 0.4, 0.5)}), 1001)
    assert chosen(table) == best
    assert table["inside"].tolist() == [inside] * 5


def test_the_table_is_made_from_the_file_of_the_curves(tmp_path: Path) -> None:
    curves = trials({0.1: [250, 260], 0.3: [300, 310]})
    write_table(curves, tmp_path / "curves.csv")
    make_tuning(tmp_path / "curves.csv", 1001, tmp_path / "tuning.csv")
    found, made = read_table(tmp_path / "tuning.csv"), tuning_table(curves, 1001)
    pd.testing.assert_frame_equal(found, made.round(12), check_dtype=False)
