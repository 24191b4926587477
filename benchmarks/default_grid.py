"""The default grid, for machines without the packages that read config.yaml. A test compares it with config.yaml."""

from typing import Any

from bnpipe.core.settings import Arm, TrainingSettings

ARMS: tuple[Arm, ...] = ("vanilla", "batchnorm")
CONDITIONS: dict[str, dict[str, Any]] = {
    "tanh": {"activation": "tanh", "learning_rate": 0.01, "init_std": 0.1, "steps": 2000},
    "tanh_bad_init": {"activation": "tanh", "learning_rate": 0.01, "init_std": 1.0, "steps": 5000},
    "tanh_bad_init_high_lr": {"activation": "tanh", "learning_rate": 1.0, "init_std": 1.0, "steps": 5000},
    "relu": {"activation": "relu", "learning_rate": 0.01, "init_std": 0.1, "steps": 2000},
    "relu_bad_init": {"activation": "relu", "learning_rate": 0.01, "init_std": 1.0, "steps": 5000},
}
SHARED: dict[str, Any] = {
    "hidden_sizes": (100,) * 9,
    "batch_size": 60,
    "evaluation_interval": 60,
    "epsilon": 0.001,
    "moving_average_weight": 0.01,
    "moving_variance": "biased",
}


def settings_of(condition: str, arm: Arm, **changes: Any) -> TrainingSettings:
    """Return the settings of a condition and arm, without diagnostics unless the changes ask for them."""
    return TrainingSettings(**{"arm": arm, **SHARED, **CONDITIONS[condition], **changes})
