import math
from pathlib import Path

import pandas as pd
import pytest

from bnpipe.analysis.claims import (
    CLAIM_COLUMNS,
    EVIDENCE_COLUMNS,
    claims_table,
    counted,
    make_claims,
    values_table,
)
from bnpipe.analysis.measures.sources import Sources
from bnpipe.analysis.registry.family import CLAIMS, FAMILY, REGISTERED, plan_digest
from bnpipe.analysis.verdicts import e_value
from bnpipe.core.csv_files import read_table, write_table
from bnpipe.grid.config import SmallestEffects

EFFECTS: dict[str, float] = SmallestEffects().model_dump()
CONDITIONS = {
    "renamed": {"activation": "tanh", "learning_rate": 0.01, "init_std": 1.0, "steps": 5000},
    "high": {"activation": "tanh", "learning_rate": 1.0, "init_std": 1.0, "steps": 5000},
}
COPES, HIGH_RATE = "copes-with-bad-weights-tanh", "learning-rate-1-bad-weights-tanh"
RELU, DIES = "copes-with-bad-weights-relu", "vanilla-relu-dies-float32"


def evidence(values: dict[str, list[float]], first: int = 2000) -> pd.DataFrame:
    """Return evidence on claims, from a first seed on."""
    rows = [(claim, first + i, value, "") for claim, some in values.items() for i, value in enumerate(some)]
    return pd.DataFrame(rows, columns=EVIDENCE_COLUMNS)


def runs(seeds: list[int]) -> pd.DataFrame:
    rows = [
        (condition, arm, seed, accuracy)
        for condition, gain in (("renamed", 0.5), ("high", 0.04))
        for arm, accuracy in (("vanilla", 0.3), ("batchnorm", 0.3 + gain))
        for seed in seeds
    ]
    return pd.DataFrame(rows, columns=["condition", "arm", "seed", "final_accuracy"])


def explanations(table: pd.DataFrame) -> dict[str, str]:
    return dict(zip(table["claim"], table["explanation"], strict=True))


def test_values_are_gathered_where_there_are_some_whatever_conditions_are_called() -> None:
    found = values_table(Sources({"runs": runs([2001, 2000])}, CONDITIONS))
    assert list(found.columns) == EVIDENCE_COLUMNS
    assert found["claim"].tolist() == [HIGH_RATE] * 2 + [COPES] * 2  # in the order of the registry
    assert found["seed"].tolist() == [2000, 2001, 2000, 2001]
    assert found["value"].tolist() == pytest.approx([0.04, 0.04, 0.5, 0.5])


def test_a_claim_by_hand() -> None:
    values = [0.06, 0.3, 0.31, 0.32, 0.33, 0.34, 0.36, 0.37, 0.38, 0.39, 0.4, 0.9]
    table = claims_table(evidence({COPES: values}), EFFECTS)
    assert list(table.columns) == CLAIM_COLUMNS
    (row,) = table.to_dict("records")
    assert (row["claim"], row["group"]) == (COPES, "As the tutorial ran it")
    assert row["statement"] == "With tanh, batch normalization copes with bad weights"
    assert (row["n"], row["above"], row["below"], row["sesoi"], row["worst"]) == (12, 12, 0, 0.05, 0.06)
    assert (row["median"], row["low"], row["high"]) == pytest.approx((0.35, 0.31, 0.39))  # third and tenth
    assert row["e_above"] == pytest.approx(2363, rel=1e-3)
    assert row["verdict"] == "supported"
    assert row["explanation"] == "12 of 12 seeds: at least 5 points higher"
    assert row["plan"] == REGISTERED


def test_a_verdict_against_a_claim_says_whether_the_opposite_matters() -> None:
    small, opposite = [0.03] * 12, [-0.06] * 12
    table = claims_table(
        evidence({COPES: small, RELU: opposite, DIES: [-1.0] * 12}),
        EFFECTS,
    )
    assert table["verdict"].tolist() == ["too small to matter", "reversed", "reversed"]
    assert list(explanations(table).values()) == [
        "12 of 12 seeds: less than 5 points higher",
        "12 of 12 seeds: at least 5 points lower",
        "12 of 12 seeds: no layer dies first",
    ]


def test_three_seeds_say_how_many_more_would_decide_each_claim() -> None:
    table = claims_table(evidence({COPES: [0.1, 0.2, 0.3], RELU: [0.1, 0.01, 0.02]}), EFFECTS)
    assert {*table["verdict"]} == {"undecided"}
    found = explanations(table)
    # 11 of 11 seeds reach 37 / 0.05 = 740, and ten do not.
    assert e_value(10, 10) < 740 < e_value(11, 11)
    assert found[COPES] == "undecided, 3 of 3 seeds: at least 5 points higher; 8 more agreeing seeds would decide it"
    further = next(x for x in range(99) if e_value(3 + x, 2 + x) >= 740)
    assert found[RELU] == (
        f"undecided, 2 of 3 seeds: less than 5 points higher; {further} more agreeing seeds would decide it"
    )


