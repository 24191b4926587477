"""Choose the data set for `make`: the configured one, or the digits if MNIST cannot be downloaded.

Only the Makefile's default target chooses. The workflow itself never does: it runs on the data set that it is given.
"""

import http.client
import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from bnpipe.core.errors import InputError
from bnpipe.core.yaml_files import read_yaml_file
from bnpipe.data.idx import GZIP_MAGIC
from bnpipe.data.retrieve import torchvision_dataset
from bnpipe.data.sources import FILES, TITLES, mirror_url
from bnpipe.grid.config import parse_configuration

ANSWER_LIMIT = 5.0  # seconds that a mirror has to answer


def choose(dataset: str, mirrors: Sequence[str], folder: Path) -> tuple[str, str]:
    """Return the data set to run on, and a line that says so.

    dataset, mirrors: as configured. folder: where MNIST's files are kept once they are downloaded.
    """
    if dataset != "mnist":
        return dataset, f"Data set: {TITLES.get(dataset, dataset)}, as config.yaml says."
    there = [(folder / f"{name}.gz").is_file() for name in FILES]
    if (folder / "packed.safetensors").is_file() or all(there):
        return "mnist", f"Data set: MNIST, from {folder}/."
    for mirror in mirrors or torchvision_dataset("mnist").mirrors:
        if _answers(f"{mirror_url(mirror)}{FILES[1]}.gz"):
            return "mnist", f"Data set: MNIST, from {mirror}."
    return "digits", (
        f"Data set: {TITLES['digits']}, because no mirror of MNIST answers. To use MNIST, "
        "run make MIRROR=folder-or-URL with its four files."
    )


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=ANSWER_LIMIT) as response:
            return bool(response.read(2) == GZIP_MAGIC)  # and not, for example, a login page
    except (OSError, http.client.HTTPException, ValueError):
        return False


def main() -> None:
    """Print the choice for the Makefile, and a line about it on standard error."""
    try:
        file = read_yaml_file(Path("config.yaml"))
        configuration = parse_configuration(file.values, [file])
        dataset, notice = choose(configuration.dataset, configuration.mirrors, Path("resources/mnist"))
    except InputError as error:
        sys.exit(error.for_terminal())
    print(notice, file=sys.stderr)
    print(dataset)


if __name__ == "__main__":
    main()
