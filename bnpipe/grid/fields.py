"""Types of the configuration's values: what each accepts, which shorthands it reads, how it says what it expects."""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any, get_args

from annotated_types import Ge, GroupedMetadata, Le
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
)
from pydantic_core import PydanticCustomError

from bnpipe.core.parts import PATTERN, short_name
from bnpipe.core.settings import FIRST_SEED, FRESH_SEED, BuiltInActivation, BuiltInArm, BuiltInOptimizer, InitScheme
from bnpipe.core.yaml_files import Unquoted, plain, surprise

MAX_SEED = 2**32 - 1  # numpy.random.RandomState takes no larger one
MAX_SEED_COUNT = 10_000


class Section(BaseModel):
    """A section of the configuration: it never changes, and refuses keys that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def unexpected(expected: str, advice: str = "") -> PydanticCustomError:
    """Return the error for a value that is not what is expected; advice: what to do about it, if anything helps."""
    return PydanticCustomError("unexpected", "expected {expected}", {"expected": expected, "advice": advice})


def without_duplicates(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a list of values; refuse it if two are equal."""
    if len(set(values)) < len(values):
        raise unexpected("a list without duplicates")
    return values


def expected(text: str, read: Callable[[Any], Any] = plain) -> WrapValidator:
    """Say in these words what is expected, whatever is wrong with a value. read: the function applied to it first."""

    def validate(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        try:
            return handler(read(value))
        except ValidationError as error:
            raise unexpected(text, _advice(value, lambda other: handler(read(other)))) from error

    return WrapValidator(validate)


def _advice(value: Any, accept: Callable[[Any], Any]) -> str:
    """Return what to do about a value that is not what is expected, or "" if nothing is known to help."""
    misread = surprise(value)
    if misread is not None:
        return f"YAML 1.1 reads it as {misread}: write it in decimal, without a leading zero"
    if isinstance(value, str) and not isinstance(value, Unquoted):
        with suppress(ValidationError):
            accept(Unquoted(value))
            return "write it without quotes"
    return ""


def one_of(literal: Any) -> WrapValidator:
    """Expect one of the values of a Literal type."""
    *values, last = get_args(literal)
    return expected(f"{', '.join(values)} or {last}")


def one_of_or_own(literal: Any) -> WrapValidator:
    """Expect one of the values of a Literal type, or one of the user's own parts."""
    return expected(f"{', '.join(get_args(literal))} or a part of your own, module:name")


def named_otherwise(literal: Any) -> AfterValidator:
    """Refuse a part of the user's own that would be shown under one of the names of a Literal type."""

    def validate(part: str) -> str:
        if part not in get_args(literal) and short_name(part).lower() in get_args(literal):
            raise unexpected(f"another name than {short_name(part).lower()}, which is built in", "rename yours")
        return part

    return AfterValidator(validate)


def _read_number(value: Any) -> Any:
    """Read a number in any decimal notation: Snakemake, whose YAML is 1.1, hands 1e-3 to a module as text."""
    is_text = isinstance(value, str) and re.fullmatch(r"[^eE]+[eE][^eE]+", value)
    read = plain(Unquoted(value) if is_text else value)
    return value if is_text and isinstance(read, str) else read


def _read_whole(value: Any) -> Any:
    """Read a whole number in any decimal notation: 2e3 and 2000.0 are 2000, in JSON schemas too."""
    number = _read_number(value)
    return int(number) if isinstance(number, float) and number.is_integer() else number


def _read_text(value: Any) -> Any:
    """Read a whole number as text: 2024 may be the name of a folder."""
    return str(value) if isinstance(value, str) or type(value) is int else value


@dataclass(frozen=True)
class Whole(GroupedMetadata):
    """A whole number from low to high."""

    low: int
    high: int

    def __iter__(self) -> Iterator[object]:
        yield from (Strict(), Ge(self.low), Le(self.high))
        yield expected(f"a whole number from {self.low} to {self.high}", _read_whole)


def _read_layers(value: Any) -> Any:
    """Read '9 x 100' as nine layers of 100 units."""
    layers = re.fullmatch(r"(\d{1,4}) ?x ?(\d{1,6})", value) if isinstance(value, str) else None
    return [int(layers[2])] * int(layers[1]) if layers else value


def _read_seed_list(value: Any) -> Any:
    """Read a list of seeds."""
    return [_read_whole(seed) for seed in value] if isinstance(value, list | tuple) else value


def _read_seeds(value: Any) -> Any:
    """Turn a number of fresh seeds into the seeds: the tutorial's, and this many fresh ones."""
    if isinstance(value, list | tuple):
        return _read_seed_list(value)
    count = _read_whole(value)
    return seeds_of(count) if type(count) is int and 1 <= count <= MAX_SEED_COUNT else value


def seeds_of(count: int) -> tuple[int, ...]:
    """Return the tutorial's seed, which is shown, and a number of fresh ones, which are counted in verdicts."""
    return FIRST_SEED, *range(FRESH_SEED, FRESH_SEED + count)


def _told_apart(arms: tuple[str, ...]) -> tuple[str, ...]:
    """Return a list of arms; refuse it if two would be shown, and have files, under the same name."""
    names = [short_name(arm).lower() for arm in arms]
    if len({*names}) < len({*arms}):
        raise unexpected("parts whose names differ in more than upper and lower case (paths contain them)")
    return arms


Switch = Annotated[bool, Strict(), expected("true or false")]
Text = Annotated[str, Field(strict=True, min_length=1), expected("text that is not empty", _read_text)]
PositiveNumber = Annotated[
    float, Field(strict=True, gt=0, allow_inf_nan=False), expected("a number greater than 0", _read_number)
]
NotNegative = Annotated[
    float, Field(strict=True, ge=0, allow_inf_nan=False), expected("a number of at least 0", _read_number)
]
Kept = Annotated[
    float, Field(strict=True, ge=0, lt=1), expected("a number of at least 0 and less than 1", _read_number)
]
InitStd = Annotated[
    Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)] | InitScheme,
    expected("a number greater than 0, xavier or he", _read_number),
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
    float, Field(strict=True, gt=0, le=1), expected("a number greater than 0 and at most 1", _read_number)
]
Factor = Annotated[
    float, Field(strict=True, gt=1, allow_inf_nan=False), expected("a number greater than 1", _read_number)
]
Share = Annotated[
    float, Field(strict=True, gt=0, lt=1), expected("a number greater than 0 and less than 1", _read_number)
]
_OwnPart = Annotated[str, Field(strict=True, pattern=PATTERN, examples=["mypackage.parts:Name"])]
ArmName = Annotated[BuiltInArm | _OwnPart, one_of_or_own(BuiltInArm), named_otherwise(BuiltInArm)]
ActivationName = Annotated[
    BuiltInActivation | _OwnPart, one_of_or_own(BuiltInActivation), named_otherwise(BuiltInActivation)
]
OptimizerName = Annotated[
    BuiltInOptimizer | _OwnPart, one_of_or_own(BuiltInOptimizer), named_otherwise(BuiltInOptimizer)
]
Arms = Annotated[tuple[ArmName, ...], Field(min_length=1), AfterValidator(_told_apart)]
Name = Annotated[
    str,
    Field(strict=True, pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$"),
    expected(
        "a name of letters, digits, '_' and '-' that starts with a letter, at most 64 (paths contain it)", _read_text
    ),
]
_SEED_LIST = {
    "type": "array",
    "items": {"type": "integer", "minimum": 0, "maximum": MAX_SEED},
    "minItems": 1,
    "maxItems": MAX_SEED_COUNT,
    "uniqueItems": True,
}
SeedList = Annotated[
    tuple[Annotated[int, Strict(), Ge(0), Le(MAX_SEED)], ...],
    Field(min_length=1, max_length=MAX_SEED_COUNT),
    expected(f"a list of whole numbers from 0 to {MAX_SEED}", _read_seed_list),
    WithJsonSchema(_SEED_LIST),
]
Seeds = Annotated[
    tuple[Annotated[int, Strict(), Ge(0), Le(MAX_SEED)], ...],
    Field(min_length=1, max_length=MAX_SEED_COUNT + 1),
    expected(
        f"the number of fresh seeds (1 to {MAX_SEED_COUNT}, counted from {FRESH_SEED}) "
        f"or a list of whole numbers from 0 to {MAX_SEED}",
        _read_seeds,
    ),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1, "maximum": MAX_SEED_COUNT}, _SEED_LIST]}),
]
