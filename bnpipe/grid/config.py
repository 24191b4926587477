"""The configuration: parsed once into frozen, documented types that refuse whatever they do not know."""

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Annotated, Any, get_args

import yaml
from annotated_types import Ge, GroupedMetadata, Le
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
    field_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from bnpipe.core.errors import InputError, printable
from bnpipe.core.settings import (
    CHECKPOINT_SECONDS,
    FIRST_SEED,
    Activation,
    Arm,
    Device,
    InitScheme,
    Position,
    Precision,
    Trained,
    VarianceConvention,
)

MAX_SEED = 2**32 - 1  # numpy.random.RandomState takes no larger one
MAX_SEED_COUNT = 10_000


def permitted(text: str) -> WrapValidator:
    """Whatever is wrong with a value, say in these words what is permitted."""

    def validate(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        try:
            return handler(value)
        except ValidationError as error:
            hint = "; write it without quotes" if isinstance(value, str) and _accepts_unquoted(handler, value) else ""
            raise PydanticCustomError("permitted", "permitted is {text}", {"text": text + hint}) from error

    return WrapValidator(validate)


def _accepts_unquoted(handler: ValidatorFunctionWrapHandler, text: str) -> bool:
    try:
        handler(yaml.safe_load(text))
    except (ValidationError, yaml.YAMLError, ValueError):
        return False
    return True


@dataclass(frozen=True)
class Whole(GroupedMetadata):
    """A whole number from low to high."""

    low: int
    high: int

    def __iter__(self) -> Iterator[object]:
        yield from (Strict(), Ge(self.low), Le(self.high))
        yield permitted(f"a whole number from {self.low} to {self.high}")


def _read_exponent(value: Any) -> Any:
    """Read 1e-3 as a number: YAML 1.1 takes it for text unless it has a decimal point."""
    return float(value) if isinstance(value, str) and re.fullmatch(r"[-+]?\d+[eE][-+]?\d+", value) else value


def _read_layers(value: Any) -> Any:
    """Read '9 x 100' as nine layers of 100 units."""
    found = re.fullmatch(r"(\d{1,4}) ?x ?(\d{1,6})", value) if isinstance(value, str) else None
    return [int(found[2])] * int(found[1]) if found else value


def _count_seeds(value: Any) -> Any:
    """Turn a number of seeds into the seeds."""
    return range(FIRST_SEED, FIRST_SEED + value) if type(value) is int and 1 <= value <= MAX_SEED_COUNT else value


PositiveNumber = Annotated[
    float,
    Field(strict=True, gt=0, allow_inf_nan=False),
    BeforeValidator(_read_exponent),
    permitted("a number greater than 0"),
]
InitStd = Annotated[
    Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False), BeforeValidator(_read_exponent)] | InitScheme,
    permitted("a number greater than 0, xavier or he"),
]
HiddenSizes = Annotated[
    tuple[Annotated[int, Whole(1, 100_000)], ...],
    Field(min_length=1),
    BeforeValidator(
        _read_layers,
        json_schema_input_type=list[Annotated[int, Field(ge=1, le=100_000)]]
        | Annotated[str, Field(pattern=r"^\d{1,4} ?x ?\d{1,6}$", examples=["9 x 100"])],
    ),
]
Weight = Annotated[
    float,
    Field(strict=True, gt=0, le=1),
    BeforeValidator(_read_exponent),
    permitted("a number greater than 0 and at most 1"),
]
Factor = Annotated[
    float,
    Field(strict=True, gt=1, allow_inf_nan=False),
    BeforeValidator(_read_exponent),
    permitted("a number greater than 1"),
]
Share = Annotated[float, Field(strict=True, gt=0, lt=1), permitted("a number greater than 0 and less than 1")]
Arms = Annotated[tuple[Annotated[Arm, permitted(", ".join(get_args(Arm)))], ...], Field(min_length=1)]
Text = Annotated[str, Field(strict=True, min_length=1), permitted("text that is not empty")]
ConditionName = Annotated[
    str,
    Field(strict=True, pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$"),
    permitted("a name of letters, digits, '_' and '-' that starts with a letter, at most 64: it becomes part of paths"),
]
Seeds = Annotated[
    tuple[Annotated[int, Strict(), Ge(0), Le(MAX_SEED)], ...],
    Field(min_length=1, max_length=MAX_SEED_COUNT),
    BeforeValidator(_count_seeds),
    permitted(
        f"how many (1 to {MAX_SEED_COUNT}, counted from {FIRST_SEED}) or a list of whole numbers from 0 to {MAX_SEED}"
    ),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": MAX_SEED_COUNT},
                {
                    "type": "array",
                    "items": {"type": "integer", "minimum": 0, "maximum": MAX_SEED},
                    "minItems": 1,
                    "maxItems": MAX_SEED_COUNT,
                    "uniqueItems": True,
                },
            ]
        }
    ),
]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Condition(_Section):
    """One experiment: every arm is trained under it with every seed."""

    activation: Annotated[Activation, permitted(" or ".join(get_args(Activation)))] = Field(
        description="Nonlinearity of the hidden layers; the output layer is linear."
    )
    learning_rate: PositiveNumber = Field(description="Learning rate of plain gradient descent, constant.")
    init_std: InitStd = Field(
        description="Standard deviation of the normal distribution (mean 0) that the first weights are drawn from; "
        "xavier: 1 / sqrt(fan_in), he: sqrt(2 / fan_in)."
    )
    steps: Annotated[int, Whole(1, 100_000_000)] = Field(
        description="Mini-batches to train on.", json_schema_extra={"unit": "mini-batches"}
    )
    hidden_sizes: HiddenSizes | None = Field(
        default=None,
        description="For this condition alone; null: that of the whole file.",
        json_schema_extra={"unit": "units"},
    )
    batch_size: Annotated[int, Whole(2, 1_000_000)] | None = Field(
        default=None,
        description="For this condition alone; null: that of the whole file.",
        json_schema_extra={"unit": "images"},
    )
    evaluation_interval: Annotated[int, Whole(1, 100_000_000)] | None = Field(
        default=None,
        description="For this condition alone; null: that of the whole file.",
        json_schema_extra={"unit": "steps"},
    )
    normalize_logits: Annotated[bool, Strict(), permitted("true or false")] = Field(
        default=True, description="Whether the logits are normalized, or only the hidden layers."
    )
    position: Annotated[Position, permitted(" or ".join(get_args(Position)))] = Field(
        default="before", description="Of a normalization: before the nonlinearity or after it."
    )
    trained: Annotated[Trained, permitted(" or ".join(get_args(Trained)))] = Field(
        default="all", description="What learns: all, or only the transforms' gamma and beta (vanilla: b)."
    )
    training_images: Annotated[int, Whole(2, 100_000_000)] | None = Field(
        default=None,
        description="So many from the front of the training images; null: all.",
        json_schema_extra={"unit": "images"},
    )
    binarize: Annotated[bool, Strict(), permitted("true or false")] = Field(
        default=False, description="Whether pixels are 1 where they are at least half of white, and else 0."
    )
    precision: Annotated[Precision, permitted(" or ".join(get_args(Precision)))] = Field(
        default="float32", description="Of all arithmetic: float32 or float64."
    )
    evaluate_training: Annotated[bool, Strict(), permitted("true or false")] = Field(
        default=False, description="Whether training images are evaluated too, as many as validation images."
    )


