import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bnpipe.analysis.claim_words import verdict_text
from bnpipe.analysis.claims import (
    CLAIM_COLUMNS,
    CLAIMS,
    EVIDENCE_COLUMNS,
    UNITS,
    claims_table,
    evidence_table,
    make_claims,
)
from bnpipe.analysis.measures import Sources
from bnpipe.analysis.verdicts import bca_interval, holm, sign_flip_p
from bnpipe.core.csv_files import read_table, write_table
from bnpipe.grid.config import SmallestEffects

EFFECTS: dict[str, float] = SmallestEffects().model_dump()
CONDITIONS = {
    "renamed": {"activation": "tanh", "learning_rate": 0.01, "init_std": 0.1, "steps": 2000},
    "high": {"activation": "tanh", "learning_rate": 1.0, "init_std": 1.0, "steps": 5000},
}
DIFFERENCES = [0.31, 0.25, 0.4, 0.22, 0.35, 0.3, 0.28, 0.33, 0.27, 0.29]


def evidence(**values: list[float]) -> pd.DataFrame:
    """Return evidence from seed 42 on; names of claims: after a letter, `_` for a space."""
    rows = [
        (name[1:].replace("_", " "), 42 + i, value, False)
        for name, some in values.items()
        for i, value in enumerate(some)
    ]
    return pd.DataFrame(rows, columns=EVIDENCE_COLUMNS)


def runs(seeds: int) -> pd.DataFrame:
    rows = [
        (condition, arm, 42 + i, final + DIFFERENCES[i] * (arm == "batchnorm"), None, steps + 60 * i)
        for condition, arm, final, steps in (
            ("renamed", "vanilla", 0.8, 1200),
            ("renamed", "batchnorm", 0.6, 600),
            ("high", "vanilla", 0.1, math.nan),
            ("high", "batchnorm", 0.5, 3000),
        )
        for i in range(seeds)
    ]
    columns = ["condition", "arm", "seed", "final_accuracy", "first_nonfinite_step", "steps_to_90"]
    return pd.DataFrame(rows, columns=columns)


def test_ten_pairs_can_support_any_claim_among_all() -> None:
    assert len(CLAIMS) <= 25
    assert holm([2 / 2**10] * len(CLAIMS)).max() < 0.05


def test_claims_have_keys_of_their_own_and_effects_of_the_configuration() -> None:
    assert len({claim.key for claim in CLAIMS}) == len(CLAIMS)
    assert {claim.smallest_effect for claim in CLAIMS} - {None} == {*EFFECTS} == UNITS.keys()


def test_evidence_is_gathered_where_there_is_some_whatever_conditions_are_called() -> None:
    found = evidence_table(Sources({"runs": runs(2)}, CONDITIONS))
    assert list(found.columns) == EVIDENCE_COLUMNS
    assert found["claim"].tolist() == ["1 tanh", "1 tanh", "3", "3"]
    assert found["pair"].tolist() == [42, 43, 42, 43]
    assert found["value"].tolist() == pytest.approx([math.log(1201 / 601), math.log(1261 / 661), 0.71, 0.65])


def test_a_claim_by_hand() -> None:
    table = claims_table(evidence(c3=DIFFERENCES), EFFECTS)
    assert list(table.columns) == CLAIM_COLUMNS
    (found,) = table.to_dict("records")
    low, high = bca_interval(DIFFERENCES, np.random.default_rng(0))
    assert (found["claim"], found["statement"]) == ("3", "BN makes learning rate 1 viable")
    assert (found["n"], found["low"], found["high"], found["sesoi"]) == (10, low, high, 0.05)
    assert found["effect"] == pytest.approx(0.3)
    assert found["p"] == found["p_holm"] == sign_flip_p(DIFFERENCES, np.random.default_rng(0)) == 2 / 2**10
    assert found["verdict"] == "supported"


