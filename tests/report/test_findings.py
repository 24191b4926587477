from pathlib import Path

import pytest

from bnpipe.core.csv_files import read_table
from bnpipe.report.findings import findings, interval
from tests.pages import make_results


@pytest.fixture
def sentences(tmp_path: Path) -> list[str]:
    tables = make_results(tmp_path) / "tables"
    return findings("tanh", *(read_table(tables / f"{name}.csv") for name in ("summary", "comparison", "runs")))


def test_an_arm_is_told_by_its_accuracy_and_the_steps_it_took(sentences: list[str]) -> None:
    batchnorm, _, _ = sentences
    assert batchnorm.startswith("batchnorm: final validation accuracy 94.50% on average")
    assert batchnorm.endswith("2 of 2 runs reach 90%, after a median of 60 steps.")


def test_what_went_wrong_is_told_with_step_and_layer(sentences: list[str]) -> None:
    _, vanilla, _ = sentences
    assert "no run reaches 90%; all runs diverge, the first at step 1; 2 of 2 runs end in overflow, which" in vanilla
    assert "which begins at the earliest at step 1 in layer 2." in vanilla


def test_differences_of_diverged_pairs_say_so(sentences: list[str]) -> None:
    _, _, pairs = sentences
    assert pairs.startswith("batchnorm minus vanilla, seed by seed: +85.00 points on average")
    assert pairs.endswith("over 2 pairs, in all of which a run diverged.")


def test_an_interval_is_left_out_where_there_is_none() -> None:
    assert interval(0.1, 0.2) == " (95% interval 10.00% to 20.00%)"
    assert interval(float("nan"), float("nan")) == ""
