"""The verdicts on the claims of the registry, and the values that they rest on.

claims    one row for each claim that can be measured from the tables at hand
evidence  one row for each claim and counted seed
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from bnpipe.analysis.measures.sources import VALUE_COLUMNS, AbsentError, Sources
from bnpipe.analysis.registry.claim import Claim
from bnpipe.analysis.registry.family import FAMILY, plan_digest
from bnpipe.analysis.verdicts import (
    Decision,
    Verdict,
    decide,
    reversed_e_value,
    seeds_needed,
    step_down,
    threshold,
    verdicts,
)
from bnpipe.core.csv_files import read_table, write_table
from bnpipe.core.settings import FIRST_SEED, counts

EVIDENCE_COLUMNS = ["claim", *VALUE_COLUMNS]
CLAIM_COLUMNS = [
    "claim",
    "group",
    "statement",
    "measure",
    *Decision._fields,
    "sesoi",
    "verdict",
    "explanation",
    "plan",
]


SIDES = ("e_above", "e_below")


class Weighed(NamedTuple):
    """A claim and what its seeds say, before the other claims are considered."""

    claim: Claim
    sesoi: float
    decision: Decision
    reversed_e_value: float
    opposite: int  # seeds beyond the smallest effect in the other direction
    left_out: int  # seeds that were measured but do not count, apart from the tutorial's


def make_claims(
    tables: Mapping[str, Sequence[Path]],
    conditions: Mapping[str, Mapping[str, Any]],
    smallest_effects: Mapping[str, float],
    claims: Path,
    evidence: Path,
) -> None:
    """Decide every claim that the tables can decide; write the table of claims and the table of the evidence.

    tables: for each table, by its name in `bnpipe.analysis.measures`, the files with its rows. conditions: the
    settings of each condition. smallest_effects: by key, from the configuration. Raises InputError if a file cannot
    be read.
    """
    read = {name: pd.concat([read_table(path) for path in paths]) for name, paths in tables.items()}
    values = values_table(Sources(read, conditions))
    write_table(counted(values), evidence)
    write_table(claims_table(values, smallest_effects), claims)


def values_table(sources: Sources) -> pd.DataFrame:
    """Measure every claim that the tables allow, on all seeds, in the registry's order; columns EVIDENCE_COLUMNS."""
    found = [pd.DataFrame(columns=EVIDENCE_COLUMNS)]
    for claim in FAMILY:
        try:
            values = claim.values(sources)
        except AbsentError:
            continue
        found.append(values.assign(claim=claim.key)[EVIDENCE_COLUMNS].sort_values("seed"))
    return pd.concat(found[1:] or found, ignore_index=True)


def counted(values: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of seeds that count: nobody had seen them when the plan was fixed, and they tuned nothing."""
    return values[values["seed"].map(counts).astype(bool)]


def claims_table(values: pd.DataFrame, smallest_effects: Mapping[str, float]) -> pd.DataFrame:
    """Decide every claim that has been measured, in the order of the registry; columns CLAIM_COLUMNS.

    values: of all seeds or of the counted ones; columns EVIDENCE_COLUMNS. `n` to `e_below` are the fields of
    `bnpipe.analysis.verdicts.Decision`, `sesoi` is the smallest effect in units of the values, `explanation` states the
    count in words, and `plan` is the digest of the plan with these smallest effects.
    """
    measured = {*values["claim"]}
    weighed = [
        _weigh(claim, values[values["claim"] == claim.key], smallest_effects)
        for claim in FAMILY
        if claim.key in measured
    ]
    found = verdicts([each.decision for each in weighed], [each.reversed_e_value for each in weighed], len(FAMILY))
    needed = {side: _next_threshold([getattr(each.decision, side) for each in weighed]) for side in SIDES}
    digest = plan_digest(smallest_effects)
    rows = [
        (
            each.claim.key,
            each.claim.group,
            each.claim.statement,
            each.claim.measure,
            *each.decision,
            each.sesoi,
            verdict,
            explanation(each, verdict, each.claim.size_text(smallest_effects), needed),
            digest,
        )
        for each, verdict in zip(weighed, found, strict=True)
    ]
    return pd.DataFrame(rows, columns=CLAIM_COLUMNS)


def explanation(weighed: Weighed, verdict: Verdict, size: str, needed: Mapping[str, float]) -> str:
    """Say how many seeds a verdict rests on or, if there is none, how many more seeds would decide it.

    size: the smallest effect in words. needed: for each side, what the next e-value of the family must reach.
    """
    above, below, opposite = (words.format(size) for words in weighed.claim.words)
    decision = weighed.decision
    if verdict == "supported":
        told = _count(decision.above, decision.n, above)
    elif verdict == "reversed":
        told = _count(weighed.opposite, decision.n, opposite)
    elif verdict == "too small to matter":
        told = _count(decision.below, decision.n, below)
    else:
        told = _undecided(decision, above, below or opposite, needed)
    if weighed.left_out:
        told += f"; {_seeds(weighed.left_out)} explored before the plan was fixed, not counted"
    return told


def _undecided(decision: Decision, above: str, below: str, needed: Mapping[str, float]) -> str:
    leads = decision.above >= decision.below
    agreeing, side, words = (decision.above, "e_above", above) if leads else (decision.below, "e_below", below)
    further = seeds_needed(decision.n, agreeing, needed[side])
    count = f", {_count(agreeing, decision.n, words)}" if decision.n else ""
    return f"undecided{count}; {further} more agreeing {'seed' if further == 1 else 'seeds'} would decide it"


def _count(agreeing: int, n: int, words: str) -> str:
    return f"{agreeing} of {_seeds(n)}: {words}"


def _seeds(n: int) -> str:
    return f"{n} seed" if n == 1 else f"{n} seeds"


def _weigh(claim: Claim, values: pd.DataFrame, smallest_effects: Mapping[str, float]) -> Weighed:
    sesoi = claim.sesoi(smallest_effects)
    of_counted = counted(values)
    sample, censored = of_counted["value"].astype(float), of_counted["censored"].fillna("").astype(str)
    left_out = len(values[values["seed"] != FIRST_SEED]) - len(of_counted)
    return Weighed(
        claim,
        sesoi,
        decide(sample, sesoi, censored),
        reversed_e_value(sample, sesoi, censored),
        decide(sample, -sesoi, censored).below,
        left_out,
    )


def _next_threshold(e_values: Sequence[float]) -> float:
    """Return what the next e-value of the family must reach to pass Holm's step-down, after those that pass."""
    passed = sum(step_down(e_values, len(FAMILY)))
    return threshold(passed + 1, len(FAMILY))
