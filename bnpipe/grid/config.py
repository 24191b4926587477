"""The configuration, parsed once into frozen, documented types that refuse what they do not know."""

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import product
from typing import Annotated, Any

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from bnpipe.core.errors import InputError
from bnpipe.core.settings import (
    CHECKPOINT_SECONDS,
    FIRST_SEED,
    FRESH_SEED,
    Architecture,
    Device,
    Position,
    Precision,
    Trained,
    VarianceConvention,
)
from bnpipe.core.smallest_effects import SMALLEST_EFFECTS
from bnpipe.core.yaml_files import YamlFile, plain
from bnpipe.grid.best_rate import BestRate
from bnpipe.grid.fields import (
    MAX_SEED_COUNT,
    ActivationName,
    Arms,
    Factor,
    HiddenSizes,
    InitStd,
    Kept,
    Name,
    NotNegative,
    OptimizerName,
    PositiveNumber,
    Section,
    Seeds,
    Share,
    Switch,
    Text,
    Weight,
    Whole,
    one_of,
    seeds_of,
    unexpected,
    without_duplicates,
)
from bnpipe.grid.mistakes import explain, locate
from bnpipe.grid.optimizers import EquilibriumStudy, OptimizerStudy


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


class Normalization(Section):
    """Settings of the normalizations; those of batch normalization are by default the tutorial's (TensorFlow 1)."""

    epsilon: PositiveNumber = Field(default=1e-3, description="Added to a variance before its square root is taken.")
    moving_average_weight: Weight = Field(
        default=0.01,
        description="Weight of the newest batch in the moving averages: PyTorch's momentum, TensorFlow's 1 - momentum.",
    )
    moving_variance: Annotated[VarianceConvention, one_of(VarianceConvention)] = Field(
        default="biased",
        description="Divisor of the averaged batch variance of m images: m (biased, TensorFlow 1) or m - 1 (unbiased).",
    )
    groups: Annotated[int, Whole(1, 100_000)] = Field(
        default=5,
        description="Groups of features in group normalization; must divide the width of every normalized layer.",
    )
    ghost_size: Annotated[int, Whole(2, 1_000_000)] = Field(
        default=15,
        description="Images that ghost batch normalization normalizes together; must divide batch_size.",
        json_schema_extra={"unit": "images"},
    )
    renorm_max_scale: Factor = Field(
        default=3.0,
        description="Limit of batch renormalization's factor r, once it has risen from 1; 1 / this is the lower limit.",
    )
    renorm_max_shift: PositiveNumber = Field(
        default=5.0, description="Limit of batch renormalization's shift d, either way, once it has risen from 0."
    )
    renorm_start: Annotated[int, Whole(0, 100_000_000)] = Field(
        default=500,
        description="Steps for which batch renormalization is plain batch normalization.",
        json_schema_extra={"unit": "steps"},
    )
    renorm_ramp: Annotated[int, Whole(1, 100_000_000)] = Field(
        default=1000,
        description="Steps after renorm_start over which its two limits rise.",
        json_schema_extra={"unit": "steps"},
    )


def _smallest(key: str) -> Any:
    """Return the field of a smallest effect, with the value that the analysis plan registers as its default."""
    effect = SMALLEST_EFFECTS[key]
    unit = {"points": "share of 1", "decades": "decades", "share": "share"}.get(effect.unit)
    return Field(
        default=effect.size, description=effect.meaning, json_schema_extra={"unit": unit} if unit is not None else None
    )


class SmallestEffects(Section):
    """The smallest effects that would matter, chosen before the runs; other values make it a plan of your own."""

    steps_ratio: Factor = _smallest("steps_ratio")
    final_accuracy: Share = _smallest("final_accuracy")
    saturated_units: Share = _smallest("saturated_units")
    steadiness_ratio: Factor = _smallest("steadiness_ratio")
    batch_statistics: Share = _smallest("batch_statistics")
    accuracy_spread: Share = _smallest("accuracy_spread")
    usable_decades: PositiveNumber = _smallest("usable_decades")
    generalization_gap: Share = _smallest("generalization_gap")
    gradient_growth_ratio: Factor = _smallest("gradient_growth_ratio")
    orthogonality: Share = _smallest("orthogonality")
    gradient_shift_ratio: Factor = _smallest("gradient_shift_ratio")
    input_shift_ratio: Factor = _smallest("input_shift_ratio")
    smoothness_ratio: Factor = _smallest("smoothness_ratio")
    recovered_gain: Share = _smallest("recovered_gain")


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


