from typing import Any

from bnpipe.grid.config import Configuration
from bnpipe.grid.entrants import entrants, optimizer_entrants


def configuration(**changes: Any) -> Configuration:
    conditions = {
        "a": {"activation": "tanh", "learning_rate": 0.01, "init_std": 0.1, "steps": 2000},
        "b": {"activation": "tanh", "learning_rate": 1, "init_std": 1, "steps": 5000},
        "c": {"activation": "relu", "learning_rate": 0.02, "init_std": 0.2, "steps": 3000, "evaluate_training": True},
    }
    return Configuration.model_validate({"conditions": conditions, "best_rate": {"steps": 700}, **changes})


def test_each_nonlinearity_has_the_pair_and_the_remedies() -> None:
    found = entrants(configuration())
    assert {
        name: tuple(own.trial[key] for key in ("activation", "arm", "init_std")) for name, own in found.items()
    } == {
        "tanh-vanilla": ("tanh", "vanilla", 0.1),
        "tanh-batchnorm": ("tanh", "batchnorm", 0.1),
        "tanh-vanilla-xavier": ("tanh", "vanilla", "xavier"),
        "tanh-batchnorm-1": ("tanh", "batchnorm", 1),
        "relu-vanilla": ("relu", "vanilla", 0.2),
        "relu-batchnorm": ("relu", "batchnorm", 0.2),
        "relu-vanilla-he": ("relu", "vanilla", "he"),
    }


def test_all_are_tuned_by_the_same_protocol() -> None:
    for own in entrants(configuration()).values():
        assert (own.trial["steps"], own.trial["stop_at_accuracy"], own.trial["evaluation_interval"]) == (700, 0.9, 30)
        assert not own.trial["evaluate_training"]


def test_at_its_best_rate_each_takes_the_steps_of_its_condition() -> None:
    steps = {name: own.steps for name, own in entrants(configuration()).items()}
    assert {name.partition("-")[0]: taken for name, taken in steps.items()} == {"tanh": 2000, "relu": 3000}


def test_the_preview_leaves_out_the_remedy_for_large_weights_and_nothing_else() -> None:
    # Whatever the condition itself starts from: it may start from large weights, too.
    for std in (0.1, 1.0):
        condition = {"activation": "tanh", "learning_rate": 0.01, "init_std": std, "steps": 2000}
        found = entrants(configuration(conditions={"a": condition}))
        assert [name for name, own in found.items() if not own.in_preview] == ["tanh-batchnorm-1"]


def test_under_every_optimizer_each_nonlinearity_has_its_pair() -> None:
    found = optimizer_entrants(configuration(optimizers={"steps": 300}))
    assert list(found) == [
        f"{activation}-{optimizer}-{arm}"
        for activation in ("tanh", "relu")
        for optimizer in ("sgd", "momentum", "adam")
        for arm in ("vanilla", "batchnorm")
    ]
    adam = found["relu-adam-batchnorm"].trial
    assert (adam["activation"], adam["arm"], adam["optimizer"], adam["init_std"]) == ("relu", "batchnorm", "adam", 0.2)
    for own in found.values():
        assert (own.trial["steps"], own.trial["stop_at_accuracy"], own.trial["diagnostics"]) == (300, 0.9, False)
    # Under plain descent a network is the one of the fair comparison, but for what is seen of its layers.
    plain = entrants(configuration(best_rate={"steps": 300}))["tanh-vanilla"].trial
    assert found["tanh-sgd-vanilla"].trial == {**plain, "diagnostics": False}
    assert optimizer_entrants(configuration()) == {}


def test_without_the_comparison_nobody_takes_part() -> None:
    assert entrants(configuration(best_rate=None)) == {}
