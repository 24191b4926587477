import re

from bnpipe.analysis.plan import agreeing, document
from bnpipe.analysis.registry.family import FAMILY, REGISTERED
from bnpipe.core.smallest_effects import SMALLEST_EFFECTS
from tests.workplace import REPOSITORY

TEXT = document()


def test_the_committed_plan_is_the_registrys() -> None:
    """If it is not: `make schema` writes it. The history in bnpipe/analysis/plan.py is written by hand."""
    assert (REPOSITORY / "docs/analysis-plan.md").read_text(encoding="utf-8") == TEXT


def test_the_plan_names_its_digest_its_date_and_every_claim_and_effect_once() -> None:
    assert REGISTERED in TEXT
    assert "Fixed on 2026-11-25" in TEXT
    claims, effects = (
        re.findall(r"^\| `([a-z0-9_-]+)` \|", part, re.MULTILINE)
        for part in TEXT.split("## The smallest effects that would matter")
    )
    assert claims == [claim.key for claim in FAMILY]
    assert effects == [*SMALLEST_EFFECTS]


def test_the_plan_says_which_seeds_count() -> None:
    words = " ".join(TEXT.split())
    assert "Seeds 42 to 51 and 1000 to 1009 had been seen when the plan was fixed." in words
    assert "Seeds 500 to 504 choose the best learning rates" in words
    assert "`seeds: 12` means 2000 to 2011" in words


def test_the_agreement_that_the_first_claim_needs() -> None:
    # As section 1 of the specification has them.
    assert "11 of 11, 12 of 12, 15 of 15, 19 of 20, 23 of 25, 26 of 30, 33 of 40, 46 of 60" in " ".join(TEXT.split())
    assert agreeing(10, 740) == 11  # not even all ten
