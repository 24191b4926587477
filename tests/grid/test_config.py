import json
from typing import Any

import pytest
from pydantic import ValidationError

from bnpipe.core.smallest_effects import SMALLEST_EFFECTS
from bnpipe.core.yaml_files import read_yaml
from bnpipe.grid.conditions import Condition
from bnpipe.grid.config import Configuration, Normalization, json_schema, parse_configuration
from tests.grid.configurations import GOOD, REPOSITORY, changed, committed


def test_committed_configuration_is_the_tutorials() -> None:
    configuration = parse_configuration(committed())
    assert configuration.conditions == {
        "tanh": Condition(activation="tanh", learning_rate=0.01, init_std=0.1, steps=2000),
        "tanh_bad_init": Condition(activation="tanh", learning_rate=0.01, init_std=1.0, steps=5000),
        "tanh_bad_init_high_lr": Condition(activation="tanh", learning_rate=1.0, init_std=1.0, steps=5000),
        "relu": Condition(activation="relu", learning_rate=0.01, init_std=0.1, steps=2000),
        "relu_bad_init": Condition(activation="relu", learning_rate=0.01, init_std=1.0, steps=5000),
    }
    assert list(configuration.conditions)[2] == "tanh_bad_init_high_lr"  # the order of the file is kept
    read_yaml(REPOSITORY / "config.yaml")


@pytest.mark.parametrize("values", [{"conditions": GOOD["conditions"]}, committed()], ids=["defaults", "config.yaml"])
def test_defaults_are_the_tutorials(values: dict[str, Any]) -> None:
    configuration = parse_configuration(values)
    sections = {"conditions", "studies", "best_rate", "optimizers", "equilibrium", "paper"}
    assert configuration.model_dump(exclude=sections) == {
        "dataset": "mnist",
        "mirrors": (),
        "validation_images": 5000,
        "seeds": (42, 2000, 2001, 2002, 2003, 2004, 2005, 2006, 2007, 2008, 2009, 2010, 2011),
        "arms": ("vanilla", "batchnorm"),
        "hidden_sizes": (100, 100, 100, 100, 100, 100, 100, 100, 100),
        "batch_size": 60,
        "evaluation_interval": 60,
        "normalization": {
            "epsilon": 0.001,
            "moving_average_weight": 0.01,
            "moving_variance": "biased",
            "groups": 5,
            "ghost_size": 15,
            "renorm_max_scale": 3.0,
            "renorm_max_shift": 5.0,
            "renorm_start": 500,
            "renorm_ramp": 1000,
        },
        "diagnostics": True,
        "keep_weights": False,
        "closer_looks": True,
        "smallest_effects": {key: effect.size for key, effect in SMALLEST_EFFECTS.items()},
        "chunk_size": 10,
        "runs_per_job": None,
        "checkpoint_seconds": 60,
        "device": "cpu",
        "tf32": False,
    }


def test_configuration_is_frozen() -> None:
    configuration = parse_configuration(GOOD)
    with pytest.raises(ValidationError):
        configuration.batch_size = 30  # type: ignore[misc]
    with pytest.raises(ValidationError):
        configuration.normalization.epsilon = 1.0  # type: ignore[misc]
    with pytest.raises(ValidationError):
        configuration.conditions["tanh"].steps = 1  # type: ignore[misc]
    assert configuration == parse_configuration(GOOD)


def test_sections_can_be_made_from_python() -> None:
    condition = Condition(activation="relu", learning_rate=1, init_std=0.1, steps=5)
    configuration = Configuration(conditions={"own": condition})
    assert configuration.normalization == Normalization(epsilon=0.001)


# The schema for editors


def test_committed_schema_is_up_to_date() -> None:
    assert (REPOSITORY / "docs" / "config.schema.json").read_text(encoding="utf-8") == json_schema()


@pytest.fixture(scope="module")
def schema() -> Any:
    """Return a validator for the schema, which is itself checked."""
    jsonschema = pytest.importorskip("jsonschema")
    validator = jsonschema.Draft202012Validator
    validator.check_schema(json.loads(json_schema()))
    return validator(json.loads(json_schema()))


@pytest.mark.parametrize("values", [committed(), GOOD, changed("seeds", [42, 51])], ids=["config.yaml", "good", "list"])
def test_schema_accepts(schema: Any, values: dict[str, Any]) -> None:
    assert schema.is_valid(values)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sedes", 1),
        ("seeds", 0),
        ("seeds", [1, 1]),
        ("seeds", "5"),
        ("arms", []),
        ("arms.0", "instancenorm"),
        ("batch_size", 1),
        ("hidden_sizes", 100),
        ("conditions", {}),
        ("conditions.tanh.steps", 0),
        ("conditions.tanh.activation", "selu"),
        ("conditions.tanh.learning_rate", 0),
        ("conditions.tanh.learnin_rate", 0.1),
        ("conditions.two words", GOOD["conditions"]["tanh"]),
        ("normalization.momentum", 0.9),
        ("normalization.moving_average_weight", 1.5),
        ("best_rate", {"tuning": {"learning_rates": [0.01, 0.1, 1, 10]}}),
        ("best_rate", {"preview": {"seeds": []}}),
    ],
)
def test_schema_refuses(schema: Any, key: str, value: object) -> None:
    assert not schema.is_valid(changed(key, value))
