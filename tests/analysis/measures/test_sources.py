import math

import numpy as np
import pandas as pd
import pytest

from bnpipe.analysis.measures.sources import AbsentError, Sources, by_arm, lead, log_ratio, outcome
from tests.analysis.measures.made_up import CONDITIONS, censored, sources, values

ROWS = [("plain", "vanilla", 42, 0.4), ("plain", "batchnorm", 42, 0.1), ("wide", "vanilla", 42, 0.5)]
TABLE = sources("runs", "condition arm seed final_accuracy", ROWS)


def test_rows_are_those_of_the_arms_with_given_values() -> None:
    found = TABLE.rows("runs", "final_accuracy", condition="plain")
    assert by_arm(found, "final_accuracy").to_dict() == {("vanilla", 42): 0.4, ("batchnorm", 42): 0.1}
    assert len(TABLE.rows("runs", arms=["vanilla"], final_accuracy=0.5)) == 1


def test_numbers_equal_numbers_among_words() -> None:
    table = sources("runs", "arm seed init_std", [("vanilla", 1, "0.10"), ("vanilla", 2, "he")])
    assert table.rows("runs", arms=["vanilla"], init_std=0.1)["seed"].tolist() == [1]


def test_what_is_absent_is_said_to_be() -> None:
    with pytest.raises(AbsentError):  # the arm, under this condition
        TABLE.rows("runs", condition="wide")
    with pytest.raises(AbsentError):  # the column
        TABLE.rows("runs", "gap")
    with pytest.raises(AbsentError):  # the table
        TABLE.table("inference")
    with pytest.raises(AbsentError):  # the condition
        TABLE.condition(activation="tanh", learning_rate=1)


def test_a_condition_that_sets_something_unusual_is_another_one() -> None:
    unusual = {**CONDITIONS["plain"], "normalize_logits": False}
    found = Sources({}, {"without_logits": unusual, "renamed": CONDITIONS["plain"]})
    assert found.condition(activation="tanh", init_std=0.1) == "renamed"


def test_a_lead_is_batchnorms_and_a_ratio_vanillas() -> None:
    rows = [("vanilla", 1, 4.0), ("batchnorm", 1, 1.0), ("vanilla", 2, 0.0), ("batchnorm", 2, 1.0), ("vanilla", 3, 1.0)]
    series = by_arm(pd.DataFrame(rows, columns=["arm", "seed", "x"]), "x")
    assert lead(series).to_dict() == pytest.approx({1: -3, 2: 1, 3: math.nan}, nan_ok=True)
    assert log_ratio(series).to_dict() == pytest.approx({1: math.log(4), 2: -math.inf, 3: math.nan}, nan_ok=True)


def test_an_outcome_is_one_or_minus_one_or_not_known() -> None:
    found = outcome(pd.Series({1: True, 2: False, 3: False}), pd.Series({1: True, 2: True, 3: False}))
    assert values(found) == pytest.approx({1: 1, 2: -1, 3: math.nan}, nan_ok=True)
    assert {*censored(found).values()} == {""}
    assert found["value"].dtype == np.float64
