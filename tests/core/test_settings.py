import json
from dataclasses import asdict

import pytest

from bnpipe.core.settings import FIRST_SEED, FRESH_SEED, Runs, TrainingSettings, counts
from tests.conftest import make_settings

PLAIN = json.loads(json.dumps(asdict(make_settings())))
LISTS = {**PLAIN, "learning_rate": (0.1, 1, 0.2), "init_std": ["he", 0.5, "he"]}


def test_a_value_is_of_all_runs_and_a_list_of_each() -> None:
    assert Runs.from_plain(PLAIN, [42, 43]).each == (make_settings(),) * 2
    lists = {**PLAIN, "learning_rate": (0.1, 1), "init_std": ["he", 0.5]}
    first, second = Runs.from_plain(lists, [42, 43]).each
    assert first == make_settings(learning_rate=0.1, init_std="he")
    assert second == make_settings(learning_rate=1, init_std=0.5)
    assert Runs.from_plain({**PLAIN, "init_std": "xavier"}, [42]).each == (make_settings(init_std="xavier"),)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"learning_rate": [0.1, 1]}, "2 learning rates and 3 initializations for 3 seeds"),
        ({"init_std": ["he"]}, "3 learning rates and 1 initializations for 3 seeds"),
        ({"learning_rate": [0.1] * 4, "init_std": ["he"] * 4}, "4 learning rates and 4 initializations for 3 seeds"),
    ],
)
def test_a_list_of_another_length_is_refused(changes: dict[str, object], found: str) -> None:
    with pytest.raises(ValueError, match=found):
        Runs.from_plain({**PLAIN, **changes}, [42, 43, 44])


def test_runs_of_seeds_share_all_settings() -> None:
    runs = Runs.of_seeds(make_settings(), range(42, 45))
    assert len(runs) == 3
    assert runs.seeds == (42, 43, 44)
    assert runs.settings == make_settings()
    assert runs.each == (make_settings(),) * 3


def test_runs_come_back_from_what_they_write() -> None:
    runs = Runs.from_plain(LISTS, [42, 42, 43])
    assert Runs.from_plain(runs.to_plain(), runs.seeds) == runs
    assert runs.to_plain() == {**asdict(make_settings()), "learning_rate": (0.1, 1, 0.2), "init_std": ("he", 0.5, "he")}


def test_some_of_the_runs_are_runs_with_the_settings_of_their_first() -> None:
    runs = Runs.from_plain(LISTS, [42, 43, 44])
    assert (
        runs[1:3]
        == runs.take([1, 2])
        == Runs.from_plain({**PLAIN, "learning_rate": [1, 0.2], "init_std": [0.5, "he"]}, [43, 44])
    )
    assert runs[1:].settings == make_settings(learning_rate=1, init_std=0.5)
    assert runs.take([2, 0]).seeds == (44, 42)
    assert runs.take([2, 0]).each == (runs.each[2], runs.each[0])


def test_a_change_of_shared_settings_leaves_what_differs_between_runs() -> None:
    runs = Runs.from_plain(LISTS, [42, 43, 44])
    doubled = runs.change(precision="float64", learning_rate=tuple(2 * rate for rate in runs.learning_rates))
    expected = [
        make_settings(precision="float64", learning_rate=2 * each.learning_rate, init_std=each.init_std)
        for each in runs.each
    ]
    assert list(doubled.each) == expected
    assert doubled.settings == expected[0]
    assert doubled.seeds == runs.seeds
    assert runs.change(init_std=0.1).init_stds == (0.1,) * 3


def test_runs_differ_in_learning_rate_and_initialization_only() -> None:
    runs = Runs.from_plain(LISTS, [42, 43, 44])
    for settings in runs.each:
        differences = {name for name, value in asdict(settings).items() if value != asdict(runs.settings)[name]}
        assert differences <= {"learning_rate", "init_std"}
    assert all(isinstance(settings, TrainingSettings) for settings in runs.each)


def test_seeds_that_were_seen_or_that_tuned_do_not_count() -> None:
    assert [seed for seed in (41, 42, 51, 52, 500, 504, 505, 999, 1000, 1009, 1010, 2000) if counts(seed)] == [
        41,
        52,
        505,
        999,
        1010,
        2000,
    ]
    assert not counts(FIRST_SEED)
    assert counts(FRESH_SEED)
