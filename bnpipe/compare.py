"""Compare results with the expected ones: `python -m bnpipe.compare EXPECTED RESULTS` names every difference.

Both are folders that hold `claims.csv` and `summary.csv`, directly or in a subfolder `tables`; `all_claims.csv` is
compared too if both have it. Numbers may differ a little, because another processor or library version rounds
differently and badly initialized networks amplify that:

verdict, n, sesoi       must be equal, and so must the digest of the plan
above, below, diverged  may differ by one seed
median                  may differ by a quarter of sesoi or of the width of its interval, whichever is larger
mean, test_mean         may differ by 0.01 or a quarter of the width of their interval, whichever is larger
low, high, worst        may differ by twice as much as the median or mean that they belong to

The widths are those of the expected intervals. For claims about measured time, only the verdict, n and sesoi are
compared, because the other numbers depend on the machine. The exit code is 0 if nothing differs, 1 if something does,
and 2 if the tables cannot be compared.
"""

import argparse
import math
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from bnpipe.core.csv_files import read_table
from bnpipe.core.errors import InputError

SEED = 1.0  # tolerance of a count of seeds
ACCURACY = 0.01  # of a mean accuracy
PART = 0.25  # of sesoi, or of the width of an interval
EXACTLY = 1e-9  # relative: tables hold nine digits
TIMED = "less-time"  # how the keys of claims about measured time begin

Row = dict[str, Any]


class Table(NamedTuple):
    """A table to compare: which columns identify its rows, and by how much each number may differ."""

    name: str  # of the file
    rows: str  # what its rows are
    keys: Sequence[str]
    words: Sequence[str]  # columns that must be equal
    shared: Sequence[str]  # columns that must be equal and hold one value in the whole table; reported in one line
    tolerances: Callable[[Row], dict[str, float]]  # of an expected row, by column
    numbers: Sequence[str]  # columns of numbers


def claim_tolerances(row: Row) -> dict[str, float]:
    """Return the tolerances of an expected row of `claims.csv`, by column."""
    size = width(0, abs(row["sesoi"]))
    exact = {"n": 0.0, "sesoi": EXACTLY * size}
    if row["claim"].startswith(TIMED):
        return exact
    middle = PART * max(size, width(row["low"], row["high"]))
    ends = dict.fromkeys(("low", "high", "worst"), 2 * middle)
    return {**exact, "above": SEED, "below": SEED, "median": middle, **ends}


def summary_tolerances(row: Row) -> dict[str, float]:
    """Return the tolerances of an expected row of `summary.csv`, by column."""
    found = {"n": 0.0, "diverged": SEED}
    for prefix in ("", "test_"):
        middle = max(ACCURACY, PART * width(row[f"{prefix}low"], row[f"{prefix}high"]))
        found |= {f"{prefix}mean": middle, f"{prefix}low": 2 * middle, f"{prefix}high": 2 * middle}
    return found


def width(low: float, high: float) -> float:
    """Return the width of an interval; 0 if an end is infinite or unknown."""
    return high - low if math.isfinite(high - low) else 0.0


CLAIM_NUMBERS = ("n", "above", "below", "median", "low", "high", "worst", "sesoi")
SUMMARY_NUMBERS = ("n", "diverged", "mean", "low", "high", "test_mean", "test_low", "test_high")
CLAIMS = Table("claims.csv", "claims", ["claim"], ["verdict"], ["plan"], claim_tolerances, CLAIM_NUMBERS)
SUMMARY = Table("summary.csv", "rows", ["condition", "arm"], [], [], summary_tolerances, SUMMARY_NUMBERS)
ALL_CLAIMS = CLAIMS._replace(name="all_claims.csv")


def compare(expected: Path, results: Path) -> tuple[list[str], str]:
    """Compare two folders; return a line for each difference, and a line that says what was compared.

    Raises InputError, with one line, if a table is missing or damaged.
    """
    lines, compared = [], []
    for table in (CLAIMS, ALL_CLAIMS, SUMMARY):
        if table is ALL_CLAIMS and not (place_of(table.name, expected) and place_of(table.name, results)):
            continue
        wanted, found = read(table, expected), read(table, results)
        lines += [f"{table.name}: {line}" for line in differences(table, wanted, found)]
        compared.append(f"{len(wanted)} {table.rows} in {table.name}")
    return lines, f"Compared {', '.join(compared)} of {expected} and {results}"


