from pathlib import Path

import pandas as pd
import pytest

from bnpipe.core.csv_files import write_table
from tests.pages import CONFIGURATION, make_results, render_studies
from tests.report.reader import Reader


@pytest.fixture
def page(tmp_path: Path) -> str:
    return render_studies(make_results(tmp_path))


def test_the_page_on_studies_shows_each_of_them(page: str) -> None:
    assert Reader(page).open == []
    assert len(Reader(page).images) == 3  # claims, rates, paper
    for text in (
        "Which learning rate?",
        "Does the paper&#39;s own experiment come out",
        "percentile of the input of one sigmoid",
        ">he</td>",
    ):
        assert text in page


def test_a_study_that_has_an_answer_says_it(tmp_path: Path) -> None:
    (rates,) = CONFIGURATION["studies"].values()
    configuration = {**CONFIGURATION, "studies": {"convolutional": rates}}
    results = make_results(tmp_path, configuration)
    answer = {"statement": "It is faster", "carries_over": "yes", "n": 3}
    write_table(pd.DataFrame([answer]), results / "studies/convolutional/carry_over.csv")
    (results / "figures/studies/rates.svg").rename(results / "figures/studies/convolutional.svg")
    page = render_studies(results, configuration)
    assert (
        "with 3 counted seeds: a count, not a verdict. These carry over, on every seed: “It is faster”. (<a href"
        in page
    )
    assert 'href="studies/convolutional/carry_over.csv"' in page
