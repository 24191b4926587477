"""What every result was made from: provenance.json, with checksums, but without clock time, host or absolute path."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bnpipe import __version__
from bnpipe.core.digests import versions
from bnpipe.core.errors import InputError
from bnpipe.core.files import atomic_write_text
from bnpipe.core.paths import portable
from bnpipe.core.records import read_label

ABOUT = (
    "What every result was made from. Each file has its checksum (SHA-256), the rule that made it, the digest of the "
    "modules of bnpipe that this rule uses, and the files that it read. Each run record also has its description of "
    "itself. Paths are relative to the folder where the workflow ran; versions are those that wrote this file."
)
LIBRARIES = ("numba", "numpy", "scipy", "pandas", "torch", "matplotlib", "altair", "snakemake")


def make_provenance(
    files: Sequence[Path],
    lineage: Mapping[str, Mapping[str, Any]],
    configuration: Mapping[str, Any],
    dataset: Mapping[str, str],
    output: Path,
) -> None:
    """Write every file's checksum, what it was made by and from, and every run record's description of itself.

    lineage: by portable path (`bnpipe.core.paths`), the rule that made the file, the digest of its code, and its
    inputs. configuration: plain values. dataset: `name`, as in paths, and `title`. Raises InputError if a file cannot
    be read.
    """
    named = {portable(path.as_posix(), dataset["name"]): path for path in files}
    manifest = {
        "about": ABOUT,
        "bnpipe": __version__,
        "versions": versions(*LIBRARIES),
        "dataset": dict(dataset),
        "configuration": dict(configuration),
        "files": {name: {"sha256": checksum(path), **lineage.get(name, {})} for name, path in named.items()},
        "records": {name: describe_record(path) for name, path in named.items() if _is_record(path)},
    }
    atomic_write_text(output, json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file's content. Raises InputError, naming the file, if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error}); the workflow makes it again") from error


def describe_record(path: Path) -> dict[str, Any]:
    """Return what a run record says about itself: condition, arm, seeds, data, code, device and versions."""
    label = read_label(path)
    return {
        "condition": label.condition,
        "arm": label.settings[0].arm,
        "seeds": list(label.seeds),
        **asdict(label.origin),
    }


def _is_record(path: Path) -> bool:
    return path.suffix == ".safetensors" and "runs" in path.parts
