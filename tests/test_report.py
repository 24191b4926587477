import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from bnpipe.errors import InputError
from bnpipe.records import write_record
from bnpipe.report import findings, interval, make_report, percent, points
from bnpipe.settings import Arm
from bnpipe.tables import make_tables, read_table
from tests.conftest import make_record

ARMS: list[Arm] = ["vanilla", "batchnorm"]
PAGE = Path(__file__).parents[1] / "workflow/report"
CONFIGURATION: dict[str, Any] = {
    "dataset": "mnist",
    "seeds": [42, 43],
    "arms": ARMS,
    "conditions": {"tanh": {"activation": "tanh", "learning_rate": 0.01, "init_std": 0.1, "steps": 2000}},
}
TUTORIAL = "there much faster and ends slightly higher"


@pytest.fixture
def made(tmp_path: Path) -> Path:
    paths = []
    for arm in ARMS:
        diverged, accuracy = arm == "vanilla", (0.1, 0.1) if arm == "vanilla" else (0.5, 0.95)
        paths.append(tmp_path / f"runs/{arm}.safetensors")
        write_record(make_record("tanh", arm, (42, 43), accuracy, diverged), paths[-1])
    make_tables(paths, ["tanh"], ARMS, [42, 43], tmp_path, tmp_path / "tables")
    for name in ("overview", "tanh/single_seed", "tanh/all_seeds"):
        figure = tmp_path / f"figures/{name}.svg"
        figure.parent.mkdir(parents=True, exist_ok=True)
        figure.write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    return tmp_path


def render(made: Path, **changes: Any) -> str:
    given: dict[str, Any] = {
        "tables": made / "tables",
        "figures": made / "figures",
        "template": PAGE / "report.html.j2",
        "tutorial": PAGE / "tutorial.yaml",
        "configuration": CONFIGURATION,
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
    assert page.count('src="data:image/svg+xml;base64,') == 3
    assert page.count("src=") == 3
    assert not re.search(r"https?://", page)
    for target in re.findall(r'href="#([^"]+)"', page):
        assert f'id="{target}"' in page


def test_the_page_says_what_was_measured(made: Path) -> None:
    page = render(made)
    assert "batchnorm: final validation accuracy 94.50% on average" in page
    assert "2 of 2 runs reach 90%, after 60 steps in the median" in page
    assert "no run reaches 90%; all runs diverge, the first at step 1." in page
    assert TUTORIAL in page
    assert "This is not MNIST" not in page
    assert "2.15.0" in page  # PyTorch's version, from the records
    assert "learning_rate: 0.01" in page
    assert "--cores all \\\n    results/mnist/runs/batchnorm.safetensors \\\n    results/mnist/runs/vanilla" in page


def test_other_data_is_said_and_not_compared_with_the_tutorial(made: Path) -> None:
    page = render(made, dataset="scikit-learn's digits (not MNIST)", dataset_name="digits", is_mnist=False)
    assert "This is not MNIST" in page
    assert TUTORIAL not in page
    assert "Batch normalization on scikit-learn&#39;s digits (not MNIST)" in page


def test_other_settings_are_not_compared_with_the_tutorial(made: Path) -> None:
    tanh = {**CONFIGURATION["conditions"]["tanh"], "learning_rate": 0.02}
    assert TUTORIAL not in render(made, configuration={**CONFIGURATION, "conditions": {"tanh": tanh}})


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
