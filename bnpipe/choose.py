"""Choose the data set for `make`: the configured one, or the digits if MNIST cannot be downloaded.

Only the Makefile's default target chooses. The workflow itself never does: it runs on the data set that it is given.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from bnpipe.core.errors import InputError
from bnpipe.core.yaml_files import read_yaml_file
from bnpipe.data.layouts import fault_of
from bnpipe.data.mirrors import parse_mirror
from bnpipe.data.retrieve import has_all, refusal_of, torchvision_dataset
from bnpipe.data.sources import TITLES
from bnpipe.grid.config import parse_configuration

ANSWER_LIMIT = 5.0  # seconds that a mirror has to answer


def choose(dataset: str, mirrors: Sequence[str], folder: Path) -> tuple[str, str]:
    """Return the data set to run on, and a line that says so.

    dataset, mirrors: as configured. folder: where MNIST's files are kept once they are downloaded.
    """
    if dataset != "mnist":
        return dataset, f"Data set: {TITLES.get(dataset, dataset)}, as config.yaml says."
    if fault_of(folder / "packed.safetensors") is None or has_all("mnist", folder):
        return "mnist", f"Data set: MNIST, from {folder}/."
    faults = []
    for mirror in map(parse_mirror, mirrors or torchvision_dataset("mnist").mirrors):
        fault = refusal_of(mirror, "mnist", ANSWER_LIMIT)
        if fault is None:
            return "mnist", f"Data set: MNIST, from {mirror}."
        faults.append(fault)
    return "digits", (
        f"Data set: {TITLES['digits']}, because no mirror of MNIST answers with its files ({'; '.join(faults)}). "
        "To use MNIST, run make MIRROR=folder-or-URL with its four files."
    )


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
