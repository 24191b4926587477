from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bnpipe.analysis.study_tables import STATES, make_study_tables, study_summary_table
from bnpipe.core.errors import InputError
from bnpipe.core.records import write_record
from tests.conftest import make_record, make_settings


def test_swept_values_are_columns_and_runs_keep_their_order(tmp_path: Path) -> None:
    settings = [
        make_settings(arm="vanilla", learning_rate=rate, hidden_sizes=(20,) * depth)
        for depth in (2, 1)
        for rate in (1.0, 0.1)
    ]
    paths = [tmp_path / f"study/runs/{name}.safetensors" for name in "ab"]
    for path, own in zip(paths, (settings[:2], settings[2:]), strict=True):
        write_record(replace(make_record("study", seeds=(42, 42)), settings=tuple(own)), path)
    accuracy, runs, summary = (tmp_path / f"studies/sizes/{name}.csv" for name in ("accuracy", "runs", "summary"))
    make_study_tables(paths, ["learning_rate", "hidden_sizes"], accuracy, runs, summary)

    table = pd.read_csv(runs)
    assert list(table.columns[:4]) == ["learning_rate", "hidden_sizes", "arm", "seed"]
    assert table["learning_rate"].tolist() == [1.0, 0.1, 1.0, 0.1]
    assert table["hidden_sizes"].tolist() == ["2 x 20", "2 x 20", "1 x 20", "1 x 20"]
    assert table["final_accuracy"].tolist() == pytest.approx([0.9, 0.89, 0.9, 0.89])
    assert table["record"].tolist()[:2] == ["study/runs/a.safetensors"] * 2
    evaluations = pd.read_csv(accuracy)
    assert evaluations["learning_rate"].tolist() == [1.0] * 3 + [0.1] * 3 + [1.0] * 3 + [0.1] * 3
    assert evaluations["step"].tolist() == [0, 60, 120] * 4
    assert "training_set_loss" not in evaluations  # not measured
    assert pd.read_csv(summary)["mean"].tolist() == pytest.approx([0.9, 0.89, 0.9, 0.89])


def test_parts_of_ones_own_are_named_without_their_module(tmp_path: Path) -> None:
    settings = (make_settings(arm="my.norms:MeanOnly", activation="my.norms:swish"),)
    write_record(replace(make_record("study"), settings=settings), tmp_path / "studies/study/runs/a.safetensors")
    outputs = [tmp_path / f"studies/study/{name}.csv" for name in ("accuracy", "runs", "summary")]
    make_study_tables([tmp_path / "studies/study/runs/a.safetensors"], ["activation"], *outputs)
    for path in outputs:
        assert {*pd.read_csv(path)[["activation", "arm"]].itertuples(index=False, name=None)} == {("swish", "MeanOnly")}


def test_runs_that_stopped_early_keep_their_swept_values(tmp_path: Path) -> None:
    # The first of two runs stopped after its first evaluation, the second took all three.
    record = make_record("study", seeds=(42, 42), steps=121)
    settings = tuple(make_settings(steps=121, learning_rate=rate) for rate in (0.1, 1.0))
    curves = replace(record.curves, stopped_after=np.array([1, 121]))
    write_record(replace(record, settings=settings, curves=curves), tmp_path / "studies/study/runs/a.safetensors")
    outputs = [tmp_path / f"studies/study/{name}.csv" for name in ("accuracy", "runs", "summary")]
    make_study_tables([tmp_path / "studies/study/runs/a.safetensors"], ["learning_rate"], *outputs)
    accuracy, runs = pd.read_csv(outputs[0]), pd.read_csv(outputs[1])
    assert accuracy[["learning_rate", "step"]].to_numpy().tolist() == [[0.1, 0], [1, 0], [1, 60], [1, 120]]
    assert runs["learning_rate"].tolist() == [0.1, 1]


def test_summary_by_hand() -> None:
    runs = pd.DataFrame(
        {
            "rate": [2, 2, 2, 1],
            "arm": "vanilla",
            "final_accuracy": [0.5, 0.7, 0.1, 0.2],
            "first_nonfinite_step": pd.array([None, None, 7, None], dtype="Int64"),
            "state": ["healthy", "saturated", "overflow", "dead"],
            "first_bad_step": pd.array([None, 60, 6, 0], dtype="Int64"),
            "first_bad_layer": pd.array([None, 2, 3, 1], dtype="Int64"),
        }
    )
    first, second = study_summary_table(runs, ["rate"]).to_dict("records")
    assert (first["rate"], first["n"], first["diverged"], second["rate"]) == (2, 3, 1, 1)
    assert first["mean"] == pytest.approx(0.6)  # of the two that stayed finite
    assert [first[state] for state in STATES] == [1, 1, 0, 1]
    assert (first["first_bad_step"], first["first_bad_layer"]) == (6, 3)  # of one run
    assert [second[state] for state in STATES] == [0, 0, 1, 0]


def test_records_of_different_data_are_refused(tmp_path: Path) -> None:
    record = make_record()
    write_record(record, tmp_path / "a.safetensors")
    write_record(replace(record, origin=replace(record.origin, dataset_sha256="e" * 64)), tmp_path / "b.safetensors")
    with pytest.raises(InputError, match=r"different data: a.safetensors, b.safetensors"):
        make_study_tables(
            [tmp_path / "a.safetensors", tmp_path / "b.safetensors"],
            [],
            *(tmp_path / f"studies/s/{name}" for name in "xyz"),
        )
