"""The numbers in README.md and docs/results.md are those of the expected tables."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bnpipe import __version__
from tests.workplace import REPOSITORY

EXPECTED = REPOSITORY / "docs/expected"
VERDICTS = pd.read_csv(EXPECTED / "all_claims.csv").set_index("claim")
TIMES = np.exp(VERDICTS["median"])
BAD_START = "Batch normalization rescues a bad start"
RATIOS = {  # for each finding, the claims whose medians it states, in the order of its sentences
    "A comparison at one learning rate misleads": [
        "fewer-steps-tanh",
        "fewer-steps-at-best-rates-tanh",
        "fewer-steps-relu",
        "fewer-steps-at-best-rates-relu",
    ],
    '"Less internal covariate shift" explains little': [
        "less-input-shift-tanh",
        "less-input-shift-relu",
        "less-gradient-shift-tanh",
        "smoother-loss-tanh",
        "smoother-loss-relu",
    ],
}


def words_of(document: str) -> str:
    """Return the text of a document in one line."""
    return " ".join((REPOSITORY / document).read_text(encoding="utf-8").split())


def finding(name: str) -> str:
    found = re.search(rf"\d\. \*\*{re.escape(name)}\.\*\*(.*?)(?= \d\. \*\*| \*\*See)", words_of("README.md"))
    assert found is not None, name
    return found[1]


@pytest.mark.parametrize("document", ["README.md", "docs/results.md"])
def test_verdicts_are_counted_as_in_the_expected_tables(document: str) -> None:
    counts = VERDICTS["verdict"].value_counts()
    refuted = counts["reversed"] + counts["too small to matter"]
    text = words_of(document)
    assert re.search(rf"\b{counts['supported']} (of {len(VERDICTS)} claims )?are supported", text)
    assert re.search(rf"\b{refuted} (are )?refuted and {counts['undecided']} (are )?undecided", text)
    assert re.search(rf"\bof {len(VERDICTS)} claims", text)
    assert re.search(rf"\b{VERDICTS['n'].min()} (fresh )?seeds", text)


@pytest.mark.parametrize("name", RATIOS)
def test_ratios_are_the_medians_of_the_claims_in_the_order_of_the_sentences(name: str) -> None:
    stated = re.findall(r"(?<![\d.])(\d+\.\d\d)\b", finding(name).replace("rate of 0.01", ""))
    assert stated == [f"{TIMES[claim]:.2f}" for claim in RATIOS[name]]


def test_what_holds_for_both_nonlinearities_does() -> None:
    both = ["less-gradient-shift-tanh", "less-gradient-shift-relu"]
    assert len({f"{TIMES[claim]:.2f}" for claim in both}) == 1  # "with both"
    assert VERDICTS.loc["fewer-steps-at-best-rates-tanh", "verdict"] == "undecided"


def test_accuracies_are_the_means_of_the_expected_summary() -> None:
    summary = pd.read_csv(EXPECTED / "summary.csv").set_index(["condition", "arm"])["mean"]
    stated = re.findall(r"(\d+)%", finding(BAD_START))
    pairs = [
        (condition, arm) for condition in ("tanh_bad_init", "tanh_bad_init_high_lr") for arm in ("vanilla", "batchnorm")
    ]
    assert stated == [f"{100 * summary[pair]:.0f}" for pair in pairs]


def test_the_version_is_the_same_everywhere() -> None:
    for file, pattern in (("pyproject.toml", r'^version = "(.*)"'), ("CITATION.cff", r"^version: (.*)")):
        found = re.search(pattern, Path(REPOSITORY, file).read_text(encoding="utf-8"), re.MULTILINE)
        assert found is not None
        assert found[1] == __version__, file
