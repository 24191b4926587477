from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bnpipe.analysis.tables import (
    ACCURACY_COLUMNS,
    COMPARISON_COLUMNS,
    LAYER_COLUMNS,
    ORIGIN_COLUMNS,
    RUN_COLUMNS,
    SUMMARY_COLUMNS,
    comparison_table,
    evaluations_of,
    layers_of,
    make_tables,
    runs_of,
    summary_table,
)
from bnpipe.core.errors import InputError
from bnpipe.core.records import Record, write_record
from bnpipe.core.settings import Arm
from bnpipe.grid.plan import RUN_TABLES
from tests.conftest import make_record

ARMS: list[Arm] = ["vanilla", "batchnorm"]
CONDITIONS, SEEDS = ["relu", "tanh"], [42, 43]


def runs_table(*rows: tuple[str, int, float, float | None]) -> pd.DataFrame:
    """Return the columns of the table `runs` that others are made from: arm, seed, accuracy, first non-finite step."""
    return pd.DataFrame(
        {
            "condition": "tanh",
            "arm": [row[0] for row in rows],
            "seed": [row[1] for row in rows],
            "final_accuracy": [row[2] for row in rows],
            "test_accuracy": [row[2] for row in rows],
            "first_nonfinite_step": pd.array([row[3] for row in rows], dtype="Int64"),
        }
    )


def test_evaluations_are_one_row_each() -> None:
    table = evaluations_of(make_record(seeds=(42, 43), accuracy=(0.1, 0.5)))
    assert list(table.columns) == ACCURACY_COLUMNS
    assert table[["seed", "step"]].to_numpy().tolist() == [[42, 0], [42, 60], [43, 0], [43, 60]]
    assert table["accuracy"].tolist() == pytest.approx([0.1, 0.5, 0.09, 0.49])


def test_layers_are_one_row_each_counted_from_one() -> None:
    table = layers_of(make_record(seeds=(42, 43), accuracy=(0.1, 0.5)))
    assert list(table.columns) == LAYER_COLUMNS
    assert table[["seed", "step", "layer"]].to_numpy().tolist() == [
        [seed, step, layer] for seed in (42, 43) for step in (0, 60) for layer in (1, 2, 3)
    ]
    assert table["saturated"].tolist() == [0, 0.25, 0.5] * 4
    assert layers_of(make_record(diagnostics=False)).empty


def test_a_run_by_hand() -> None:
    # Accuracies 0.1, 0.95, 0.9 at steps 0, 60, 120: best at 60, the area's mean (0.525 + 0.925) / 2.
    (row,) = runs_of(make_record(accuracy=(0.1, 0.95, 0.9)), "a").to_dict("records")
    assert row["final_accuracy"] == 0.9
    assert row["best_accuracy"] == 0.95
    assert row["test_accuracy"] == pytest.approx(0.899)
    assert row["area_under_curve"] == pytest.approx(0.725)
    assert row["steps_to_90"] == 60
    assert pd.isna(row["first_nonfinite_step"])
    assert row["final_training_loss"] == 0.5
    assert row["state"] == "healthy"
    assert pd.isna(row["first_bad_step"])
    assert row["record"] == "a"


def test_a_run_that_never_gets_there_and_one_that_diverges() -> None:
    (row,) = runs_of(make_record(accuracy=(0.1, 0.2), diverged=True), "a").to_dict("records")
    assert pd.isna(row["steps_to_90"])
    assert row["first_nonfinite_step"] == 1
    assert [row[f"first_bad_{what}"] for what in ("step", "layer", "place")] == [1, 2, "z"]
    assert row["state"] == "overflow"
    assert np.isnan(row["final_training_loss"])


def test_a_run_that_stopped_early_ends_there_in_every_table() -> None:
    # Of three evaluations (steps 0, 60, 120) of 121 steps the second run had two; nan would be its values afterwards.
    record = make_record(seeds=(42, 43), accuracy=(0.1, 0.95, 0.9), steps=121)
    record.curves.accuracy[1, 2] = np.nan
    record.curves.training_loss[1, 61:] = np.nan
    record.curves.training_loss[1, :61] = np.r_[9.0, np.full(60, 0.25)]
    ended = replace(record, curves=replace(record.curves, stopped_after=np.array([121, 61])))
    assert evaluations_of(ended)[["seed", "step"]].to_numpy().tolist() == [
        *([42, 0], [42, 60], [42, 120]),
        *([43, 0], [43, 60]),
    ]
    assert len(layers_of(ended)) == 5 * 3
    first, second = runs_of(ended, "a").to_dict("records")
    assert (first["final_accuracy"], second["final_accuracy"]) == pytest.approx((0.9, 0.94))
    assert second["area_under_curve"] == pytest.approx(0.515)  # between 0.09 and 0.94
    assert second["best_accuracy"] == pytest.approx(0.94)
    assert second["final_training_loss"] == 0.25
    assert pd.isna(second["first_nonfinite_step"])
    assert second["state"] == "healthy"


def test_a_single_evaluation_has_its_accuracy_as_area() -> None:
    assert runs_of(make_record(accuracy=(0.25,)), "a")["area_under_curve"].tolist() == [0.25]