class Normalization(_Section):
    """Settings of batch normalization; the defaults are the tutorial's (TensorFlow 1's)."""

    epsilon: PositiveNumber = Field(default=1e-3, description="Added to a variance before its square root is taken.")
    moving_average_weight: Weight = Field(
        default=0.01,
        description="Weight of the newest batch in the moving averages: PyTorch's momentum, TensorFlow's 1 - momentum.",
    )
    moving_variance: Annotated[VarianceConvention, permitted(" or ".join(get_args(VarianceConvention)))] = Field(
        default="biased",
        description="Divisor of the averaged batch variance of m images: m (biased, TensorFlow 1) or m - 1 (unbiased).",
    )
    groups: Annotated[int, Whole(1, 100_000)] = Field(
        default=5, description="Groups of features in group normalization; it divides the width of every layer."
    )


class SmallestEffects(_Section):
    """The smallest effects that would matter, set before the runs: verdicts are drawn against them."""

    steps_ratio: Factor = Field(default=1.2, description="Steps, or time, to 90%: one arm over the other.")
    final_accuracy: Share = Field(
        default=0.05, description="Difference of final accuracies.", json_schema_extra={"unit": "share of images"}
    )
    learning_rate_decades: PositiveNumber = Field(
        default=0.5, description="Largest usable learning rates.", json_schema_extra={"unit": "decades"}
    )
    accuracy_spread: Share = Field(
        default=0.05,
        description="Spread of final accuracies over initializations.",
        json_schema_extra={"unit": "share of images"},
    )
    generalization_gap: PositiveNumber = Field(
        default=0.05,
        description="Validation minus training cross-entropy at equal training cross-entropy.",
        json_schema_extra={"unit": "nats"},
    )
    volatility_ratio: Factor = Field(default=1.2, description="Standard deviations of second differences of a curve.")
    gradient_growth_ratio: Factor = Field(default=1.1, description="Growth of squared gradients per layer: off 1.")
    orthogonality: Share = Field(default=0.05, description="Orthogonality gaps, between 0 and 1.")
    covariate_shift_ratio: Factor = Field(default=1.2, description="Relative changes of a layer's gradient.")
    inference_accuracy: Share = Field(
        default=0.01,
        description="Accuracy, moving averages or exact statistics.",
        json_schema_extra={"unit": "share of images"},
    )


