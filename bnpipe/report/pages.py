"""What the pages share: the folder of results, the templates, the origins of files, and the claims."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bnpipe import __version__
from bnpipe.analysis.claim_words import MARKS, count_text, detail_text, further_text
from bnpipe.analysis.registry.family import CLAIMS, FAMILY, FIXED, REGISTERED
from bnpipe.analysis.verdicts import LEVEL, Verdict
from bnpipe.analysis.words import short
from bnpipe.core.csv_files import read_table
from bnpipe.core.digests import versions
from bnpipe.core.errors import InputError
from bnpipe.report import tables
from bnpipe.report.dots import Dots, dots_of
from bnpipe.report.page import write_page
from bnpipe.report.tables import make_table

# How a page sorts verdicts; each has a colour and a mark.
KINDS: dict[Verdict, str] = {
    "supported": "supported",
    "reversed": "refuted",
    "too small to matter": "refuted",
    "undecided": "undecided",
}
# How a sentence states a verdict.
SENTENCES: dict[Verdict, str] = {
    "supported": "This holds",
    "reversed": "This is refuted, and the opposite holds",
    "too small to matter": "This is refuted, because the effect is too small to matter",
    "undecided": "This is undecided",
}
# For each study or experiment with claims, the table in `Claim.tables` that only it has.
CLAIM_TABLES = {
    "steadiness_bad_weights": "steadiness",
    "best_rate": "tuning",
    **{
        name: name
        for name in (
            *("initializations", "precision", "regularization", "steadiness", "transfers", "usable_rates"),
            *("gradient_shift", "input_shift", "smoothness"),
        )
    },
}


@dataclass(frozen=True)
class ClaimCard:
    """A claim with its verdict, as a page shows it at a glance."""

    claim: str
    statement: str
    kind: str  # of its verdict, one of KINDS
    mark: str  # tells verdicts apart without colour
    sentence: str  # the verdict and the count of seeds
    detail: str  # median, worst seed and threshold
    dots: Dots
    tables: tuple[str, ...]  # that the claim is measured from


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
        """The folder of results as lineage names it, wherever it is."""
        return f"results/{self.results.name}"

    def _made(self, file: str) -> Mapping[str, Any]:
        path = f"{self._folder}/{file}"
        if path not in self.lineage:
            raise InputError(
                f"{path}: expected a table or figure that the workflow makes, got a file of unknown origin; "
                "add it to the inputs of the page's rule"
            )
        return self.lineage[path]


def claim_cards(claims: pd.DataFrame, evidence: pd.DataFrame) -> dict[str, list[ClaimCard]]:
    """Return the claims of the table `claims` at a glance, by group. evidence: the table of that name."""
    groups: dict[str, list[ClaimCard]] = {}
    for _, row in claims.iterrows():
        verdict: Verdict = row["verdict"]
        card = ClaimCard(
            claim=row["claim"],
            statement=row["statement"],
            kind=KINDS[verdict],
            mark=MARKS[verdict],
            sentence=sentence_of(row),
            detail=detail_text(row),
            dots=dots_of(row, evidence),
            tables=CLAIMS[row["claim"]].tables,
        )
        groups.setdefault(row["group"], []).append(card)
    return groups


def sentence_of(row: Any) -> str:
    """State the verdict of a row of the table of claims in a sentence, and what its seeds agree on."""
    seeds, _, words = count_text(row).partition(": ")
    if not words:
        return f"{SENTENCES[row['verdict']]}: no seed counts yet. {_capitalized(further_text(row))}."
    told = f"{SENTENCES[row['verdict']]}: {seeds} {'agree' if seeds.endswith('seeds') else 'agrees'} ({words})."
    return told if row["verdict"] != "undecided" else f"{told} {_capitalized(further_text(row))}."


def cards_of_study(groups: Mapping[str, Sequence[ClaimCard]], name: str) -> list[ClaimCard]:
    """Return the claims that are measured from a study or an experiment. groups: those of `claim_cards`."""
    table = CLAIM_TABLES.get(name)
    return [card for cards in groups.values() for card in cards if table in card.tables]


def _capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]


def claims_values(pages: Pages, name: str, evidence: str) -> dict[str, Any]:
    """Return what both pages show of the claims. name, evidence: the names of the two tables."""
    files = f"tables/{name}.csv", f"tables/{evidence}.csv"
    claims, values = (pages.table(file.removesuffix(".csv")) for file in files)
    digest = str(claims["plan"].iloc[0]) if len(claims) else REGISTERED
    return {
        "groups": claim_cards(claims, values),
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
