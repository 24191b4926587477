from pathlib import Path

import pytest

from bnpipe.core.csv_files import read_table
from bnpipe.core.errors import InputError
from bnpipe.report.pages import claim_cards
from tests.pages import CODE, make_results, pages_of


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return results, not to be changed."""
    return make_results(tmp_path_factory.mktemp("results"))


def test_a_file_of_unknown_origin_is_refused(results: Path) -> None:
    pages = pages_of(results)
    assert pages.code("figures/claims.svg") == CODE[:12]
    assert pages.sources("figures/claims.svg") == ["tables/claims.csv"]
    with pytest.raises(InputError, match=r"figures/other.svg: expected .*, got a file of unknown origin"):
        pages.code("figures/other.svg")


def test_verdicts_at_a_glance_differ_without_colour(results: Path) -> None:
    claims = read_table(results / "tables/claims.csv").head(1)
    shown = []
    for verdict, n in (("supported", 10), ("refuted", 10), ("inconclusive", 10), ("inconclusive", 9)):
        (glance,) = claim_cards(claims.assign(verdict=verdict, n=n))
        shown.append((glance.verdict, glance.mark))
    assert [verdict for verdict, _ in shown] == ["supported", "refuted", "inconclusive", ""]
    assert len({mark for _, mark in shown}) == 4