class Study(_Section):
    """A grid of conditions around one, with a figure of its own: made when it is asked for."""

    about: Text = Field(description="What the study asks, in a sentence; it stands above its figure.")
    arms: Arms | None = Field(default=None, description="Networks to compare; null: those of the configuration.")
    seeds: Annotated[int, Whole(1, MAX_SEED_COUNT)] | None = Field(
        default=None, description="How many of the configuration's seeds, from the first; null: all."
    )
    condition: Condition = Field(description="What all conditions of the study share.")
    sweep: Annotated[dict[str, tuple[Any, ...]], Field(min_length=1)] = Field(
        description="Values that keys of the condition take, in all combinations."
    )
    default: Annotated[bool, Strict(), permitted("true or false")] = Field(
        default=False, description="Whether the default target makes it too, not only the target studies."
    )

    @field_validator("sweep")
    @classmethod
    def _conditions_all(cls, sweep: dict[str, tuple[Any, ...]], info: ValidationInfo) -> dict[str, tuple[Any, ...]]:
        if "condition" in info.data:
            given = info.data["condition"].model_dump(exclude_unset=True)
            for values in product(*sweep.values()):
                _check_condition({**given, **dict(zip(sweep, values, strict=True))})
        return sweep

    @cached_property
    def cells(self) -> tuple[Condition, ...]:
        """The conditions that all combinations of the swept values make."""
        given = self.condition.model_dump(exclude_unset=True)
        swept = (dict(zip(self.sweep, values, strict=True)) for values in product(*self.sweep.values()))
        return tuple(Condition.model_validate({**given, **values}) for values in swept)


class Paper(_Section):
    """The experiment of the paper itself (Ioffe & Szegedy 2015, section 4.1), one of the studies."""

    seeds: Annotated[int, Whole(1, MAX_SEED_COUNT)] | None = Field(
        default=None, description="How many of the configuration's seeds, from the first; null: all."
    )
    condition: Condition = Field(description="What its two networks are trained with.")


def _check_condition(values: Mapping[str, Any]) -> None:
    """Explain what is wrong with a swept value as the condition's own values are explained."""
    try:
        Condition.model_validate(values)
    except ValidationError as error:
        reasons = "; ".join(_explain(mistake, within=("conditions", "")) for mistake in error.errors(include_url=False))
        raise PydanticCustomError("permitted", "{reasons}", {"reasons": reasons}) from error


