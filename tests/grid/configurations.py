"""A good configuration, ways to change it, and what is wrong with a bad one."""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from bnpipe.core.errors import InputError
from bnpipe.core.yaml_files import YamlFile
from bnpipe.grid.config import parse_configuration

REPOSITORY = Path(__file__).resolve().parents[2]

GOOD: dict[str, Any] = {
    "dataset": "mnist",
    "mirrors": ["https://example.org/mnist"],
    "validation_images": 5000,
    "seeds": 3,
    "arms": ["vanilla", "batchnorm"],
    "conditions": {"tanh": {"activation": "tanh", "learning_rate": 0.01, "init_std": 0.1, "steps": 2000}},
    "hidden_sizes": [100, 50],
    "batch_size": 60,
    "evaluation_interval": 60,
    "normalization": {"epsilon": 0.001, "moving_average_weight": 0.01, "moving_variance": "biased"},
    "smallest_effects": {"steps_ratio": 1.5},
    "studies": {
        "rates": {
            "about": "Which?",
            "condition": {"activation": "tanh", "learning_rate": 0.01, "init_std": 0.1, "steps": 50},
            "sweep": {"learning_rate": [0.1, 1], "hidden_sizes": ["2 x 30", [20, 10]]},
        }
    },
    "best_rate": {"steps": 50, "tuning": {"learning_rates": [0.01, 0.1, 1, 10, 100], "seeds": [500]}},
    "chunk_size": 10,
    "device": "cpu",
    "tf32": False,
}


def changed(key: str, value: object) -> dict[str, Any]:
    """Return a good configuration with one value replaced or added; the key is a path with dots."""
    values = copy.deepcopy(GOOD)
    *parents, last = key.split(".")
    section: Any = values
    for name in parents:
        section = section[name]
    section[int(last) if isinstance(section, list) else last] = value
    return values


def mistakes(values: Any, files: Sequence[YamlFile] = ()) -> list[str]:
    """Parse a bad configuration and return the lines of its error."""
    with pytest.raises(InputError) as raised:
        parse_configuration(values, files)
    return str(raised.value).split("\n")


def committed() -> Any:
    """Return the values of config.yaml."""
    return yaml.safe_load((REPOSITORY / "config.yaml").read_text(encoding="utf-8"))
