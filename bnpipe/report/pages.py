"""What the pages share: the folder of results, the templates, the origins of files, and the claims."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bnpipe import __version__
from bnpipe.analysis.claim_words import MARKS, detail_text, explanation_text
from bnpipe.analysis.registry.family import FAMILY, FIXED, REGISTERED
from bnpipe.analysis.verdicts import LEVEL, Verdict
from bnpipe.analysis.words import short
from bnpipe.core.csv_files import read_table
from bnpipe.core.digests import versions
from bnpipe.core.errors import InputError
from bnpipe.report import tables
from bnpipe.report.page import write_page
from bnpipe.report.tables import make_table

# How a page sorts verdicts; each has a colour and a mark.
KINDS: dict[Verdict, str] = {
    "supported": "supported",
    "reversed": "refuted",
    "too small to matter": "refuted",
    "undecided": "undecided",
}


@dataclass(frozen=True)
class ClaimCard:
    """A claim with its verdict, as a page shows it at a glance."""

    claim: str
    statement: str
    kind: str  # of its verdict, one of KINDS
    mark: str  # tells verdicts apart without colour
    verdict: str
    count: str  # of seeds, in a sentence
    detail: str  # median, worst seed and threshold


@dataclass(frozen=True)
class Pages:
    """What all pages of a folder of results share."""

    results: Path  # the folder
    templates: Path  # their folder
    dataset: str  # its title
    is_mnist: bool
    lineage: Mapping[str, Mapping[str, Any]]  # by portable path of a table or figure, its entry in provenance.json

    def write(self, name: str, values: Mapping[str, Any]) -> None:
        """Render the page of this name from the template of this name."""
        shared = {
            "dataset": self.dataset,
            "is_mnist": self.is_mnist,
            "made_with": {"bnpipe": __version__, **versions("matplotlib", "pandas", "scipy", "altair")},
            "results": self.results,
            "sources": self.sources,
            "code": self.code,
        }
        write_page(self.templates / f"{name}.html.j2", {**shared, **values}, self.results / f"{name}.html")

    def table(self, name: str) -> pd.DataFrame:
        """Read a table below the folder of results."""
        return read_table(self.results / f"{name}.csv")

    def sources(self, file: str) -> list[str]:
        """Return the tables that a file was made from, below the folder of results. Raises InputError like `code`."""
        inputs = map(Path, self._made(file)["made_from"])
        return [path.relative_to(self._folder).as_posix() for path in inputs if path.suffix == ".csv"]

    def code(self, file: str) -> str:
        """Return the beginning of the digest of the code that made a file. Raises InputError if no rule makes it."""
        return short(self._made(file)["code_sha256"])

    @property
    def _folder(self) -> str:
        """The folder of results as lineage names it, whatever is before it."""
        return f"results/{self.results.name}"

    def _made(self, file: str) -> Mapping[str, Any]:
        path = f"{self._folder}/{file}"
        if path not in self.lineage:
            raise InputError(
                f"{path}: expected a table or figure that the workflow makes, got a file of unknown origin; "
                "add it to the inputs of the page's rule"
            )
        return self.lineage[path]


def claim_cards(claims: pd.DataFrame) -> dict[str, list[ClaimCard]]:
    """Return the claims of the table `claims` at a glance, by group."""
    groups: dict[str, list[ClaimCard]] = {}
    for _, row in claims.iterrows():
        verdict: Verdict = row["verdict"]
        card = ClaimCard(
            claim=row["claim"],
            statement=row["statement"],
            kind=KINDS[verdict],
            mark=MARKS[verdict],
            verdict=verdict,
            count=explanation_text(row),
            detail=detail_text(row),
        )
        groups.setdefault(row["group"], []).append(card)
    return groups


def claims_values(claims: pd.DataFrame, name: str, evidence: str) -> dict[str, Any]:
    """Return what both pages show of the claims. name, evidence: those of the table and of its table of evidence."""
    files = f"tables/{name}.csv", f"tables/{evidence}.csv"
    digest = str(claims["plan"].iloc[0]) if len(claims) else REGISTERED
    return {
        "groups": claim_cards(claims),
        "counts": Counter(claims["verdict"]),
        "decided_on": int(claims["n"].max()) if len(claims) else 0,
        "family_size": len(FAMILY),
        "level": LEVEL,
        "plan": {"digest": short(digest), "fixed": FIXED, "own": digest != REGISTERED},
        "claims": make_table(
            name,
            tables.claims_frame(claims),
            tables.CLAIMS,
            "Every claim with its verdict; the second file holds the value of every seed",
            *files,
        ),
    }
