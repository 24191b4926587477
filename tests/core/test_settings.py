from dataclasses import asdict

import pytest

from bnpipe.core.settings import TrainingSettings
from tests.conftest import make_settings

PLAIN = {**asdict(make_settings()), "hidden_sizes": [100] * 9}  # as JSON has it


def test_a_value_is_of_all_runs_and_a_list_of_each() -> None:
    assert TrainingSettings.of_each(PLAIN, runs=2) == (make_settings(),) * 2
    lists = {**PLAIN, "learning_rate": (0.1, 1), "init_std": ["he", 0.5]}
    first, second = TrainingSettings.of_each(lists, runs=2)
    assert first == make_settings(learning_rate=0.1, init_std="he")
    assert second == make_settings(learning_rate=1, init_std=0.5)
    assert TrainingSettings.of_each({**PLAIN, "init_std": "xavier"}, runs=1) == (make_settings(init_std="xavier"),)


def test_a_list_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        TrainingSettings.of_each({**PLAIN, "learning_rate": [0.1, 1]}, runs=3)
