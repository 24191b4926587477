"""Describe a configuration for people: in the notes of figures, and in full on pages."""

from collections.abc import Container
from itertools import chain
from typing import Any

from bnpipe.core.parts import short_name
from bnpipe.core.settings import OPTIMIZER_KEYS
from bnpipe.grid.conditions import Condition, Study
from bnpipe.grid.config import Configuration


def describe(condition: Condition, but: Container[str] = ()) -> str:
    """Describe a condition in one line, as figures show it under its name; but: keys to leave out."""
    std = condition.init_std if isinstance(condition.init_std, str) else f"{condition.init_std:g}"
    parts = {
        "activation": short_name(condition.activation),
        "learning_rate": f"learning rate {condition.learning_rate:g}",
        "init_std": f"init std {std}",
        "network": "" if condition.network == "fully_connected" else condition.network,
    }
    if condition.optimizer != "sgd":
        parts["optimizer"] = f"optimizer {short_name(condition.optimizer)}"
    parts |= {
        key: f"{key.replace('_', ' ')} {getattr(condition, key):g}"
        for key in (*chain(*OPTIMIZER_KEYS.values()), "weight_decay")
        if getattr(condition, key) != Condition.model_fields[key].default
    }
    return ", ".join(text for key, text in parts.items() if text and key not in but)


def describe_shared(study: Study) -> str:
    """Describe what all conditions of a study have in common."""
    return f"{describe(study.condition, but=study.sweep)}, {study.condition.steps:,} steps".removeprefix(", ")


def shareable(configuration: Configuration, dataset: str) -> dict[str, Any]:
    """Return a configuration as plain values that a reader can use again, without what belongs to one machine.

    dataset: the name to write for the data set, because its folder may be different elsewhere.
    """
    at_length = {"conditions", "studies", "paper"}
    whole = configuration.model_dump(mode="json", exclude={"mirrors", "checkpoint_seconds", *at_length})
    named = configuration.model_dump(mode="json", include=at_length, exclude_defaults=True)
    return {**whole, **named, "dataset": dataset}
