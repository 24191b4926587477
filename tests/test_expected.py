"""The expected tables in docs/expected belong to the committed plan and configuration."""

from pathlib import Path

import pandas as pd
import pytest

from bnpipe.analysis.registry.family import CLAIMS, REGISTERED
from bnpipe.compare import compare
from bnpipe.core.yaml_files import read_yaml
from bnpipe.grid.config import parse_configuration
from tests.workplace import REPOSITORY

EXPECTED = REPOSITORY / "docs/expected"


@pytest.mark.parametrize("name", ["claims", "all_claims"])
def test_expected_verdicts_are_of_the_registered_plan(name: str) -> None:
    table = pd.read_csv(EXPECTED / f"{name}.csv")
    assert {*table["plan"]} == {REGISTERED}
    assert {*table["claim"]} <= {*CLAIMS}
    assert {*table["n"]} == {12}


def test_all_registered_claims_have_an_expected_verdict() -> None:
    assert pd.read_csv(EXPECTED / "all_claims.csv")["claim"].tolist() == list(CLAIMS)


def test_the_expected_summary_is_of_the_committed_configuration() -> None:
    configuration = parse_configuration(read_yaml(REPOSITORY / "config.yaml"))
    table = pd.read_csv(EXPECTED / "summary.csv")
    pairs = {(condition, arm) for condition in configuration.conditions for arm in configuration.arms}
    assert {*table[["condition", "arm"]].itertuples(index=False, name=None)} == pairs
    assert {*table["n"]} == {len(configuration.seeds)}


def test_the_expected_tables_can_be_compared() -> None:
    lines, compared = compare(EXPECTED, EXPECTED)
    assert lines == []
    assert f"{len(CLAIMS)} claims in all_claims.csv" in compared


def test_another_verdict_is_a_difference(tmp_path: Path) -> None:
    for name in ("claims", "all_claims", "summary"):
        table = pd.read_csv(EXPECTED / f"{name}.csv", dtype=str, keep_default_na=False)
        if name == "all_claims":
            table.loc[table["claim"] == "fewer-steps-tanh", "verdict"] = "reversed"
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    (line,) = compare(EXPECTED, tmp_path)[0]
    assert "fewer-steps-tanh" in line
