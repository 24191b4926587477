from bnpipe.analysis.measures.landscape import COLUMNS
from bnpipe.analysis.registry.explanations import explanation_claims


def test_every_table_of_changes_is_used_for_both_nonlinearities() -> None:
    tables = [claim.tables for claim in explanation_claims()]
    assert all(tables.count((name,)) == 2 for name in COLUMNS)


def test_measures_before_the_first_step_have_no_learning_rate() -> None:
    for claim in explanation_claims():
        assert ("before the first step" in claim.measure) == (" rate" not in claim.condition)
