from pathlib import Path

import pytest

from tests.pages import make_results, render_studies
from tests.report.reader import Reader


@pytest.fixture
def page(tmp_path: Path) -> str:
    return render_studies(make_results(tmp_path))


def test_the_page_on_studies_shows_each_of_them(page: str) -> None:
    assert Reader(page).open == []
    assert len(Reader(page).images) == 2  # rates, paper
    for text in (
        "Which learning rate?",
        "Does the paper&#39;s own experiment come out",
        "After 1,000 steps vanilla is at 80.0% and batchnorm at 90.0%, on average over 1 seed.",
        "at least as accurate as vanilla&#39;s end after 500 steps.",
        "percentile of the input of one sigmoid",
        ">he</td>",
    ):
        assert text in page
