from itertools import product
from pathlib import Path

import pandas as pd
import pytest

from bnpipe.analysis.carry_over import CARRY_OVER_COLUMNS, carry_over_table, make_carry_over, sentence
from bnpipe.core.csv_files import read_table, write_table
from bnpipe.core.smallest_effects import SMALLEST_EFFECTS

EFFECTS = {name: effect.size for name, effect in SMALLEST_EFFECTS.items()}
CONDITION = {"activation": "tanh", "learning_rate": 0.01, "init_std": 0.1, "network": "convolutional"}
SEEDS = [42, 2000, 2001]  # the first does not count
VERDICTS = pd.DataFrame(
    {
        "claim": ["fewer-steps-tanh", "fewer-steps-relu", "copes-with-bad-weights-tanh", "copes-with-bad-weights-relu"],
        "verdict": ["supported", "undecided", "supported", "too small to matter"],
    }
)


def study(final: dict[tuple[str, float, str], list[float]], steps: dict[str, int]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the tables of a study: final accuracies of all seeds by cell, and steps to 90% by arm (with tanh)."""
    runs = pd.DataFrame(
        [
            {"activation": activation, "init_std": std, "arm": arm, "seed": seed, "final_accuracy": value}
            for (activation, std, arm), values in final.items()
            for seed, value in zip(SEEDS, values, strict=True)
        ]
    )
    accuracy = pd.DataFrame(
        [
            {"activation": "tanh", "init_std": 0.1, "arm": arm, "seed": seed, "step": step, "accuracy": value}
            for (arm, reached), seed in product(steps.items(), SEEDS)
            for step, value in ((0, 0.1), (reached, 0.9), (2 * reached, 0.95))
        ]
    )
    return accuracy, runs


def test_a_verdict_carries_over_if_all_counted_seeds_are_on_its_side() -> None:
    accuracy, runs = study(
        {
            ("tanh", 1.0, "vanilla"): [0.1, 0.5, 0.5],
            ("tanh", 1.0, "batchnorm"): [0.1, 0.7, 0.6],  # 42, on the other side, does not count
            ("relu", 1.0, "vanilla"): [0.9, 0.9, 0.9],
            ("relu", 1.0, "batchnorm"): [0.9, 0.9, 0.99],  # 9 points are more than 5
        },
        {"vanilla": 100, "batchnorm": 90},  # a ratio of 1.11, less than 1.2
    )
    table = carry_over_table(VERDICTS, accuracy, runs, CONDITION, EFFECTS).set_index("claim")
    assert table["carries_over"].to_dict() == {
        "fewer-steps-tanh": "no",
        "copes-with-bad-weights-tanh": "yes",
        "copes-with-bad-weights-relu": "open",
    }
    assert table["verdict"].to_dict()["copes-with-bad-weights-relu"] == "too small to matter"
    counts = table[["n", "above", "below"]].to_numpy().tolist()
    assert counts == [[2, 0, 2], [2, 2, 0], [2, 1, 1]]
    assert table.loc["copes-with-bad-weights-tanh", "median"] == pytest.approx(0.15)


def test_the_sentence_counts_and_names_the_claims() -> None:
    rows = [("A", "yes"), ("B", "no"), ("C", "yes")]
    table = pd.DataFrame([{"statement": each, "carries_over": answer, "n": 4} for each, answer in rows])
    assert sentence(table) == (
        "The study checks 3 verdicts on the tutorial's claims with 4 counted seeds. This is a count, not a verdict. "
        "These carry over on every seed: “A”, “C”. These do not carry over on any seed: “B”."
    )
    assert sentence(table[:0]) == "None of the verdicts on the tutorial's claims can be checked in this study."


def test_the_table_is_written_even_if_the_study_measures_no_claim(tmp_path: Path) -> None:
    accuracy, runs = study({("sigmoid", 1.0, "vanilla"): [0.1, 0.5, 0.5]}, {"vanilla": 100})
    for name, table in (("claims", VERDICTS), ("accuracy", accuracy), ("runs", runs)):
        write_table(table, tmp_path / name)
    claims, evaluations, ends = (tmp_path / name for name in ("claims", "accuracy", "runs"))
    make_carry_over(claims, evaluations, ends, CONDITION, EFFECTS, tmp_path / "table")
    assert list(read_table(tmp_path / "table").columns) == CARRY_OVER_COLUMNS
    assert "None of the verdicts" in sentence(read_table(tmp_path / "table"))