def place_of(name: str, folder: Path) -> Path | None:
    """Return where a table is, in a folder or in its folder `tables`; None if it is in neither."""
    return next((path for path in (folder / name, folder / "tables" / name) if path.is_file()), None)


def read(table: Table, folder: Path) -> dict[tuple[str, ...], Row]:
    """Read a table from a folder; return its rows by their keys.

    Raises InputError, with one line, if it is missing, cannot be read, lacks columns, has text where numbers belong, or
    has a row twice.
    """
    path = place_of(table.name, folder)
    if path is None:
        raise InputError(f"{folder}: expected {table.name} there or in {folder / 'tables'}, found neither")
    try:
        frame = read_table(path)
    except InputError as error:
        raise InputError(f"{path}: not a table ({' '.join(str(error.__cause__).split())})") from error
    missing = [column for column in (*table.keys, *table.words, *table.shared, *table.numbers) if column not in frame]
    if missing:
        raise InputError(f"{path}: expected the columns of {table.name}, got none named {', '.join(missing)}")
    for column in table.numbers:
        if len(frame) and not pd.api.types.is_numeric_dtype(frame[column]):
            raise InputError(f"{path}: column {column}: expected numbers, got text")
    rows: dict[tuple[str, ...], Row] = {}
    for row in frame.to_dict("records"):
        key = tuple(str(row[name]) for name in table.keys)
        if key in rows:
            raise InputError(f"{path}: expected each row once, got {', '.join(key)} more than once")
        rows[key] = {str(name): value for name, value in row.items()}
    return rows


def differences(
    table: Table, expected: dict[tuple[str, ...], Row], results: dict[tuple[str, ...], Row]
) -> Iterator[str]:
    """Yield a line for each difference between the rows of two tables, which are given by their keys."""
    for column in table.shared:
        before, now = ({str(row[column]) for row in rows.values()} for rows in (expected, results))
        if before != now:
            yield f"{column}: expected {listed(before)}, got {listed(now)}"
    for key, wanted in expected.items():
        name = ", ".join(key)
        if key not in results:
            yield f"{name}: expected, but not in the results"
            continue
        found = results[key]
        for column in table.words:
            if str(wanted[column]) != str(found[column]):
                yield f"{name}: {column}: expected {wanted[column]}, got {found[column]}"
        for column, tolerance in table.tolerances(wanted).items():
            if not alike(wanted[column], found[column], tolerance):
                within = f" within {tolerance:.3g}" if tolerance > EXACTLY else ""
                yield f"{name}: {column}: expected {written(wanted[column])}{within}, got {written(found[column])}"
    for key in results:
        if key not in expected:
            yield f"{', '.join(key)}: in the results, but not expected"


def listed(values: set[str]) -> str:
    """List the values of a column for a line."""
    return ", ".join(sorted(values)) or "none"


def written(number: float) -> str:
    """Write a number of a table for a line."""
    return "no value" if math.isnan(number) else f"{number:.6g}"


def alike(one: float, other: float, tolerance: float) -> bool:
    """Return whether two numbers are equal within a tolerance; an unknown number (nan) equals another one."""
    if math.isnan(one) or math.isnan(other):
        return math.isnan(one) and math.isnan(other)
    return one == other or abs(one - other) <= tolerance * (1 + EXACTLY)


def main() -> None:
    """Print the differences, or that there are none; exit with 0, 1 or 2 as the module says."""
    about, *details = (__doc__ or "").split("\n\n", maxsplit=1)
    parser = argparse.ArgumentParser(
        prog="python -m bnpipe.compare",
        description=about,
        epilog="".join(details),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("expected", metavar="EXPECTED", type=Path, help="folder with the expected tables")
    parser.add_argument("results", metavar="RESULTS", type=Path, help="folder with the tables to check")
    options = parser.parse_args()
    try:
        lines, compared = compare(options.expected, options.results)
    except InputError as error:
        print(error.for_terminal(), file=sys.stderr)
        sys.exit(2)
    if lines:
        print("\n".join(lines))
        sys.exit(1)
    print(f"{compared}: nothing differs.")


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` ends this command, as it ends others
    main()