class Configuration(_Section):
    """Everything that a user of bnpipe decides."""

    dataset: Text = Field(
        default="mnist",
        description="mnist, fashion_mnist, kmnist, digits (scikit-learn's), or a folder with four IDX files.",
    )
    mirrors: tuple[Text, ...] = Field(
        default=(),
        description="Where to fetch the files: URLs (http, https, file) or folders, tried in turn; "
        "empty: torchvision's mirrors.",
    )
    validation_images: Annotated[int, Whole(1, 10_000_000)] = Field(
        default=5000,
        description="Images split off the front of the training file (digits: always 300).",
        json_schema_extra={"unit": "images"},
    )
    seeds: Seeds = Field(
        default=tuple(range(FIRST_SEED, FIRST_SEED + 10)),
        description=f"A list of seeds, or how many, counted from {FIRST_SEED}.",
    )
    arms: Arms = Field(
        default=("vanilla", "batchnorm"),
        description="Networks to compare; the first is the baseline of the paired differences.",
    )
    conditions: Annotated[dict[ConditionName, Condition], Field(min_length=1)] = Field(
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
        description="Steps between evaluations; the first follows step 0.",
        json_schema_extra={"unit": "steps"},
    )
    normalization: Normalization = Field(default=Normalization(), description="Settings of batch normalization.")
    diagnostics: Annotated[bool, Strict(), permitted("true or false")] = Field(
        default=True, description="Whether layers are looked into at every evaluation; under a tenth of the time."
    )
    smallest_effects: SmallestEffects = Field(
        default=SmallestEffects(), description="Effects that would matter; verdicts are drawn against them."
    )
    studies: dict[ConditionName, Study] = Field(
        default={}, description="Grids of conditions, by name.", json_schema_extra={"additionalProperties": False}
    )
    paper: Paper | None = Field(default=None, description="The paper's own experiment; null: it is left out.")
    chunk_size: Annotated[int, Whole(1, MAX_SEED_COUNT)] = Field(
        default=10,
        description="Seeds that one job trains side by side on a CPU; on a GPU, all. It does not change any result.",
        json_schema_extra={"unit": "seeds"},
    )
    runs_per_job: Annotated[int, Whole(1, 1_000_000)] | None = Field(
        default=None,
        description="Runs of a study that one job trains; null: 30 on a CPU, on a GPU all that may share a job. It "
        "does not change any result.",
    )
    checkpoint_seconds: Annotated[int, Whole(0, 1_000_000)] = Field(
        default=CHECKPOINT_SECONDS,
        description="Seconds of training after which a job keeps its state, to go on from there if it is stopped; "
        "0: never. It does not change any result.",
        json_schema_extra={"unit": "seconds"},
    )
    device: Annotated[Device, permitted(" or ".join(get_args(Device)))] = Field(
        default="cpu", description="Where networks are trained: cpu, or cuda, an NVIDIA GPU."
    )
    tf32: Annotated[bool, Strict(), permitted("true or false")] = Field(
        default=False, description="Multiply in TF32 on a GPU: faster, with 10 bits of mantissa instead of 23."
    )

    @field_validator("seeds", "arms", "mirrors")
    @classmethod
    def _no_repetition(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(set(values)) < len(values):
            raise PydanticCustomError("permitted", "permitted is a list in which nothing stands twice")
        return values

    @field_validator("conditions", "studies")
    @classmethod
    def _names_that_differ(cls, conditions: dict[str, Any]) -> dict[str, Any]:
        if len({name.lower() for name in conditions}) < len(conditions):
            raise PydanticCustomError(
                "permitted", "permitted are names that differ in more than upper and lower case: they become paths"
            )
        return conditions


def parse_configuration(values: Mapping[str, Any], source: str) -> Configuration:
    """Turn what stands in a configuration into typed values.

    Raises InputError with a line for every mistake: the key, the value found, and what is permitted.
    """
    try:
        return Configuration.model_validate(values)
    except ValidationError as error:
        mistakes = error.errors(include_url=False)
        # A list whose only entry is wrong is reported a second time, as too short: keep what is innermost.
        locations = {mistake["loc"][:depth] for mistake in mistakes for depth in range(len(mistake["loc"]))}
        innermost = [mistake for mistake in mistakes if mistake["loc"] not in locations]
        raise InputError("\n".join(f"{source}: {_explain(mistake)}" for mistake in innermost)) from error


def _explain(error: ErrorDetails, within: tuple[str, ...] = ()) -> str:
    """Say what is wrong; within: where the section stands whose validation found the error."""
    path = [printable(part) for part in error["loc"] if part != "[key]"]
    section = (*within, *error["loc"][:-1])
    key = ".".join(path) or "the whole"
    value = repr(error["input"])
    found = f"found {value if len(value) <= 80 else value[:77] + '...'}"
    match error["type"]:
        case "extra_forbidden":
            known = list(_fields_of(section))
            guess = difflib.get_close_matches(path[-1], known, n=1)
            hint = f"did you mean {guess[0]}?" if guess else "delete it"
            return f"{key}: unknown key ({found}); permitted are {', '.join(known)}; {hint}"
        case "invalid_key":
            return f"{key}: not a key ({found}); permitted are {', '.join(_fields_of(section))}"
        case "missing":
            return f"{key}: missing; add it ({_fields_of(section)[path[-1]].description})"
        case "permitted":
            return f"{key}: {found}; {error['msg']}"
        case "too_short":
            return f"{key}: {found}; permitted is at least one entry"
        case "tuple_type":
            return f"{key}: {found}; permitted is a list, [a, b, ...]"
        case "dict_type" | "model_type" | "model_attributes_type":
            return f"{key}: {found}; permitted is a mapping, a line 'key: value' for each entry"
        case _:
            return f"{key}: {found}; {error['msg']}"


def _fields_of(location: tuple[int | str, ...]) -> dict[str, Any]:
    """Return the fields of the section that stands at a location of the configuration."""
    match location:
        case ("conditions", _) | ("studies", _, "condition") | ("paper", "condition"):
            section: type[BaseModel] = Condition
        case ("studies", _):
            section = Study
        case ("paper",):
            section = Paper
        case ("normalization",):
            section = Normalization
        case ("smallest_effects",):
            section = SmallestEffects
        case _:
            section = Configuration
    return dict(section.model_fields)


def json_schema() -> str:
    """Return the JSON schema of the configuration, with which editors complete and check config.yaml."""
    return json.dumps(Configuration.model_json_schema(), indent=2) + "\n"


if __name__ == "__main__":  # `make schema`
    print(json_schema(), end="")
