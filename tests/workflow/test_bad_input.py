"""A mistake in the configuration, the data or the command gives one line, and no file is touched."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.idx_files import write_small_folder
from tests.workplace import Workplace

BAD: list[tuple[str, Callable[[str], str], str]] = [
    ("unknown key", lambda text: text + "batchsize: 3\n", "batchsize: unknown key (got 3)"),
    ("unsafe name", lambda text: text.replace("  tanh:", "  ../tanh:"), "conditions.../tanh"),
    ("key twice", lambda text: text + "dataset: mnist\n", "dataset: expected once, but line 1 has it too"),
    ("not YAML", lambda text: text + "seeds: [1\n", "not YAML"),
    ("no such data set", lambda text: text.replace("digits", "imagenet"), ", or an existing folder, got 'imagenet'"),
    (
        "no such mirror",
        lambda text: text + "mirrors: [nowhere]\n",
        "mirrors: expected a URL (http, https, file) or an existing folder, got 'nowhere'",
    ),
    (
        "batch larger than the data",
        lambda text: text + "batch_size: 5000\n",
        "batch_size: expected at most 1197 (the number of training images), got 5000",
    ),
    (
        "empty grid",
        lambda text: text.replace("\nseeds: 2", "\nseeds: []"),
        "config.yaml:2: seeds: expected the number of fresh seeds",
    ),
]


def files_of(workplace: Workplace) -> dict[Path, tuple[int, bytes]]:
    """Return what decides what Snakemake does next: times and contents of all files except the configuration."""
    ignored = workplace.folder / "config.yaml", workplace.folder / ".snakemake/log"
    return {
        path: (path.stat().st_mtime_ns, path.read_bytes())
        for path in workplace.folder.rglob("*")
        if path.is_file() and not any(path.is_relative_to(other) for other in ignored)
    }


@pytest.mark.parametrize(("spoil", "complaint"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_a_bad_configuration_is_one_line_and_touches_nothing(
    workplace: Workplace, spoil: Callable[[str], str], complaint: str
) -> None:
    before = files_of(workplace)
    path = workplace.folder / "config.yaml"
    path.write_text(spoil(path.read_text(encoding="utf-8")), encoding="utf-8")
    done = workplace.snakemake()
    assert done.returncode != 0
    errors = [line for line in done.stderr.splitlines() if not line.startswith("Using workflow specific profile")]
    assert len(errors) == 1, done.stderr
    assert errors[0].startswith("error: ")
    assert complaint in errors[0]
    assert files_of(workplace) == before


def test_a_mistake_on_the_command_line_is_not_the_files(workplace: Workplace) -> None:
    done = workplace.snakemake("--dry-run", "--config", "seeds=0")
    assert done.returncode != 0
    assert "error: --config: seeds: expected the number of fresh seeds" in done.stderr


def test_a_damaged_data_file_is_one_line_and_touches_nothing(workplace: Workplace, tmp_path: Path) -> None:
    before = workplace.contents()
    own = tmp_path / "own"
    write_small_folder(own)
    labels = own / "train-labels-idx1-ubyte"
    labels.write_bytes(labels.read_bytes()[:-1])
    workplace.configure(dataset=str(own), validation_images=8, batch_size=8, studies={})
    done = workplace.snakemake("results/own/tables/runs.csv")
    assert done.returncode != 0
    assert "Traceback" not in done.stdout + done.stderr
    assert any(line.startswith(f"error: {labels}: truncated") for line in done.stderr.splitlines())
    assert workplace.contents() == before
    assert not (workplace.folder / "results/own/runs").exists()


def test_a_condition_that_is_not_there_is_named_with_those_that_are(workplace: Workplace) -> None:
    done = workplace.snakemake("--dry-run", "results/digits/figures/typo/all_seeds.svg")
    assert done.returncode == 1
    assert "condition: expected tanh or relu_bad_init, got typo" in done.stdout + done.stderr