def test_claims_are_corrected_together_and_else_independent_of_each_other() -> None:
    noise = [0.2, -0.1, 0.3, -0.2, 0.05, 0.1, -0.3, 0.2, -0.1, 0.1]
    together = evidence(c9_tanh=noise, c3=DIFFERENCES, c1_relu=DIFFERENCES)
    table = claims_table(together.sample(frac=1, random_state=1), EFFECTS)
    assert table["claim"].tolist() == ["1 relu", "3", "9 tanh"]
    assert table["p_holm"].tolist() == pytest.approx(holm(table["p"]).tolist())
    assert table["p_holm"].iloc[0] == 3 * 2 / 2**10
    alone = claims_table(evidence(c3=DIFFERENCES), EFFECTS)
    without_correction = [name for name in CLAIM_COLUMNS if name != "p_holm"]
    assert table[without_correction].iloc[1].tolist() == alone[without_correction].iloc[0].tolist()
    assert table["sesoi"].tolist() == pytest.approx([math.log(1.2), 0.05, math.log(1.2)])


def test_claims_of_no_difference_have_negative_margins() -> None:
    near, far = [-0.002] * 5 + [-0.001] * 5, [-0.3] * 5 + [-0.4] * 5
    table = claims_table(evidence(c6b=far, c11_tanh=far, c14_end=near), EFFECTS)
    assert table["sesoi"].tolist() == pytest.approx([-0.05, -math.log(1.1), -0.01])
    assert table["verdict"].tolist() == ["refuted", "refuted", "supported"]


def test_outcomes_and_equal_differences_are_counted() -> None:
    table = claims_table(evidence(c4=[0] * 10, c5=[1.5] * 10, c10=[1, *[0] * 9, math.nan]), EFFECTS)
    assert table[["n", "effect", "sesoi"]].to_numpy().tolist() == [[10, 0, 0.5], [10, 1, 0.5], [10, 0.1, 0.5]]
    assert table["verdict"].tolist() == ["refuted", "supported", "refuted"]
    assert table["measure"][1].startswith("share of pairs that exceed 0.5: log10 ratio")
    assert table["measure"][2] == "share of vanilla runs from init std 1 that end with a dead layer"


def test_diverged_pairs_are_counted_with_the_others() -> None:
    mixed = evidence(c3=DIFFERENCES)
    mixed.loc[0, "diverged"] = True
    (found,) = claims_table(mixed, EFFECTS).to_dict("records")
    assert (found["n"], found["effect"], found["sesoi"]) == (10, 1, 0.5)


def test_three_seeds_have_no_verdict_anywhere() -> None:
    found = evidence(**{f"c{claim.key.replace(' ', '_')}": [0.5, 0.6, 0.8] for claim in CLAIMS})
    table = claims_table(found, EFFECTS)
    assert len(table) == len(CLAIMS)
    assert {*table["verdict"]} == {"inconclusive"}
    assert {*table.apply(verdict_text, axis="columns")} == {"n too small for a verdict"}


def test_claims_are_made_from_files_the_same_bytes_each_time(tmp_path: Path) -> None:
    write_table(runs(10).iloc[:20], tmp_path / "a.csv")
    write_table(runs(10).iloc[20:], tmp_path / "b.csv")
    tables = {"runs": [tmp_path / "a.csv", tmp_path / "b.csv"]}
    for name in ("first", "second"):
        make_claims(tables, CONDITIONS, EFFECTS, tmp_path / f"{name}.csv", tmp_path / f"{name}_evidence.csv")
    assert (tmp_path / "first.csv").read_bytes() == (tmp_path / "second.csv").read_bytes()
    table, pairs = read_table(tmp_path / "first.csv"), read_table(tmp_path / "first_evidence.csv")
    assert table["verdict"].tolist() == ["supported", "supported"]
    assert (list(table.columns), list(pairs.columns), len(pairs)) == (CLAIM_COLUMNS, EVIDENCE_COLUMNS, 20)


def test_runs_that_decide_nothing_make_empty_tables(tmp_path: Path) -> None:
    make_claims({}, {}, EFFECTS, tmp_path / "claims.csv", tmp_path / "evidence.csv")
    assert (tmp_path / "claims.csv").read_text() == ",".join(CLAIM_COLUMNS) + "\n"
    assert (tmp_path / "evidence.csv").read_text() == ",".join(EVIDENCE_COLUMNS) + "\n"
