"""The code of the documents runs as it stands there, and finds what the package found."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bnpipe.claims import make_claims
from bnpipe.config import SmallestEffects, parse_configuration
from bnpipe.csv_files import read_table
from bnpipe.records import Record, write_record
from bnpipe.settings import Arm
from bnpipe.tables import make_tables
from bnpipe.yaml_files import read_yaml
from tests.conftest import make_record, make_settings

REPOSITORY = Path(__file__).resolve().parents[1]
CONFIGURATION = parse_configuration(read_yaml(REPOSITORY / "config.yaml"), "config.yaml")
ARMS: list[Arm] = ["vanilla", "batchnorm"]
SEEDS = list(range(42, 52))


def made_up(rng: np.random.Generator, condition: str, arm: Arm) -> Record:
    """Return a record of ten runs, batchnorm above vanilla; one of vanilla's diverged under `relu`."""
    record = make_record(condition, arm, SEEDS)
    steps = np.arange(0, 2000, 60)
    height = 0.93 + 0.03 * (arm == "batchnorm") + 0.02 * rng.random((10, 1))
    accuracy = height * (1 - np.exp(-(steps + 60) / (300 if arm == "batchnorm" else 500)))
    training_loss = np.full((10, 2000), 0.3, np.float32)
    if (condition, arm) == ("relu", "vanilla"):
        training_loss[3, 500:] = np.nan
    curves = replace(
        record.curves,
        steps=steps,
        accuracy=accuracy,
        loss=1 - accuracy,
        training_loss=training_loss,
        test_accuracy=accuracy[:, -1] - 0.01 * rng.random(10),
        diagnostics={},
        failure=None,
    )
    return replace(record, settings=(make_settings(arm=arm),) * 10, curves=curves)


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    rng = np.random.default_rng(5)
    folder, records = tmp_path / "results/mnist/tables", []
    for condition in CONFIGURATION.conditions:
        for arm in ARMS:
            records.append(tmp_path / f"runs/{condition}-{arm}.safetensors")
            write_record(made_up(rng, condition, arm), records[-1])
    make_tables(records, list(CONFIGURATION.conditions), ARMS, SEEDS, tmp_path, folder)
    make_claims(
        tables={name: [folder / f"{name}.csv"] for name in ("accuracy", "runs")},
        conditions={
            name: condition.model_dump(exclude_defaults=True) for name, condition in CONFIGURATION.conditions.items()
        },
        smallest_effects=SmallestEffects().model_dump(),
        claims=folder / "claims.csv",
        evidence=folder / "evidence.csv",
    )
    return folder


def run_document(name: str) -> dict[str, Any]:
    code = re.findall(r"```python\n(.*?)```", (REPOSITORY / "docs" / name).read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec("\n".join(code), names)
    return names


def test_a_reader_with_pandas_finds_the_same_numbers(tables: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tables.parents[2])
    found = run_document("recompute.md")
    runs, claims = read_table(tables / "runs.csv"), read_table(tables / "claims.csv").set_index("claim")
    indexed = runs.set_index(["condition", "arm", "seed"]).sort_index()
    for name, column in (("final", "final_accuracy"), ("best", "best_accuracy"), ("area", "area_under_curve")):
        np.testing.assert_allclose(found[name].sort_index(), indexed[column], rtol=1e-7)
    assert found["steps_to_90"].to_dict() == indexed["steps_to_90"].dropna().astype(int).to_dict()

    for row in read_table(tables / "summary.csv").itertuples():
        assert found["summary"](row.condition, row.arm) == pytest.approx((row.mean, row.low, row.high), rel=1e-6)
        again = found["summary"](row.condition, row.arm, "test_accuracy")
        assert again == pytest.approx((row.test_mean, row.test_low, row.test_high), rel=1e-6)

    for claim, values in (("1 tanh", found["claim_1"]), ("3", found["claim_3"])):
        assert values.mean() == pytest.approx(claims.loc[claim, "effect"], rel=1e-6)
        low, high = found["interval"](values)
        assert (low, high) == pytest.approx((claims.loc[claim, "low"], claims.loc[claim, "high"]), rel=0.01)
        assert found["p_value"](values) == pytest.approx(claims.loc[claim, "p"], rel=1e-6)
    np.testing.assert_allclose(found["corrected"].sort_index(), claims["p_holm"], rtol=1e-6)
    verdicts = np.select([found["supported"], found["refuted"]], ["supported", "refuted"], "inconclusive")
    assert verdicts.tolist() == claims["verdict"].tolist()


def test_the_made_up_claims_are_of_several_verdicts(tables: Path) -> None:
    assert {"supported", "refuted"} <= set(pd.read_csv(tables / "claims.csv")["verdict"])
