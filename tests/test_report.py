import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bnpipe.claims import claims_table, evidence_table
from bnpipe.config import SmallestEffects
from bnpipe.csv_files import read_table, write_table
from bnpipe.errors import InputError
from bnpipe.measures import Sources
from bnpipe.records import write_record
from bnpipe.report import findings, interval, make_report, make_study_report, percent, points
from bnpipe.settings import Arm
from bnpipe.study_tables import summary_table
from bnpipe.tables import make_tables
from tests.conftest import make_record

ARMS: list[Arm] = ["vanilla", "batchnorm"]
PAGE = Path(__file__).parents[1] / "workflow/report"
CONFIGURATION: dict[str, Any] = {
    "dataset": "mnist",
    "seeds": [42, 43],
    "arms": ARMS,
    "diagnostics": True,
    "conditions": {"tanh": {"activation": "tanh", "learning_rate": 0.01, "init_std": 0.1, "steps": 2000}},
    "studies": {"precision": {"about": "Why does it stay flat?", "sweep": {"precision": ["float32", "float64"]}}},
}
EFFECTS = SmallestEffects().model_dump()
MECHANICS = pd.DataFrame(
    {"unit": [3], "stage": "before", "formula": "z", "gamma": None, "beta": 0.5, "mean": 1.5, "standard_deviation": 2}
)
FIGURES = (
    *("claims", "overview", "states", "mechanics", "inference"),
    *("tanh/single_seed", "tanh/all_seeds", "tanh/diagnostics"),
    *(
        f"initialization/{start}_{kind}"
        for start in ("small", "xavier", "unit")
        for kind in ("layers", "histograms", "growth")
    ),
    *("initialization/growth", "studies/precision", "studies/paper", "all_claims"),
)
TUTORIAL = "there much faster and ends slightly higher"


@pytest.fixture
def made(tmp_path: Path) -> Path:
    paths = []
    for arm in ARMS:
        diverged, accuracy = arm == "vanilla", (0.1, 0.1) if arm == "vanilla" else (0.5, 0.95)
        paths.append(tmp_path / f"runs/{arm}.safetensors")
        write_record(make_record("tanh", arm, (42, 43), accuracy, diverged), paths[-1])
    make_tables(paths, ["tanh"], ARMS, [42, 43], tmp_path, tmp_path / "tables")
    runs = read_table(tmp_path / "tables/runs.csv")
    conditions = {"tanh": {**CONFIGURATION["conditions"]["tanh"], "steps": 130}}
    evidence = evidence_table(Sources({"runs": runs}, conditions))
    for name in ("claims", "all_claims"):
        write_table(claims_table(evidence, EFFECTS), tmp_path / f"tables/{name}.csv")
    write_table(MECHANICS, tmp_path / "tables/mechanics_summary.csv")
    runs = runs.assign(precision="float64").drop(columns="condition")
    write_table(summary_table(runs, ["precision"]), tmp_path / "studies/precision/summary.csv")
    for name in FIGURES:
        figure = tmp_path / f"figures/{name}.svg"
        figure.parent.mkdir(parents=True, exist_ok=True)
        figure.write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    return tmp_path


def render(made: Path, **changes: Any) -> str:
    given: dict[str, Any] = {
        "results": made,
        "template": PAGE / "report.html.j2",
        "tutorial": PAGE / "tutorial.yaml",
        "configuration": CONFIGURATION,
        "conditions": ["tanh"],
        "studies": ["precision"],
        "dataset": "MNIST",
        "dataset_name": "mnist",
        "is_mnist": True,
        "shown_seed": 42,
        "output": made / "report.html",
    }
    make_report(**{**given, **changes})
    return (made / "report.html").read_text(encoding="utf-8")


class Nesting(HTMLParser):
    """Collects the elements that are open, and complains about one that is closed in the wrong place."""

    VOID = ("meta", "img", "link", "br", "hr")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "img":
            assert dict(attrs).get("alt"), attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_well_formed_and_self_contained(made: Path) -> None:
    page = render(made)
    parser = Nesting()
    parser.feed(page)
    assert parser.open == []
    assert page.count('src="data:image/svg+xml;base64,') == len(FIGURES) - 2  # without the two of the other page
    assert page.count("src=") == len(FIGURES) - 2
    assert not re.search(r"https?://", page)
    for target in re.findall(r'href="#([^"]+)"', page):
        assert f'id="{target}"' in page


def test_the_page_says_what_was_measured(made: Path) -> None:
    page = render(made)
    assert "batchnorm: final validation accuracy 94.50% on average" in page
    assert "2 of 2 runs reach 90%, after 60 steps in the median" in page
    assert "no run reaches 90%; all runs diverge, the first at step 1; 2 of 2 runs end in overflow, which" in page
    assert "which begins at step 1 in layer 2." in page
    assert TUTORIAL in page
    assert "This is not MNIST" not in page
    assert "2.15.0" in page  # PyTorch's version, from the records
    assert "learning_rate: 0.01" in page
    assert "--cores all \\\n    results/mnist/runs/batchnorm.safetensors \\\n    results/mnist/runs/vanilla" in page


