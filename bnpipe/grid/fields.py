"""Types of the configuration's values: what each accepts, which shorthands it reads, how it says what it expects."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, get_args

import yaml
from annotated_types import Ge, GroupedMetadata, Le
from pydantic import (
    BeforeValidator,
    Field,
    Strict,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
)
from pydantic_core import PydanticCustomError

from bnpipe.core.settings import FIRST_SEED, Arm, InitScheme

MAX_SEED = 2**32 - 1  # numpy.random.RandomState takes no larger one
MAX_SEED_COUNT = 10_000


def unexpected(expected: str, advice: str = "") -> PydanticCustomError:
    """Return the error for a value that is not what is expected; advice: what to do about it, if anything helps."""
    return PydanticCustomError("unexpected", "expected {expected}", {"expected": expected, "advice": advice})


def expected(text: str) -> WrapValidator:
    """Whatever is wrong with a value, say in these words what is expected instead."""

    def validate(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        try:
            return handler(value)
        except ValidationError as error:
            quoted = isinstance(value, str) and _accepts_unquoted(handler, value)
            raise unexpected(text, "write it without quotes" if quoted else "") from error

    return WrapValidator(validate)


def _accepts_unquoted(handler: ValidatorFunctionWrapHandler, text: str) -> bool:
    try:
        handler(yaml.safe_load(text))
    except (ValidationError, yaml.YAMLError, ValueError):
        return False
    return True


def one_of(literal: Any) -> WrapValidator:
    """Expect one of the values of a Literal type."""
    *values, last = get_args(literal)
    return expected(f"{', '.join(values)} or {last}")


@dataclass(frozen=True)
class Whole(GroupedMetadata):
    """A whole number from low to high."""

    low: int
    high: int

    def __iter__(self) -> Iterator[object]:
        yield from (Strict(), Ge(self.low), Le(self.high))
        yield expected(f"a whole number from {self.low} to {self.high}")


def _read_exponent(value: Any) -> Any:
    """Read 1e-3 as a number: YAML 1.1 takes it for text unless it has a decimal point."""
    return float(value) if isinstance(value, str) and re.fullmatch(r"[-+]?\d+[eE][-+]?\d+", value) else value


def _read_layers(value: Any) -> Any:
    """Read '9 x 100' as nine layers of 100 units."""
    layers = re.fullmatch(r"(\d{1,4}) ?x ?(\d{1,6})", value) if isinstance(value, str) else None
    return [int(layers[2])] * int(layers[1]) if layers else value


def _count_seeds(value: Any) -> Any:
    """Turn a number of seeds into the seeds."""
    return range(FIRST_SEED, FIRST_SEED + value) if type(value) is int and 1 <= value <= MAX_SEED_COUNT else value


Switch = Annotated[bool, Strict(), expected("true or false")]
Text = Annotated[str, Field(strict=True, min_length=1), expected("text that is not empty")]
PositiveNumber = Annotated[
    float,
    Field(strict=True, gt=0, allow_inf_nan=False),
    BeforeValidator(_read_exponent),
    expected("a number greater than 0"),
]
InitStd = Annotated[
    Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False), BeforeValidator(_read_exponent)] | InitScheme,
    expected("a number greater than 0, xavier or he"),
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
    expected("a number greater than 0 and at most 1"),
]
Factor = Annotated[
    float,
    Field(strict=True, gt=1, allow_inf_nan=False),
    BeforeValidator(_read_exponent),
    expected("a number greater than 1"),
]
Share = Annotated[float, Field(strict=True, gt=0, lt=1), expected("a number greater than 0 and less than 1")]
Arms = Annotated[tuple[Annotated[Arm, one_of(Arm)], ...], Field(min_length=1)]
Name = Annotated[
    str,
    Field(strict=True, pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$"),
    expected("a name of letters, digits, '_' and '-' that starts with a letter, at most 64 (paths contain it)"),
]
Seeds = Annotated[
    tuple[Annotated[int, Strict(), Ge(0), Le(MAX_SEED)], ...],
    Field(min_length=1, max_length=MAX_SEED_COUNT),
    BeforeValidator(_count_seeds),
    expected(
        f"the number of seeds (1 to {MAX_SEED_COUNT}, counted from {FIRST_SEED}) "
        f"or a list of whole numbers from 0 to {MAX_SEED}"
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
