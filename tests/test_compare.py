import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bnpipe import compare
from bnpipe.core.csv_files import write_table
from tests.commands import assert_ends_with_its_reader
from tests.workplace import REPOSITORY

STEPS = {
    "claim": "fewer-steps-tanh",
    "statement": "Fewer steps",
    "n": 12,
    "above": 12,
    "below": 0,
    "median": 0.4,
    "low": 0.3,
    "high": 0.5,
    "worst": 0.25,
    "sesoi": 0.2,
    "verdict": "supported",
    "plan": "3f2a",
}
ONE = "a,b,1,1,1,1,1,1,1,1,c,d"  # a row as it is written in the file
TIME = {**STEPS, "claim": "less-time-tanh"}
TANH = {
    "condition": "tanh",
    "arm": "vanilla",
    "n": 12,
    "diverged": 0,
    "mean": 0.9,
    "low": 0.89,
    "high": 0.91,
    "test_mean": 0.91,
    "test_low": 0.86,
    "test_high": 0.96,
}
RELU = {**TANH, "condition": "relu", "arm": "batchnorm"}


def write(folder: Path, claims: list[dict[str, Any]], summary: list[dict[str, Any]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    write_table(pd.DataFrame(claims), folder / "claims.csv")
    write_table(pd.DataFrame(summary), folder / "summary.csv")
    return folder


@pytest.fixture
def expected(tmp_path: Path) -> Path:
    return write(tmp_path / "expected", [STEPS, TIME], [TANH, RELU])


def run(*arguments: Path | str, monkeypatch: pytest.MonkeyPatch) -> object:
    """Run the command and return its exit code."""
    monkeypatch.setattr(sys, "argv", ["compare", *map(str, arguments)])
    try:
        compare.main()
    except SystemExit as end:
        return end.code
    return 0


def lines_of(expected: Path, claims: list[dict[str, Any]], summary: list[dict[str, Any]]) -> list[str]:
    return compare.compare(expected, write(expected.parent / "results", claims, summary))[0]


def test_equal_results_are_one_line_and_0(
    expected: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    results = expected.parent / "results"
    write(results / "tables", [TIME, STEPS], [RELU, TANH])  # in another order
    assert run(expected, results, monkeypatch=monkeypatch) == 0
    said = capsys.readouterr()
    assert said.out == (
        f"Compared 2 claims in claims.csv, 2 rows in summary.csv of {expected} and {results}: nothing differs.\n"
    )
    assert said.err == ""


def test_differences_are_a_line_each_and_1(
    expected: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    claims = [{**STEPS, "verdict": "undecided", "above": 9, "median": 0.2}, {**STEPS, "claim": "own"}]
    results = write(expected.parent / "results", claims, [{**TANH, "mean": 0.88}, {**RELU, "n": 3}])
    assert run(expected, results, monkeypatch=monkeypatch) == 1
    assert capsys.readouterr().out.splitlines() == [
        "claims.csv: fewer-steps-tanh: verdict: expected supported, got undecided",
        "claims.csv: fewer-steps-tanh: above: expected 12 within 1, got 9",
        "claims.csv: fewer-steps-tanh: median: expected 0.4 within 0.05, got 0.2",
        "claims.csv: less-time-tanh: expected, but not in the results",
        "claims.csv: own: in the results, but not expected",
        "summary.csv: tanh, vanilla: mean: expected 0.9 within 0.01, got 0.88",
        "summary.csv: relu, batchnorm: n: expected 12, got 3",
    ]


@pytest.mark.parametrize(
    ("column", "value", "differs"),
    [
        ("verdict", "reversed", True),
        ("n", 13, True),
        ("sesoi", 0.2000001, True),
        ("above", 11, False),
        ("above", 10, True),
        ("below", 1, False),
        ("below", 2, True),
        ("median", 0.449, False),  # a quarter of 0.2 is 0.05
        ("median", 0.451, True),
        ("low", 0.201, False),
        ("low", 0.199, True),
        ("high", 0.601, True),
        ("worst", 0.151, False),
        ("worst", 0.149, True),
        ("worst", math.nan, True),
        ("median", math.inf, True),
        ("statement", "Other words", False),
    ],
)
def test_tolerances_of_a_claim(expected: Path, column: str, value: Any, differs: bool) -> None:
    lines = lines_of(expected, [{**STEPS, column: value}, TIME], [TANH, RELU])
    assert len(lines) == differs
    assert all(line.startswith(f"claims.csv: fewer-steps-tanh: {column}: expected ") for line in lines)


def test_a_wide_interval_allows_for_more(tmp_path: Path) -> None:
    wide = {**STEPS, "low": 0.0, "high": 0.8}
    assert not lines_of(write(tmp_path / "wide", [wide], [TANH]), [{**wide, "median": 0.599}], [TANH])
    assert lines_of(tmp_path / "wide", [{**wide, "median": 0.601}], [TANH])
    endless = {**STEPS, "low": -math.inf, "high": 0.8}
    assert not lines_of(write(tmp_path / "endless", [endless], [TANH]), [{**endless, "median": 0.449}], [TANH])
    assert lines_of(tmp_path / "endless", [{**endless, "median": 0.451}], [TANH])
    assert lines_of(tmp_path / "endless", [{**endless, "low": math.inf}], [TANH])


def test_another_plan_is_one_line(expected: Path) -> None:
    own = [{**STEPS, "plan": "90ab"}, {**TIME, "plan": "90ab"}]
    assert lines_of(expected, own, [TANH, RELU]) == ["claims.csv: plan: expected 3f2a, got 90ab"]


def test_unknown_numbers_equal_each_other(tmp_path: Path) -> None:
    unknown = {**STEPS, "median": math.nan, "low": math.nan, "high": math.nan, "worst": math.nan, "sesoi": math.nan}
    one = {**TANH, "low": math.nan, "high": math.nan}
    folder = write(tmp_path / "unknown", [unknown], [one])
    assert lines_of(folder, [unknown], [one]) == []
    assert lines_of(folder, [{**unknown, "median": 0.4}], [one]) == [
        "claims.csv: fewer-steps-tanh: median: expected no value, got 0.4"
    ]


def test_measured_times_may_differ_but_their_verdicts_may_not(expected: Path) -> None:
    slower = {**TIME, "above": 2, "below": 7, "median": -1.0, "worst": -9.0, "low": -5.0, "high": 5.0}
    assert lines_of(expected, [STEPS, slower], [TANH, RELU]) == []
    assert len(lines_of(expected, [STEPS, {**slower, "verdict": "undecided", "n": 11}], [TANH, RELU])) == 2


@pytest.mark.parametrize(
    ("column", "value", "differs"),
    [
        ("mean", 0.9099, False),
        ("mean", 0.9101, True),
        ("test_mean", 0.934, False),  # a quarter of 0.1 is 0.025
        ("test_mean", 0.936, True),
        ("low", 0.871, False),
        ("low", 0.869, True),
        ("test_high", 1.009, False),
        ("test_high", 1.011, True),
        ("diverged", 1, False),
        ("diverged", 2, True),
        ("n", 11, True),
    ],
)
def test_tolerances_of_a_summary(expected: Path, column: str, value: float, differs: bool) -> None:
    lines = lines_of(expected, [STEPS, TIME], [{**TANH, column: value}, RELU])
    assert len(lines) == differs
    assert all(line.startswith(f"summary.csv: tanh, vanilla: {column}: expected ") for line in lines)


def test_all_claims_are_compared_if_both_have_them(expected: Path) -> None:
    results = write(expected.parent / "results" / "tables", [STEPS, TIME], [TANH, RELU]).parent
    write_table(pd.DataFrame([STEPS]), expected / "all_claims.csv")
    assert compare.compare(expected, results)[0] == []
    write_table(pd.DataFrame([{**STEPS, "verdict": "undecided"}]), results / "tables/all_claims.csv")
    lines, compared = compare.compare(expected, results)
    assert lines == ["all_claims.csv: fewer-steps-tanh: verdict: expected supported, got undecided"]
    assert "1 claims in all_claims.csv" in compared


def damaged(folder: Path, text: str | bytes) -> None:
    (folder / "claims.csv").write_bytes(text if isinstance(text, bytes) else text.encode())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "claims.csv: not a table"),
        (b"\xff\xfe\x00", "claims.csv: not a table"),
        ("claim,n\na,1\nb,2,3,4\n", "claims.csv: not a table"),
        ("claim,n\na,1\n", "got none named verdict, plan, above, below, median, low, high, worst, sesoi"),
        (f"{','.join(STEPS)}\na,b,some,1,1,1,1,1,1,1,c,d\n", "column n: expected numbers, got text"),
        (f"{','.join(STEPS)}\n{ONE}\n{ONE}\n", "got a more than once"),
    ],
    ids=["empty", "bytes", "cut", "columns", "text", "twice"],
)
def test_a_damaged_table_is_one_line_and_2(
    text: str | bytes, said: str, expected: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    results = write(expected.parent / "results", [STEPS, TIME], [TANH, RELU])
    for folder in (results, expected):
        damaged(folder, text)
        assert run(expected, results, monkeypatch=monkeypatch) == 2
        out, error = capsys.readouterr()
        assert out == ""
        assert error.count("\n") == 1
        assert error.startswith("error: ")
        assert said in error
        write(folder, [STEPS, TIME], [TANH, RELU])
        assert run(expected, results, monkeypatch=monkeypatch) == 0
        capsys.readouterr()


def test_a_missing_table_is_one_line_and_2(
    expected: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(expected, "nowhere", monkeypatch=monkeypatch) == 2
    assert capsys.readouterr().err == (
        "error: nowhere: expected claims.csv there or in nowhere/tables, found neither\n"
    )


def test_the_help_says_the_tolerances(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help", monkeypatch=monkeypatch) == 0
    assert "may differ by 0.01 or a quarter of the width" in capsys.readouterr().out


def test_a_reader_that_leaves_ends_the_command(expected: Path) -> None:
    many = [{**STEPS, "claim": f"claim-{number}"} for number in range(3000)]  # more lines than a pipe holds
    results = write(expected.parent / "results", many, [TANH, RELU])
    command = [sys.executable, "-m", "bnpipe.compare", str(expected), str(results)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert_ends_with_its_reader(process, b"claims.csv: ")
