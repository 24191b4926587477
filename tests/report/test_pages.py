from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from bnpipe.analysis.registry.family import FAMILY
from bnpipe.core.csv_files import read_table, write_table
from bnpipe.core.errors import InputError
from bnpipe.report.pages import CLAIM_TABLES, cards_of_study, claim_cards, claims_values
from tests.pages import CODE, make_results, pages_of


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return results, to which files may be added."""
    return make_results(tmp_path_factory.mktemp("results"))


def tables_of(results: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    claims, evidence = (read_table(results / f"tables/{name}.csv") for name in ("claims", "evidence"))
    return claims, evidence


def test_a_file_of_unknown_origin_is_refused(results: Path) -> None:
    pages = pages_of(results)
    assert pages.code("figures/claims.svg") == CODE[:12]
    assert pages.sources("figures/claims.svg") == ["tables/claims.csv"]
    with pytest.raises(InputError, match=r"figures/other.svg: expected .*, got a file of unknown origin"):
        pages.code("figures/other.svg")


def test_verdicts_at_a_glance_differ_without_colour(results: Path) -> None:
    claims, evidence = tables_of(results)
    shown = []
    for verdict in ("supported", "reversed", "too small to matter", "undecided"):
        ((card,),) = claim_cards(claims.head(1).assign(verdict=verdict), evidence).values()
        shown.append((card.kind, card.mark, card.sentence.split(":")[0]))
    assert [kind for kind, _, _ in shown] == ["supported", "refuted", "refuted", "undecided"]
    assert len({mark for _, mark, _ in shown}) == len({sentence for *_, sentence in shown}) == 4


def test_claims_are_in_groups_with_their_count_and_the_worst_seed(results: Path) -> None:
    cards = claim_cards(*tables_of(results))
    (card,) = cards["As the tutorial ran it"]
    assert (card.claim, card.kind) == ("fewer-steps-tanh", "undecided")
    # Vanilla has not passed 90% after 61 updates; batchnorm, from 49% to 94%, has after 1 + 60 * 41/45.
    bound = f"{61 / (1 + 60 * 41 / 45):.2f}"
    assert card.sentence.startswith("This is undecided: 0 of 1 seed agrees (at least 1.2 times fewer steps). ")
    assert card.sentence.endswith(" more agreeing seeds would decide it.")
    assert len(card.dots.seeds) == 1
    assert card.detail.startswith(f"Median {bound}")
    assert f"worst seed {bound}" in card.detail


def test_other_smallest_effects_are_a_plan_of_ones_own(results: Path) -> None:
    pages = pages_of(results)
    assert not claims_values(pages, "claims", "evidence")["plan"]["own"]
    claims, _ = tables_of(results)
    write_table(claims.assign(plan="d" * 64), results / "tables/own_claims.csv")
    plan = claims_values(pages, "own_claims", "evidence")["plan"]
    assert plan["own"]
    assert plan["digest"] == "d" * 12


def test_a_sentence_without_seeds_says_how_many_would_decide(results: Path) -> None:
    claims, evidence = tables_of(results)
    ((card,),) = claim_cards(
        claims.assign(explanation="undecided; 12 more agreeing seeds would decide it"), evidence.head(0)
    ).values()
    assert card.sentence == "This is undecided: no seed counts yet. 12 more agreeing seeds would decide it."


def test_a_study_answers_by_the_claims_that_are_measured_from_it(results: Path) -> None:
    groups = claim_cards(*tables_of(results))
    (card,) = groups["As the tutorial ran it"]
    studied = {"a group": [replace(card, tables=("steadiness",))]}
    assert cards_of_study(studied, "steadiness_bad_weights") == studied["a group"]
    # Nothing is about a study of one's own, whatever its name.
    assert cards_of_study(groups, "accuracy") == cards_of_study(studied, "precision") == []


def test_every_claim_about_a_study_is_in_its_answer() -> None:
    ours = {"accuracy", "runs", "layers", "inference", "initialization", "step_time", "finals"}
    told = {*CLAIM_TABLES.values()}
    assert told <= {table for claim in FAMILY for table in claim.tables}
    assert {table for claim in FAMILY for table in claim.tables} - told - {"best_rate"} == ours
