from pathlib import Path

import pytest

from bnpipe.core.errors import InputError
from bnpipe.experiments.tuned import best_rate
from tests.experiments.tuning import write_tuning


def test_the_chosen_rate_is_the_best(tmp_path: Path) -> None:
    assert best_rate(write_tuning(tmp_path, {0.1: False, 0.177827941: True, 0.316227766: False})) == 0.177827941


@pytest.mark.parametrize(
    ("chosen", "found"), [({0.1: False}, "none"), ({0.1: True, 0.2: False, 0.316227766: True}, "0.1, 0.316228")]
)
def test_none_or_several_chosen_rates_are_one_line(tmp_path: Path, chosen: dict[float, bool], found: str) -> None:
    with pytest.raises(InputError) as caught:
        best_rate(write_tuning(tmp_path, chosen))
    line = f"{tmp_path}/tuning.csv: expected one chosen learning rate, got {found}; "
    assert str(caught.value) == f"{line}delete it, and the workflow will make it again"


@pytest.mark.parametrize("header", ["learning_rate,seed", "rate,chosen"])
def test_a_table_without_the_columns_is_one_line(tmp_path: Path, header: str) -> None:
    (tmp_path / "tuning.csv").write_text(f"{header}\n1,2\n")
    with pytest.raises(InputError, match=r"tuning.csv: expected the columns learning_rate and chosen; delete it"):
        best_rate(tmp_path / "tuning.csv")
