"""How a configuration is written for people: in the notes of figures, and in full on pages."""

from collections.abc import Container
from typing import Any

from bnpipe.grid.config import Condition, Configuration, Study


def describe(condition: Condition, but: Container[str] = ()) -> str:
    """Describe a condition in one line, as figures show it under its name; but: keys to leave out."""
    std = condition.init_std if isinstance(condition.init_std, str) else f"{condition.init_std:g}"
    parts = {
        "activation": condition.activation,
        "learning_rate": f"learning rate {condition.learning_rate:g}",
        "init_std": f"init std {std}",
        "network": "" if condition.network == "fully_connected" else condition.network,
    }
    return ", ".join(text for key, text in parts.items() if text and key not in but)


def describe_shared(study: Study) -> str:
    """Describe what all conditions of a study have in common."""
    return f"{describe(study.condition, but=study.sweep)}, {study.condition.steps:,} steps".removeprefix(", ")


def shareable(configuration: Configuration, dataset: str) -> dict[str, Any]:
    """Return a configuration as plain values, as a reader would write it again, without what belongs to one machine.

    dataset: name that stands for the data set, whose folder may be another elsewhere.
    """
    at_length = {"conditions", "studies", "paper"}
    whole = configuration.model_dump(mode="json", exclude={"mirrors", "checkpoint_seconds", *at_length})
    named = configuration.model_dump(mode="json", include=at_length, exclude_defaults=True)
    return {**whole, **named, "dataset": dataset}
