"""The configuration, parsed once into frozen, documented types that refuse what they do not know."""

import json
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field, ValidationError, field_validator

from bnpipe.core.errors import InputError
from bnpipe.core.settings import CHECKPOINT_SECONDS, FIRST_SEED, FRESH_SEED, Device, VarianceConvention
from bnpipe.core.smallest_effects import SMALLEST_EFFECTS
from bnpipe.core.yaml_files import YamlFile
from bnpipe.grid.best_rate import BestRate
from bnpipe.grid.conditions import Condition, Paper, Study
from bnpipe.grid.fields import (
    MAX_SEED_COUNT,
    Arms,
    Factor,
    HiddenSizes,
    Name,
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
