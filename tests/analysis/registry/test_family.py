import re

from bnpipe.analysis.claims import values_table
from bnpipe.analysis.measures.sources import Sources
from bnpipe.analysis.registry.family import CLAIMS, FAMILY, GROUPS, REGISTERED, plan_digest, plan_text
from bnpipe.core.smallest_effects import SMALLEST_EFFECTS
from bnpipe.grid.config import SmallestEffects

EFFECTS: dict[str, float] = SmallestEffects().model_dump()


def test_the_family_has_37_claims_in_three_groups() -> None:
    assert len(FAMILY) == len(CLAIMS) == 37
    assert [sum(claim.group == group for claim in FAMILY) for group in GROUPS] == [17, 8, 12]


def test_keys_read_well_in_an_address() -> None:
    assert all(re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", claim.key) for claim in FAMILY)


def test_every_smallest_effect_decides_a_claim() -> None:
    assert {claim.smallest_effect for claim in FAMILY} - {None} == SMALLEST_EFFECTS.keys() == EFFECTS.keys()


def test_claims_without_an_opposite_of_their_own_are_outcomes() -> None:
    for claim in FAMILY:
        above, below, opposite = claim.words
        assert above
        assert opposite
        assert bool(below) == ("{}" in above) == (claim.smallest_effect is not None)


def test_without_tables_nothing_is_measured_and_nothing_fails() -> None:
    assert values_table(Sources({}, {})).empty


def test_the_digest_is_that_of_the_registered_plan() -> None:
    """If you change a claim, a measure or a smallest effect, put the new digest into REGISTERED, say what changed and
    why in the history of bnpipe/analysis/plan.py, and run `make schema`. If runs have been seen, use other seeds.
    """
    assert plan_digest(EFFECTS) == REGISTERED


def test_another_smallest_effect_is_another_plan() -> None:
    assert plan_digest({**EFFECTS, "steps_ratio": 1.21}) != plan_digest(EFFECTS)
    text = plan_text(EFFECTS)
    assert text.startswith("level: 0.05\nfamily size: 37\nclaim: fewer-steps-tanh\n")
    for claim in FAMILY:
        assert f"claim: {claim.key}\ngroup: {claim.group}\nstatement: {claim.statement}\n" in text
        assert f"measure: {claim.measure}\ncondition: {claim.condition}\n" in text
    assert text.count("smallest effect: outcome") == sum(claim.smallest_effect is None for claim in FAMILY)
    assert "smallest effect: steps_ratio 1.2\n" in text
