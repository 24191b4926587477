import pytest

from bnpipe.grid.conditions import Condition
from bnpipe.grid.config import parse_configuration
from bnpipe.grid.descriptions import describe, shareable
from tests.grid.test_stacks import STUDY, configuration


@pytest.mark.parametrize(
    ("condition", "line"),
    [
        (
            Condition(activation="tanh", learning_rate=0.01, init_std=0.1, steps=2000),
            "tanh, learning rate 0.01, init std 0.1",
        ),
        (
            Condition(activation="relu", learning_rate=1, init_std=1e-5, steps=60),
            "relu, learning rate 1, init std 1e-05",
        ),
        (
            Condition(activation="my.parts:swish", learning_rate=1, init_std="he", steps=60),
            "swish, learning rate 1, init std he",
        ),
        (
            Condition(activation="relu", learning_rate=1, init_std="he", steps=60, optimizer="adam", beta2=0.99),
            "relu, learning rate 1, init std he, optimizer adam, beta2 0.99",
        ),
        (
            Condition(activation="relu", learning_rate=1, init_std=1, steps=9, optimizer="momentum", weight_decay=1e-3),
            "relu, learning rate 1, init std 1, optimizer momentum, weight decay 0.001",
        ),
        (
            Condition(activation="relu", learning_rate=1, init_std="he", steps=60, network="convolutional"),
            "relu, learning rate 1, init std he, convolutional",
        ),
    ],
)
def test_describe(condition: Condition, line: str) -> None:
    assert describe(condition) == line


def test_shareable_leaves_out_what_belongs_to_one_machine() -> None:
    private = configuration(
        dataset="/home/me/pictures",
        mirrors=["/home/me/mirror"],
        seeds=[42, 51],
        studies={"rates": STUDY},
        checkpoint_seconds=5,
    )
    shared = shareable(private, "pictures")
    assert not {"mirrors", "checkpoint_seconds"} & set(shared)
    assert "/home/me" not in repr(shared)
    assert shared["dataset"] == "pictures"
    assert shared["seeds"] == [42, 51]
    again = parse_configuration(shared)
    assert again == private.model_copy(update={"dataset": "pictures", "mirrors": (), "checkpoint_seconds": 60})