def test_summary_by_hand() -> None:
    table = summary_table(runs_table(("vanilla", 42, 0.8, None), ("vanilla", 43, 0.9, None)))
    (row,) = table.to_dict("records")
    half = 12.706204736432095 * np.sqrt(0.005) / np.sqrt(2)  # t(0.975, 1) * s / sqrt(2)
    assert (row["n"], row["diverged"]) == (2, 0)
    assert row["mean"] == pytest.approx(0.85)
    assert row["standard_deviation"] == pytest.approx(np.sqrt(0.005))
    assert (row["low"], row["high"]) == pytest.approx((0.85 - half, 0.85 + half))


def test_diverged_runs_are_never_averaged_with_others() -> None:
    mixed = [("vanilla", 42, 0.8, None), ("vanilla", 43, 0.1, 7), ("vanilla", 44, 0.9, None)]
    (row,) = summary_table(runs_table(*mixed)).to_dict("records")
    assert (row["n"], row["diverged"]) == (3, 1)
    assert row["mean"] == pytest.approx(0.85)
    (row,) = summary_table(runs_table(("vanilla", 42, 0.1, 1), ("vanilla", 43, 0.2, 1))).to_dict("records")
    assert (row["n"], row["diverged"]) == (2, 2)
    assert row["mean"] == pytest.approx(0.15)


def test_comparison_pairs_seeds() -> None:
    table = comparison_table(
        runs_table(
            ("batchnorm", 42, 0.9, None),
            ("batchnorm", 43, 0.8, None),
            ("batchnorm", 44, 0.9, None),
            ("vanilla", 43, 0.7, None),
            ("vanilla", 42, 0.6, None),
            ("vanilla", 44, 0.1, 3),
        ),
        baseline="vanilla",
    )
    assert list(table.columns) == COMPARISON_COLUMNS
    assert table["difference"].tolist() == pytest.approx([0.3, 0.1, 0.8])
    assert table["diverged"].tolist() == [False, False, True]
    assert table["n"].tolist() == [3] * 3
    assert table["n_diverged"].tolist() == [1] * 3
    assert table["mean_difference"].tolist() == pytest.approx([0.2] * 3)  # of the two pairs that stayed finite


def test_comparison_of_one_arm_is_empty_with_all_columns() -> None:
    table = comparison_table(runs_table(("vanilla", 42, 0.9, None)), baseline="vanilla")
    assert list(table.columns) == COMPARISON_COLUMNS
    assert table.empty


@pytest.fixture
def records(tmp_path: Path) -> list[Path]:
    paths = []
    for condition in CONDITIONS:
        for arm in ARMS:
            path = tmp_path / f"runs/{condition}/{arm}.safetensors"
            write_record(make_record(condition, arm, SEEDS), path)
            paths.append(path)
    return paths


def tables(records: list[Path], folder: Path) -> dict[str, list[str]]:
    make_tables(records, CONDITIONS, ARMS, SEEDS, **{name: folder / f"{name}.csv" for name in RUN_TABLES})
    return {path.stem: path.read_text().splitlines() for path in folder.iterdir()}


def test_tables_are_complete_sorted_and_the_same_bytes_in_any_order(records: list[Path], tmp_path: Path) -> None:
    first = tables(records, tmp_path / "first")
    assert tables(records[::-1], tmp_path / "second") == first
    columns = {name: ",".join(names) for name, names in {
        "accuracy": ACCURACY_COLUMNS, "runs": RUN_COLUMNS, "summary": SUMMARY_COLUMNS,
        "comparison": COMPARISON_COLUMNS, "origins": ORIGIN_COLUMNS, "layers": LAYER_COLUMNS,
    }.items()}  # fmt: skip
    assert {name: lines[0] for name, lines in first.items()} == columns
    assert {name: len(lines) - 1 for name, lines in first.items()} == {
        "accuracy": 2 * 2 * 2 * 3, "runs": 8, "summary": 4, "comparison": 4, "origins": 4, "layers": 2 * 2 * 2 * 3 * 3,
    }  # fmt: skip
    assert first["accuracy"][1:4] == [
        "relu,batchnorm,42,0,0.1,0.9,0.5,0.5,,",
        "relu,batchnorm,42,60,0.5,0.5,0.5,0.5,,",
        "relu,batchnorm,42,120,0.9,0.1,0.5,0.5,,",
    ]
    assert first["runs"][1].endswith("runs/relu/batchnorm.safetensors")


def test_a_missing_run_is_named(records: list[Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="missing: relu/vanilla seed 42, relu/vanilla seed 43; run the workflow again"):
        tables(records[1:], tmp_path / "tables")
    assert not (tmp_path / "tables").exists()


def test_a_run_that_stands_twice_or_was_not_asked_for_is_named(records: list[Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="twice: relu/vanilla seed 42"):
        tables([*records, records[0]], tmp_path / "tables")
    write_record(make_record("tanh", "vanilla", (99,)), records[0].with_name("other.safetensors"))
    with pytest.raises(InputError, match="not asked for: tanh/vanilla seed 99"):
        tables([*records, records[0].with_name("other.safetensors")], tmp_path / "tables")


def test_runs_on_different_data_are_refused(records: list[Path], tmp_path: Path) -> None:
    record = make_record("tanh", "batchnorm", SEEDS)
    write_record(on_other_data(record), records[-1])
    with pytest.raises(InputError, match=r"different data: runs/relu/batchnorm.safetensors, runs/tanh/batchnorm"):
        tables(records, tmp_path / "tables")


def on_other_data(record: Record) -> Record:
    return replace(record, origin=replace(record.origin, dataset_sha256="e" * 64))
