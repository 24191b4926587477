"""A condition of the configuration, and the studies that are grids of conditions."""

from collections.abc import Mapping
from functools import cached_property
from itertools import product
from typing import Annotated, Any

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from bnpipe.core.settings import Architecture, Position, Precision, Trained
from bnpipe.core.yaml_files import plain
from bnpipe.grid.fields import (
    MAX_SEED_COUNT,
    ActivationName,
    Arms,
    HiddenSizes,
    InitStd,
    Kept,
    NotNegative,
    OptimizerName,
    PositiveNumber,
    Section,
    Share,
    Switch,
    Text,
    Whole,
    one_of,
    without_duplicates,
)
from bnpipe.grid.mistakes import explain


class Condition(Section):
    """One experiment: every arm is trained with these settings, once for each seed."""

    activation: ActivationName = Field(description="Nonlinearity of the hidden layers; the output layer is linear.")
    learning_rate: PositiveNumber = Field(description="Learning rate of the optimizer; it stays constant.")
    init_std: InitStd = Field(
        description="Standard deviation of the normal distribution (mean 0) from which the first weights are drawn; "
        "xavier: 1 / sqrt(fan_in), he: sqrt(2 / fan_in)."
    )
    steps: Annotated[int, Whole(1, 100_000_000)] = Field(
        description="Number of mini-batches to train on.", json_schema_extra={"unit": "mini-batches"}
    )
    network: Annotated[Architecture, one_of(Architecture)] = Field(
        default="fully_connected",
        description="fully_connected, or convolutional: convolutions of 3 x 3 pixels below a fully connected layer.",
    )
    channels: HiddenSizes | None = Field(
        default=None,
        description="Channels of each convolution, first layer first; a layer with more channels than the one below "
        "halves rows and columns; null: 8, 8, 16, 16, 32, 32.",
        json_schema_extra={"unit": "channels"},
    )
    hidden_sizes: HiddenSizes | None = Field(
        default=None,
        description="For this condition only; null: the value of the whole file.",
        json_schema_extra={"unit": "units"},
    )
    batch_size: Annotated[int, Whole(2, 1_000_000)] | None = Field(
        default=None,
        description="For this condition only; null: the value of the whole file.",
        json_schema_extra={"unit": "images"},
    )
    evaluation_interval: Annotated[int, Whole(1, 100_000_000)] | None = Field(
        default=None,
        description="For this condition only; null: the value of the whole file.",
        json_schema_extra={"unit": "steps"},
    )
    normalize_logits: Switch = Field(
        default=True, description="Whether the logits are normalized too, or only the hidden layers."
    )
    normalize_hidden: Switch = Field(
        default=True, description="Whether the hidden layers are normalized, or only the logits."
    )
    position: Annotated[Position, one_of(Position)] = Field(
        default="before", description="Whether normalization comes before or after the nonlinearity."
    )
    trained: Annotated[Trained, one_of(Trained)] = Field(
        default="all",
        description="What is trained: all parameters, or only gamma and beta of the transforms (vanilla: b).",
    )
    training_images: Annotated[int, Whole(2, 100_000_000)] | None = Field(
        default=None,
        description="Train on this many images from the front of the training images; null: on all.",
        json_schema_extra={"unit": "images"},
    )
    binarize: Switch = Field(
        default=False, description="Whether a pixel becomes 1 if it is at least half of white, and otherwise 0."
    )
    precision: Annotated[Precision, one_of(Precision)] = Field(
        default="float32", description="Precision of all arithmetic: float32 or float64."
    )
    evaluate_training: Switch = Field(
        default=False, description="Whether to evaluate training images too, as many as there are validation images."
    )
    stop_at_accuracy: Share | None = Field(
        default=None,
        description="Stop a run after the first evaluation with at least this validation accuracy; null: never.",
        json_schema_extra={"unit": "share of images"},
    )
    keep_weights: Switch | None = Field(
        default=None, description="For this condition only; null: the value of the whole file."
    )
    optimizer: OptimizerName = Field(
        default="sgd",
        description="The optimizer: sgd (plain gradient descent), momentum or adam, as in torch.optim.",
    )
    momentum: Kept = Field(
        default=0.9, description="Of optimizer momentum: the share of the velocity that is kept at each step."
    )
    beta1: Kept = Field(
        default=0.9, description="Of optimizer adam: the share of the average gradient that is kept at each step."
    )
    beta2: Kept = Field(
        default=0.999,
        description="Of optimizer adam: the share of the average squared gradient that is kept at each step.",
    )
    adam_epsilon: PositiveNumber = Field(
        default=1e-8, description="Of optimizer adam: added to the root of the average square."
    )
    weight_decay: NotNegative = Field(
        default=0.0,
        description="This times the weights is added to their gradient, as in torch.optim; gamma, beta and b do not "
        "decay.",
    )

    @property
    def is_plain_descent(self) -> bool:
        """Whether weights are trained by plain gradient descent without weight decay."""
        return self.optimizer == "sgd" and self.weight_decay == 0


class Study(Section):
    """A grid of conditions around one, with its own figure; it is made when you ask for it."""

    about: Text = Field(description="The question of the study, in one sentence; it is shown above the figure.")
    arms: Arms | None = Field(default=None, description="Networks to compare; null: those of the configuration.")
    seeds: Annotated[int, Whole(1, MAX_SEED_COUNT)] | None = Field(
        default=None,
        description="How many of the configuration's seeds to use, counted from the first; null, or more than"
        " there are: all.",
    )
    condition: Condition = Field(description="What all conditions of the study share.")
    sweep: Annotated[dict[str, Annotated[tuple[Any, ...], Field(min_length=1)]], Field(min_length=1)] = Field(
        description="Lists of values for keys of the condition; the study runs every combination."
    )
    default: Switch = Field(
        default=False, description="Whether the default target makes the study too, and not only the target studies."
    )

    @field_validator("arms")
    @classmethod
    def _no_duplicates(cls, arms: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
        return arms and without_duplicates(arms)

    @field_validator("sweep")
    @classmethod
    def _conditions_are_valid(
        cls, sweep: dict[str, tuple[Any, ...]], info: ValidationInfo
    ) -> dict[str, tuple[Any, ...]]:
        if "condition" in info.data:
            given = info.data["condition"].model_dump(exclude_unset=True)
            for values in product(*sweep.values()):
                _check_condition({**given, **dict(zip(sweep, values, strict=True))})
        return {key: tuple(plain(values)) for key, values in sweep.items()}

    @cached_property
    def cells(self) -> tuple[Condition, ...]:
        """The conditions that all combinations of the swept values make."""
        given = self.condition.model_dump(exclude_unset=True)
        swept = (dict(zip(self.sweep, values, strict=True)) for values in product(*self.sweep.values()))
        return tuple(Condition.model_validate({**given, **values}) for values in swept)


class Paper(Section):
    """The paper's own experiment (Ioffe & Szegedy 2015, section 4.1), which is one of the studies."""

    seeds: Annotated[int, Whole(1, MAX_SEED_COUNT)] | None = Field(
        default=None,
        description="How many of the configuration's seeds to use, counted from the first; null, or more than"
        " there are: all.",
    )
    condition: Condition = Field(description="Settings that its two networks are trained with.")


def _check_condition(values: Mapping[str, Any]) -> None:
    """Explain what is wrong with a swept value in the words used for a condition's own values."""
    try:
        Condition.model_validate(values)
    except ValidationError as error:
        reasons = "; ".join(line for _, line in explain(error, Condition))
        raise PydanticCustomError("sweep", "{reasons}", {"reasons": reasons}) from error
