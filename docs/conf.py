"""Settings of the documentation site: the unchanged Markdown files and the docstrings. `make docs` builds it."""

import os
import shutil
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.addnodes import download_reference
from sphinx.application import Sphinx

from bnpipe import __version__

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # finds `bnpipe`, whatever folder Sphinx is started in

project, version, release = "bnpipe", __version__, __version__
html_title = f"bnpipe {__version__}"
extensions = ["myst_parser", "sphinx.ext.autodoc"]
html_theme = "furo"
root_doc = "README"
include_patterns = ["*.md", "docs/**.md"]
exclude_patterns = [".*", "site", "results", "resources", "logs", "tests", "benchmarks", "bnpipe", "workflow"]
myst_heading_anchors = 4  # links to headings are checked
default_role = "code"  # docstrings write `name`, as Markdown does
autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints_format = "short"

# The contents of the side bar. GitHub shows the Markdown without it.
CONTENTS = {
    "Begin": ["docs/tutorial", "docs/how-to", "docs/example/README"],
    "Results": ["docs/results", "docs/verdicts", "docs/analysis-plan", "docs/recompute", "docs/studies"],
    "Run": ["docs/operations", "docs/configuration", "docs/clusters", "docs/large-grids", "docs/speed"],
    "Develop": ["docs/design", "docs/api", "CONTRIBUTING", "CHANGELOG"],
}


def add_contents(_: Sphinx, document: str, source: list[str]) -> None:
    """Append the table of contents to the first page."""
    if document == root_doc:
        for caption, pages in CONTENTS.items():
            source[0] += "\n".join(["\n```{toctree}", ":hidden:", f":caption: {caption}", "", *pages, "```\n"])


def open_pages(app: Sphinx, tree: nodes.document, document: str) -> None:
    """Make links to web pages, such as the example, open them. Sphinx would make the browser save them."""
    for link in [*tree.findall(download_reference)]:
        target = link["reftarget"]
        if target.endswith(".html"):
            here = app.builder.get_target_uri(document)
            place = os.path.normpath(Path(document).parent / target)
            copy = Path(app.outdir, place)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / place, copy)
            address = os.path.relpath(place, Path(here).parent)
            link.replace_self(nodes.reference("", "", *link.children, refuri=address, internal=True))


def add_index(app: Sphinx, error: Exception | None) -> None:
    """Make the folder of the site open on the first page."""
    if error is None:
        shutil.copy(Path(app.outdir, "README.html"), Path(app.outdir, "index.html"))


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the functions above with Sphinx."""
    app.connect("source-read", add_contents)
    app.connect("doctree-resolved", open_pages)
    app.connect("build-finished", add_index)
    return {"parallel_read_safe": True, "parallel_write_safe": False}