class Configuration(Section):
    """Everything that a user of bnpipe decides."""

    dataset: Text = Field(
        default="mnist",
        description="mnist, fashion_mnist, kmnist, cifar10, digits (scikit-learn's), or a folder with four IDX files.",
    )
    mirrors: tuple[Text, ...] = Field(
        default=(),
        description="Where to download the files: URLs (http, https, file) or folders, tried in order; "
        "empty: torchvision's mirrors.",
    )
    validation_images: Annotated[int, Whole(1, 10_000_000)] = Field(
        default=5000,
        description="Images split off from the front of the training file (digits: always 300).",
        json_schema_extra={"unit": "images"},
    )
    seeds: Seeds = Field(
        default=seeds_of(12),
        description=f"How many fresh seeds to use, counted from {FRESH_SEED}, beside the tutorial's, {FIRST_SEED}; "
        "or a list of seeds.",
    )
    arms: Arms = Field(
        default=("vanilla", "batchnorm"),
        description="Networks to compare; the first is the baseline of the paired differences.",
    )
    conditions: Annotated[dict[Name, Condition], Field(min_length=1)] = Field(
        description="The experiments, by name.", json_schema_extra={"additionalProperties": False}
    )
    hidden_sizes: HiddenSizes = Field(
        default=(100,) * 9,
        description="Units of each hidden layer, first layer first, or 9 x 100.",
        json_schema_extra={"unit": "units"},
    )
    batch_size: Annotated[int, Whole(2, 1_000_000)] = Field(
        default=60, description="Images in a mini-batch.", json_schema_extra={"unit": "images"}
    )
    evaluation_interval: Annotated[int, Whole(1, 100_000_000)] = Field(
        default=60,
        description="Steps between evaluations; the first evaluation follows step 0.",
        json_schema_extra={"unit": "steps"},
    )
    normalization: Normalization = Field(default=Normalization(), description="Settings of the normalizations.")
    diagnostics: Switch = Field(
        default=True,
        description="Whether to measure every layer at every evaluation; this takes less than a tenth of the time.",
    )
    keep_weights: Switch = Field(
        default=False,
        description="Whether run records hold the trained weights, for `bnpipe.to_torch_module`. Does not change any "
        "result, but after a change the networks are trained again.",
    )
    closer_looks: Switch = Field(
        default=True,
        description="Whether to examine more than the curves: networks before training, the transform step by step, "
        "inference with every kind of statistics.",
    )
    smallest_effects: SmallestEffects = Field(
        default=SmallestEffects(),
        description="The smallest effects that would matter; verdicts compare effects with them.",
    )
    studies: dict[Name, Study] = Field(
        default={}, description="Grids of conditions, by name.", json_schema_extra={"additionalProperties": False}
    )
    best_rate: BestRate | None = Field(
        default=None, description="The comparison of every network at its own best learning rate; null: leave it out."
    )
    optimizers: OptimizerStudy | None = Field(
        default=None, description="The fair comparison under every optimizer; null: leave it out."
    )
    equilibrium: EquilibriumStudy | None = Field(
        default=None, description="The study of weight decay and batch normalization; null: leave it out."
    )
    paper: Paper | None = Field(default=None, description="The paper's own experiment; null: leave it out.")
    chunk_size: Annotated[int, Whole(1, MAX_SEED_COUNT)] = Field(
        default=10,
        description="Seeds that one job trains on a CPU; on a GPU, all. Does not change any result.",
        json_schema_extra={"unit": "seeds"},
    )
    runs_per_job: Annotated[int, Whole(1, 1_000_000)] | None = Field(
        default=None,
        description="Runs of a study that one job trains; null: 30 on a CPU, and on a GPU all that may share a job. "
        "Does not change any result.",
    )
    checkpoint_seconds: Annotated[int, Whole(0, 1_000_000)] = Field(
        default=CHECKPOINT_SECONDS,
        description="Seconds of training between checkpoints, from which a stopped job resumes; 0: no checkpoints. "
        "Does not change any result.",
        json_schema_extra={"unit": "seconds"},
    )
    device: Annotated[Device, one_of(Device)] = Field(
        default="cpu", description="Where networks are trained: cpu, or cuda, an NVIDIA GPU."
    )
    tf32: Switch = Field(
        default=False, description="Whether a GPU multiplies in TF32: faster, with 10 bits of mantissa instead of 23."
    )

    @field_validator("seeds", "arms", "mirrors")
    @classmethod
    def _no_duplicates(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        return without_duplicates(values)

    @field_validator("conditions", "studies")
    @classmethod
    def _names_that_differ(cls, conditions: dict[str, Any]) -> dict[str, Any]:
        if len({name.lower() for name in conditions}) < len(conditions):
            raise unexpected("names that differ in more than upper and lower case (paths contain them)")
        return conditions


def parse_configuration(values: Any, files: Sequence[YamlFile] = ()) -> Configuration:
    """Turn plain values into the configuration.

    files: where the values come from, if they come from files, so that messages can name file and line; values given
    on the command line may have replaced some. Raises InputError with a line for every mistake: place, key, what is
    expected, what is there.
    """
    try:
        return Configuration.model_validate(values)
    except ValidationError as error:
        mistakes = explain(error, Configuration)
        raise InputError("\n".join(f"{locate(path, values, files)}: {line}" for path, line in mistakes)) from error


def json_schema() -> str:
    """Return the JSON schema of the configuration, with which editors complete and check config.yaml."""
    return json.dumps(Configuration.model_json_schema(), indent=2) + "\n"


if __name__ == "__main__":  # `make schema`
    print(json_schema(), end="")
