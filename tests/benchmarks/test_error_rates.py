import json
from pathlib import Path

import numpy as np
import pytest
from scipy.special import ndtr

from benchmarks import error_rates
from benchmarks.error_rates import (
    CLAIMS,
    DISTRIBUTIONS,
    Known,
    covered,
    decided,
    normals,
    power,
    power_table,
    simulate,
    with_clear_claims,
)
from bnpipe.analysis.verdicts import LEVEL, decide, verdicts
from tests.workplace import REPOSITORY

CONTINUOUS = list(DISTRIBUTIONS)[:5]
TINY = 300  # families; the standard error of a share of 5% is then 1.3 points


def draw(name: str, families: int, seeds: int, seed: int = 0) -> Known:
    rng = np.random.default_rng(seed)
    shape = (families, seeds, CLAIMS)
    return DISTRIBUTIONS[name](normals(rng, shape, 0.5), normals(rng, shape, 0.5))


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_whole_families_are_decided_as_the_package_decides_them(name: str) -> None:
    known = with_clear_claims(draw(name, families=20, seeds=20))
    known.lower[:10, :, 20:30] += 2  # some claims are nearly clear, so the step-down matters for them
    known.upper[:10, :, 20:30] += 2
    supported, refuted = decided(known, 20)
    assert supported[:, 20:].any()
    words = np.select(
        [known.lower == known.upper, np.isfinite(known.lower), np.isfinite(known.upper)], ["", "above", "below"], "both"
    )
    values = np.where(np.isneginf(known.lower), known.upper, known.lower)
    for family in range(20):
        decisions = [decide(values[family, :, claim], 0, words[family, :, claim]) for claim in range(CLAIMS)]
        found = verdicts(decisions, [0.0] * CLAIMS, CLAIMS)
        assert [verdict == "supported" for verdict in found] == supported[family].tolist()
        assert [verdict == "too small to matter" for verdict in found] == refuted[family].tolist()


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_the_median_is_the_smallest_effect_of_interest(name: str) -> None:
    known = draw(name, families=2000, seeds=12)
    shares = (known.lower > 0).mean(), (known.upper < 0).mean()
    assert all(share < 0.51 for share in shares)  # the standard error is 0.3 points, because claims are correlated
    assert not (known.lower > known.upper).any()
    if name in CONTINUOUS:
        assert shares == pytest.approx((0.5, 0.5), abs=0.01)
    else:
        assert all(0.25 < share < 0.49 for share in shares)


def test_a_rule_without_a_family_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def worst() -> float:
        rows = simulate(TINY, sizes=(11, 12), correlations=(0, 0.9))["errors"]
        assert len(rows) == len(DISTRIBUTIONS) * 2 * 2 * 3
        return float(max(max(row["wrongly_supported"], row["wrongly_refuted"]) for row in rows))

    assert 0 < worst() <= LEVEL
    monkeypatch.setattr(error_rates, "threshold", lambda _rank, _family_size: 1 / LEVEL)
    assert worst() > 2 * LEVEL


def test_an_error_at_any_look_counts() -> None:
    known = Known(np.full((2, 30, CLAIMS), -1.0), np.full((2, 30, CLAIMS), 1.0))
    known.lower[0, :12, 0] = 1  # supported after 12 seeds, not after 30
    rows = {row["design"]: row for row in error_rates.errors(known, slice(None), (10, 12, 30))}
    assert [row["wrongly_supported"] for row in rows.values()] == [0, 0.5, 0, 0.5]
    assert [row["wrongly_refuted"] for row in rows.values()] == [0, 0, 0, 0]
    known.upper[:] = 1 - 2 * (np.arange(30) < 12)[:, None]
    rows = {row["design"]: row for row in error_rates.errors(known, slice(5, None), (10, 12, 30))}
    assert [row["wrongly_refuted"] for row in rows.values()] == [0, 1, 0, 1]


def test_intervals_cover_the_median() -> None:
    for name in CONTINUOUS:
        assert covered(draw(name, families=1000, seeds=12), 12) == pytest.approx(0.961, abs=0.01)
    values = np.arange(-3.0, 7)[None, :, None]  # from -3 to 6, so the interval is from -2 to 5
    assert [covered(Known(values + shift, values + shift), 10) for shift in (2, 2.5, -5, -5.5)] == [1, 0, 1, 0]


def test_power_by_hand() -> None:
    rows = power(TINY, sizes=(10, 12, 20))
    found = {(row["share"], row["n"]): row for row in rows if "effect" not in row}
    assert found[1.0, 10]["first"] == found[1.0, 10]["all"] == 0  # ten of ten are not enough for 37 claims
    assert found[1.0, 12]["first"] == found[1.0, 12]["all"] == 1
    assert found[0.9, 12]["first"] == pytest.approx(0.9**12, abs=1e-4)
    assert found[0.9, 20]["first"] == pytest.approx(0.9**20 + 20 * 0.9**19 * 0.1, abs=1e-4)
    assert found[0.9, 20]["each"] >= found[0.9, 20]["first"] - 0.02
    assert found[0.99, 20]["all"] > 0.9  # the step-down lets the last pass too
    (of_two,) = (row for row in rows if row.get("effect") == 2 and row["n"] == 12)
    assert of_two["first"] == pytest.approx(ndtr(2) ** 12, abs=1e-4)
    assert "| 90% | 0% / 0% / 0% | 28% /" in power_table(rows, "share")
    assert "| 2 | 0% / 0% / 0% | 76% /" in power_table(rows, "effect")


def test_the_command_writes_what_it_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(error_rates, "FAMILIES", 10)
    error_rates.main(tmp_path)
    written = json.loads((tmp_path / "error_rates.json").read_text())
    said = capsys.readouterr().out
    for name in DISTRIBUTIONS:
        assert said.count(f"| {name} |") == 2
    mean = np.mean(
        [row["covered"] for row in written["coverage"] if row["distribution"] == "normal" and row["n"] == 12]
    )
    assert f"{mean:.1%}" in said


def test_the_committed_result_keeps_the_level_in_every_cell() -> None:
    result = json.loads((REPOSITORY / "benchmarks/results/error_rates.json").read_text())
    assert (result["families"], result["claims"], result["level"]) == (2000, 37, 0.05)
    assert len(result["errors"]) == 7 * 3 * 2 * 5
    assert {row["design"] for row in result["errors"]} == {"10 seeds", "12 seeds", "20 seeds", "30 seeds", "four looks"}
    assert max(max(row["wrongly_supported"], row["wrongly_refuted"]) for row in result["errors"]) <= 0.05
    assert len(result["coverage"]) == 7 * 3 * 4
    assert min(row["covered"] for row in result["coverage"]) > 0.94  # 95%, minus an error of correlated claims
    assert len(result["power"]) == 2 * 7 * 7
