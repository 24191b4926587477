"""The finished example in docs/example belongs to the committed plan, configuration and expected tables."""

import html
import re

import pandas as pd
import pytest
import yaml

from bnpipe.analysis.registry.family import REGISTERED
from bnpipe.analysis.words import short
from bnpipe.core.yaml_files import read_yaml
from bnpipe.grid.config import parse_configuration
from tests.workplace import REPOSITORY

EXAMPLE = REPOSITORY / "docs/example/report.html"
PAGE = EXAMPLE.read_text(encoding="utf-8")
DECISIVE = (
    "dataset",
    "validation_images",
    "seeds",
    "arms",
    "conditions",
    "hidden_sizes",
    "batch_size",
    "evaluation_interval",
    "normalization",
    "smallest_effects",
)


def table(name: str) -> pd.DataFrame:
    """Return a table of the page, each cell as its exact value if it has one, else as its text."""
    found = re.search(rf'<table id="table-{name}">(.*?)</table>', PAGE, re.DOTALL)
    assert found is not None, name
    columns = re.findall(r'<th scope="col"[^>]* data-key="([^"]*)"', found[1])
    rows = [
        [
            html.unescape(value or text)
            for value, text in re.findall(r'<td(?:[^>]* data-value="([^"]*)")?[^>]*>(.*?)</td>', row)
        ]
        for row in re.findall(r"<tr>(.*?)</tr>", found[1].split("<tbody>")[1], re.DOTALL)
    ]
    return pd.DataFrame(rows, columns=columns)


def expected(name: str) -> pd.DataFrame:
    return pd.read_csv(REPOSITORY / f"docs/expected/{name}.csv", dtype=str, keep_default_na=False)


def test_the_page_is_small_enough_to_be_kept() -> None:
    assert len(EXAMPLE.read_bytes()) < 3_000_000


def test_the_page_is_of_the_committed_plan() -> None:
    assert short(REGISTERED) in PAGE
    assert "own plan" not in PAGE


@pytest.mark.parametrize(
    ("name", "columns"),
    [("claims", ["claim", "verdict", "n", "above", "below"]), ("summary", ["condition", "arm", "n", "mean"])],
)
def test_the_numbers_of_the_page_are_those_of_the_expected_tables(name: str, columns: list[str]) -> None:
    shown, kept = (sorted(given[columns].to_numpy().tolist()) for given in (table(name), expected(name)))
    assert shown == kept


def test_the_page_is_of_the_committed_configuration() -> None:
    section = PAGE[PAGE.index('id="configuration"') :]
    text = re.search(r">(dataset: .*?)</code>", section, re.DOTALL)
    assert text is not None
    shown = parse_configuration(yaml.safe_load(html.unescape(text[1]))).model_dump(include={*DECISIVE})
    assert shown == parse_configuration(read_yaml(REPOSITORY / "config.yaml")).model_dump(include={*DECISIVE})
    assert {*shown} == {*DECISIVE}
