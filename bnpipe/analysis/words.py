"""How numbers, settings and names are written for people, in tables, figures and pages.

This module imports nothing else of the package: a page that needs one of these helpers must not depend on a figure.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np

MINUS, TIMES = "\N{MINUS SIGN}", "\N{MULTIPLICATION SIGN}"
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def in_words(name: str) -> str:
    """Write the name of a setting or a column in words."""
    return name.replace("_", " ")


def percent(share: float) -> str:
    """Write a share as a percentage with two decimals."""
    return f"{share:.2%}"


def points(difference: float) -> str:
    """Write a difference between shares in percentage points, with its sign."""
    sign = MINUS if difference < 0 else "+"
    return f"{sign}{abs(difference) * 100:.2f} points"


def whole(number: float) -> str:
    """Write a whole number with thousands separators."""
    return f"{number:,.0f}"


def four_digits(number: float) -> str:
    """Write a number with four significant digits."""
    return f"{number:.4g}".replace("-", MINUS)


def two_digits(value: float) -> str:
    """Write a number with two significant digits; very large and very small ones with one and a power of ten."""
    if value == 0 or 0.001 <= abs(value) < 1000:
        return f"{float(f'{value:.2g}'):g}".replace("-", MINUS)
    digit, _, power = f"{value:.0e}".partition("e")
    return digit.replace("-", MINUS) + f"{TIMES}10" + str(int(power)).translate(SUPERSCRIPTS)


def listed(parts: Sequence[str]) -> str:
    """Write parts of a sentence as a list: a, b and c."""
    *most, last = parts
    return f"{', '.join(most)} and {last}" if most else last


def counted(count: int, what: str) -> str:
    """Write how many there are of something: 1 seed, 2 seeds."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def short(digest: str) -> str:
    """Write the beginning of a checksum."""
    return digest[:12]


def as_text(value: Any) -> str:
    """Write a value as the charts and tables of a page show it: yes or no, numbers without needless digits."""
    if isinstance(value, str):
        return value
    return ("no", "yes")[int(value)] if str(value) in ("True", "False") else f"{value:g}"


def tick_text(value: Any) -> str:
    """Write a value as the axes and legends of a figure show it: like `as_text`, with thousands separators."""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if not isinstance(value, int | float | np.number):
        return str(value)
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:g}"


def setting_text(value: Any) -> Any:
    """Write a setting as a cell of a table: nine layers of 100 units as 9 x 100, None as all, others as they are."""
    if value is None:
        return "all"
    if isinstance(value, tuple):
        return " + ".join(f"{len(list(layers))} x {width}" for width, layers in groupby(value))
    return value


def count_text(runs: int, diverged: int) -> str:
    """Write how many runs there are or, if some diverged, how many of them did."""
    return f"{diverged} of {runs} diverged" if diverged else f"n = {runs}"
