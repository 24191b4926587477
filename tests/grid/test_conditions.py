import pytest

from bnpipe.core.errors import InputError
from bnpipe.grid.conditions import Condition
from bnpipe.grid.config import parse_configuration
from tests.grid.configurations import GOOD, changed


def test_a_study_is_all_combinations_of_its_values() -> None:
    study = parse_configuration(GOOD).studies["rates"]
    assert [(condition.learning_rate, condition.hidden_sizes) for condition in study.cells] == [
        (0.1, (30, 30)),
        (0.1, (20, 10)),
        (1, (30, 30)),
        (1, (20, 10)),
    ]
    assert {(condition.learning_rate, condition.init_std) for condition in study.cells} == {(0.1, 0.1), (1, 0.1)}


def test_a_swept_value_is_refused_in_the_words_for_a_value_of_the_condition() -> None:
    with pytest.raises(InputError) as of_condition:
        parse_configuration(changed("conditions.tanh.learning_rate", 0))
    with pytest.raises(InputError) as of_sweep:
        parse_configuration(changed("studies.rates.sweep.learning_rate", [0.1, 0]))
    reason = str(of_condition.value).split("learning_rate", 1)[1]
    assert str(of_sweep.value).endswith(f"learning_rate{reason}")
    assert "studies.rates.sweep" in str(of_sweep.value)


@pytest.mark.parametrize(
    ("changes", "plain"),
    [({}, True), ({"optimizer": "momentum"}, False), ({"weight_decay": 0.1}, False)],
    ids=["neither", "an optimizer", "weight decay"],
)
def test_plain_descent_is_neither_another_optimizer_nor_weight_decay(changes: dict[str, object], plain: bool) -> None:
    assert Condition.model_validate({**GOOD["conditions"]["tanh"], **changes}).is_plain_descent == plain