def test_claims_are_shown_with_their_verdicts_and_the_rest_is_named(made: Path) -> None:
    page = render(made)
    assert "n too small for a verdict" in page  # of two pairs
    assert "BN needs fewer steps" in page
    assert re.search(r"Not decided by these runs: .*3 \(BN makes learning rate 1 viable\)", page)


def test_the_autopsy_of_every_run_is_shown(made: Path) -> None:
    page = render(made)
    assert page.count("overflow, step 1, layer 2</td>") == 2
    assert page.count(">healthy</td>") == 2


def test_the_page_on_studies_shows_each_of_them(made: Path) -> None:
    shown = {"name": "paper", "about": "The paper's own experiment.", "caption": "As in its figure 1."}
    make_study_report(
        results=made,
        template=PAGE / "studies.html.j2",
        configuration=CONFIGURATION,
        experiments=[shown],
        dataset="MNIST",
        is_mnist=True,
        output=made / "studies.html",
    )
    page = (made / "studies.html").read_text(encoding="utf-8")
    parser = Nesting()
    parser.feed(page)
    assert parser.open == []
    assert page.count('src="data:image/svg+xml;base64,') == 3  # claims, precision, paper
    for text in ("Why does it stay flat?", "The paper&#39;s own experiment.", "As in its figure 1.", "float64"):
        assert text in page


def test_of_a_large_study_the_page_holds_the_first_rows(made: Path) -> None:
    path = made / "studies/precision/summary.csv"
    summary = read_table(path)
    write_table(pd.concat([summary.assign(precision=f"p{number}") for number in range(150)]), path)
    page = render(made)
    assert "The first 200 of 300 rows." in page
    assert page.count("<td>p") == 200  # of two arms each
    assert "p99<" in page
    assert "p100<" not in page


def test_other_data_is_said_and_not_compared_with_the_tutorial(made: Path) -> None:
    page = render(made, dataset="scikit-learn's digits (not MNIST)", dataset_name="digits", is_mnist=False)
    assert "This is not MNIST" in page
    assert TUTORIAL not in page
    assert "Batch normalization on scikit-learn&#39;s digits (not MNIST)" in page


def test_other_settings_are_not_compared_with_the_tutorial(made: Path) -> None:
    tanh = {**CONFIGURATION["conditions"]["tanh"], "learning_rate": 0.02}
    assert TUTORIAL not in render(made, configuration={**CONFIGURATION, "conditions": {"tanh": tanh}})


def test_of_many_conditions_the_first_are_shown_and_the_page_says_so(made: Path) -> None:
    tanh = CONFIGURATION["conditions"]["tanh"]
    of_both = pd.concat([read_table(made / "tables/runs.csv").assign(condition=name) for name in ("tanh", "more")])
    write_table(of_both, made / "tables/runs.csv")
    page = render(made, configuration={**CONFIGURATION, "conditions": {"tanh": tanh, "more": tanh}})
    assert "Shown below are the first 1 of the 2 conditions" in page
    assert "2 conditions, vanilla against batchnorm, 2 seeds each: 8 networks trained" in page
    assert "Table of 4 runs" in page
    assert 'id="condition-tanh"' in page
    assert 'id="condition-more"' not in page
    assert "Shown below" not in render(made)


def test_text_is_escaped(made: Path) -> None:
    page = render(made, dataset="<script>alert(1)</script>")
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_the_same_input_gives_the_same_bytes_without_machine_or_time(made: Path) -> None:
    first = render(made)
    assert render(made) == first
    assert str(made) not in first


def test_a_missing_figure_or_table_is_one_line(made: Path) -> None:
    (made / "figures/overview.svg").unlink()
    with pytest.raises(InputError, match=r"overview.svg: cannot be read"):
        render(made)
    (made / "tables/runs.csv").unlink()
    with pytest.raises(InputError, match=r"runs.csv: not a table"):
        render(made)


def test_findings_of_diverged_pairs(made: Path) -> None:
    data = (read_table(made / f"tables/{name}.csv") for name in ("summary", "comparison", "runs"))
    *_, pairs = findings("tanh", *data)
    assert pairs.startswith("batchnorm minus vanilla, seed by seed: +85.00 points on average")
    assert pairs.endswith("over 2 pairs, in all of which a run diverged.")


def test_numbers_are_written_for_people() -> None:
    assert percent(0.98765) == "98.77%"
    assert points(-0.0123) == "\N{MINUS SIGN}1.23 points"
    assert points(0.5) == "+50.00 points"
    assert interval(0.1, 0.2) == " (95% interval 10.00% to 20.00%)"
    assert interval(float("nan"), float("nan")) == ""
