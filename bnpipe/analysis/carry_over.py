"""Which verdicts on the tutorial's networks carry over to the networks of a study.

The claims of the tutorial's group are measured again, on the study's networks, as far as its tables allow. A verdict
carries over if all counted seeds are on its side. It does not carry over if all of them are on the other side. A study
has too few seeds for a verdict of its own, so this module counts seeds and decides nothing.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from bnpipe.analysis.claims import claims_table, values_table
from bnpipe.analysis.measures.sources import Sources
from bnpipe.analysis.registry.tutorial import GROUP
from bnpipe.analysis.words import counted
from bnpipe.core.csv_files import read_table, write_table

CARRY_OVER_COLUMNS = ["claim", "statement", "verdict", "n", "above", "below", "median", "carries_over"]
WORDS = {
    "yes": "These carry over on every seed",
    "no": "These do not carry over on any seed",
    "open": "The seeds disagree on these",
}
SETTINGS = ["activation", "learning_rate", "init_std"]  # by which a claim finds its networks


def make_carry_over(
    claims: Path,
    accuracy: Path,
    runs: Path,
    condition: Mapping[str, Any],
    smallest_effects: Mapping[str, float],
    table: Path,
) -> None:
    """Write the table of `carry_over_table`. claims: the verdicts. accuracy, runs: the study's tables."""
    verdicts, evaluations, ends = (read_table(path) for path in (claims, accuracy, runs))
    write_table(carry_over_table(verdicts, evaluations, ends, condition, smallest_effects), table)


def carry_over_table(
    claims: pd.DataFrame,
    accuracy: pd.DataFrame,
    runs: pd.DataFrame,
    condition: Mapping[str, Any],
    smallest_effects: Mapping[str, float],
) -> pd.DataFrame:
    """Measure the tutorial's claims on a study; columns CARRY_OVER_COLUMNS.

    There is a row for each claim that has a verdict and can be measured. claims: the verdicts on the tutorial's
    networks. accuracy, runs: the tables of the study. condition: the settings that its conditions share. `n` to
    `median` are the fields of `bnpipe.analysis.verdicts.Decision` for the study; `carries_over` is yes, no or open.
    """
    tables, conditions = {}, {}
    for name, rows in (("accuracy", accuracy), ("runs", runs)):
        named = rows.assign(**{key: condition[key] for key in SETTINGS if key not in rows})
        tables[name] = named.assign(condition=[_name(values) for values in named[SETTINGS].itertuples(index=False)])
        for values in named[SETTINGS].drop_duplicates().itertuples(index=False):
            conditions[_name(values)] = dict(zip(SETTINGS, values, strict=True))
    measured = claims_table(values_table(Sources(tables, conditions)), smallest_effects)
    measured = measured[(measured["group"] == GROUP) & (measured["n"] > 0)]
    decided = claims.loc[claims["verdict"] != "undecided", ["claim", "verdict"]]
    found = measured.drop(columns="verdict").merge(decided, on="claim")
    return found.assign(carries_over=[_carries_over(row) for row in found.to_dict("records")])[CARRY_OVER_COLUMNS]


def sentence(table: pd.DataFrame) -> str:
    """Say in words what the table shows."""
    if table.empty:
        return "None of the verdicts on the tutorial's claims can be checked in this study."
    seeds = int(table["n"].max())
    told = []
    for answer, words in WORDS.items():
        statements = table.loc[table["carries_over"] == answer, "statement"]
        if len(statements):
            told.append(f"{words}: {', '.join(f'“{statement}”' for statement in statements)}.")
    looked_at = f"The study checks {counted(len(table), 'verdict')} on the tutorial's claims with "
    return " ".join([f"{looked_at}{counted(seeds, 'counted seed')}. This is a count, not a verdict.", *told])


def _carries_over(row: Mapping[Any, Any]) -> str:
    sides = {"supported": ("above", "below")}.get(row["verdict"], ("below", "above"))
    own, other = (row[side] == row["n"] for side in sides)
    return "yes" if own else "no" if other else "open"


def _name(values: Iterable[Any]) -> str:
    return " ".join(map(str, values))
