from pathlib import Path

import pytest

from bnpipe.core.csv_files import read_table
from bnpipe.core.errors import InputError
from bnpipe.report.pages import claim_cards, claims_values
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
    for verdict in ("supported", "reversed", "too small to matter", "undecided"):
        ((card,),) = claim_cards(claims.assign(verdict=verdict)).values()
        shown.append((card.kind, card.mark))
    assert [kind for kind, _ in shown] == ["supported", "refuted", "refuted", "undecided"]
    assert len({mark for _, mark in shown}) == 4


def test_claims_are_in_groups_with_their_count_and_the_worst_seed(results: Path) -> None:
    cards = claim_cards(read_table(results / "tables/claims.csv"))
    (card,) = cards["As the tutorial ran it"]
    assert (card.claim, card.kind) == ("fewer-steps-tanh", "undecided")
    # Vanilla has not passed 90% after 61 updates; batchnorm, from 49% to 94%, has after 1 + 60 * 41/45.
    bound = f"{61 / (1 + 60 * 41 / 45):.2f}"
    assert card.count.startswith("0 of 1 seed: at least 1.2 times fewer steps; ")
    assert card.detail.startswith(f"Median {bound}")
    assert f"worst seed {bound}" in card.detail


def test_other_smallest_effects_are_a_plan_of_ones_own(results: Path) -> None:
    claims = read_table(results / "tables/claims.csv")
    assert not claims_values(claims, "claims", "evidence")["plan"]["own"]
    plan = claims_values(claims.assign(plan="d" * 64), "claims", "evidence")["plan"]
    assert plan["own"]
    assert plan["digest"] == "d" * 12