def test_one_more_seed_is_one_seed() -> None:
    (said,) = explanations(claims_table(evidence({COPES: [1.0] * 10}), EFFECTS)).values()
    assert said.endswith("; 1 more agreeing seed would decide it")


def test_a_claim_that_passes_lowers_what_the_next_one_must_reach() -> None:
    # 36 / 0.05 is 720: still 11 seeds. After 13 others it is 480, and ten seeds with 605 are enough.
    others = {claim.key: [9.0] * 12 for claim in FAMILY if claim.key != COPES}
    for number, verdict in ((1, "undecided"), (13, "supported")):
        some = dict(list(others.items())[:number])
        table = claims_table(evidence({**some, COPES: [1.0] * 10}), EFFECTS).set_index("claim")
        assert table.loc[COPES, "verdict"] == verdict


def test_the_family_has_its_size_whatever_is_measured() -> None:
    table = claims_table(evidence({COPES: [1.0] * 10}), EFFECTS)
    assert table["verdict"].tolist() == ["undecided"]  # alone, ten seeds would do: 605 > 20


def test_explored_and_tuning_seeds_are_measured_and_do_not_count() -> None:
    values = values_table(Sources({"runs": runs([42, 43, 500, 1009, 2000])}, CONDITIONS))
    assert counted(values)["seed"].unique().tolist() == [2000]
    table = claims_table(values, EFFECTS)
    assert table["n"].tolist() == [1, 1]
    assert explanations(table)[COPES].endswith("; 3 seeds explored before the plan was fixed, not counted")
    without = explanations(claims_table(values[values["seed"].isin([42, 2000])], EFFECTS))
    assert "explored" not in without[COPES]  # the tutorial's seed is never meant to count


def test_a_claim_on_explored_seeds_alone_is_undecided() -> None:
    (row,) = claims_table(evidence({COPES: [1.0] * 3}, first=43), EFFECTS).to_dict("records")
    assert (row["n"], row["verdict"]) == (0, "undecided")
    assert row["explanation"] == (
        "undecided; 11 more agreeing seeds would decide it; 3 seeds explored before the plan was fixed, not counted"
    )


def test_what_is_known_of_a_censored_value_counts() -> None:
    values = evidence({"fewer-steps-tanh": [1.0] * 11})
    for censored, counts in (("above", (11, 0)), ("below", (0, 0)), ("both", (0, 0))):
        table = claims_table(values.assign(censored=censored), EFFECTS)
        assert table[["above", "below"]].to_numpy().tolist() == [[*counts]]


def test_other_smallest_effects_are_another_plan() -> None:
    other = {**EFFECTS, "final_accuracy": 0.2}
    (row,) = claims_table(evidence({COPES: [0.1] * 12}), other).to_dict("records")
    assert (row["plan"], row["sesoi"]) == (plan_digest(other), 0.2)
    assert row["explanation"] == "12 of 12 seeds: less than 20 points higher"
    assert row["plan"] != REGISTERED


def test_claims_are_made_from_files_the_same_bytes_each_time(tmp_path: Path) -> None:
    seeds = [42, *range(2000, 2012)]
    write_table(runs(seeds).iloc[:20], tmp_path / "a.csv")
    write_table(runs(seeds).iloc[20:], tmp_path / "b.csv")
    tables = {"runs": [tmp_path / "a.csv", tmp_path / "b.csv"]}
    for name in ("first", "second"):
        make_claims(tables, CONDITIONS, EFFECTS, tmp_path / f"{name}.csv", tmp_path / f"{name}_evidence.csv")
    assert (tmp_path / "first.csv").read_bytes() == (tmp_path / "second.csv").read_bytes()
    table, values = read_table(tmp_path / "first.csv"), read_table(tmp_path / "first_evidence.csv")
    assert table["verdict"].tolist() == ["too small to matter", "supported"]
    assert (list(table.columns), list(values.columns), len(values)) == (CLAIM_COLUMNS, EVIDENCE_COLUMNS, 24)
    again = claims_table(values, EFFECTS)  # as a reader of the file would
    assert again["explanation"].tolist() == table["explanation"].tolist()


def test_runs_that_measure_nothing_make_empty_tables(tmp_path: Path) -> None:
    make_claims({}, {}, EFFECTS, tmp_path / "claims.csv", tmp_path / "evidence.csv")
    assert (tmp_path / "claims.csv").read_text() == ",".join(CLAIM_COLUMNS) + "\n"
    assert (tmp_path / "evidence.csv").read_text() == ",".join(EVIDENCE_COLUMNS) + "\n"


@pytest.mark.parametrize("claim", CLAIMS)
def test_every_claim_can_be_supported_and_turned_around(claim: str) -> None:
    for value, verdict in ((math.inf, "supported"), (-math.inf, "reversed")):
        assert claims_table(evidence({claim: [value] * 12}), EFFECTS)["verdict"].tolist() == [verdict]
