"""The configuration as users give it: in files and on the command line of a real Snakemake."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.idx_files import write_small_folder
from tests.workplace import CONFIGURATION, FIRST_CHUNK, REPOSITORY, Workplace

SAID_BEFORE = ("Using workflow specific profile", "Config file config.yaml is ")  # Snakemake's own remarks


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    return Workplace.create(tmp_path_factory.mktemp("configuration"))


@pytest.fixture
def workplace(made: Workplace) -> Workplace:
    made.configure()
    return made


def jobs(workplace: Workplace, *arguments: str) -> str:
    """Plan a run and return Snakemake's output."""
    done = workplace.snakemake("--dry-run", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def errors(workplace: Workplace, *arguments: str) -> list[str]:
    """Plan a run that fails, and return the lines that say why."""
    done = workplace.snakemake("--dry-run", *arguments)
    assert done.returncode != 0
    return [line for line in done.stderr.splitlines() if not line.startswith(SAID_BEFORE)]


def test_values_on_the_command_line_are_yaml(workplace: Workplace) -> None:
    values = ["seeds=[3,1,2]", "hidden_sizes=[20,10]", "diagnostics=false", "runs_per_job=null", "paper=null"]
    said = jobs(workplace, "--config", *values, "conditions={tanh: {steps: 2e1, learning_rate: 5e-2}}")
    assert "seeds-3-1-" in said
    assert "tanh/diagnostics.svg" not in said
    assert "results/digits/studies/paper/accuracy-vanilla.csv" not in jobs(
        workplace, "--config", *values, "--", "studies"
    )


def test_a_profile_gives_values_of_every_kind(workplace: Workplace, tmp_path: Path) -> None:
    given: dict[str, Any] = {"seeds": [5], "diagnostics": False, "runs_per_job": None, "dataset": "digits"}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"config": given}))
    said = jobs(workplace, "--profile", str(tmp_path))
    assert "seeds-5-5.safetensors" in said
    assert "tanh/diagnostics.svg" not in said


@pytest.mark.parametrize("name", ["2024", "061", "1e3", "2024-01-01", "yes"])
def test_a_folder_may_be_named_like_a_number_or_a_word(workplace: Workplace, name: str) -> None:
    if not (workplace.folder / name).is_dir():
        write_small_folder(workplace.folder / name)
    workplace.configure(studies={}, validation_images=8, batch_size=4)
    packed = f"resources/{name}/packed.safetensors"
    assert packed in jobs(workplace, "--config", f"dataset={name}", "--", packed)
    text = (workplace.folder / "config.yaml").read_text(encoding="utf-8")
    (workplace.folder / "config.yaml").write_text(text.replace("dataset: digits", f"dataset: {name}"))
    assert packed in jobs(workplace, "--", packed)


def test_a_run_takes_values_of_the_command_line_to_its_jobs(workplace: Workplace) -> None:
    name = "0e1"
    write_small_folder(workplace.folder / name)
    values = [f"dataset={name}", "validation_images=8", "batch_size=4", "studies={}", "paper=null"]
    workplace.configure(studies={})
    record = f"results/{name}/runs/tanh/vanilla/seeds-42-42.safetensors"
    workplace.run("--config", *values, "seeds=[42]", "conditions={tanh: {steps: 2e0}}", "--", record)
    assert (workplace.folder / record).is_file()


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        (["seeds=0"], "--config: seeds: expected the number of fresh seeds"),
        (["seeds=[1,2"], "--config seeds: not YAML: did not find expected ',' or ']'"),
        (
            ["batch_size=061"],
            "--config: batch_size: expected a whole number from 2 to 1000000, got 061; YAML 1.1 reads",
        ),
        (
            ["chunk_size='2'"],
            "--config: chunk_size: expected a whole number from 1 to 10000, got '2'; write it without",
        ),
        (
            ["dataset=nowhere"],
            "--config: dataset: expected one of mnist, fashion_mnist, kmnist, cifar10, digits, or an existing",
        ),
        (["mirrors=[nowhere]"], "--config: mirrors: expected a URL (http, https, file) or an existing folder"),
        (["batch_size=1198"], "--config: batch_size: expected at most 1197 (the number of training images), got 1198"),
        (
            ["studies={precision: {condition: {training_images: 30}}}"],
            "--config: studies.precision.condition.training_images: expected at least 60 (batch_size, ",
        ),
        (
            ["paper={condition: {training_images: 50000}}"],
            "--config: paper.condition.training_images: expected at most 1197 (the number of training images), "
            "got 50000",
        ),
    ],
    ids=str,
)
def test_a_mistake_on_the_command_line_is_one_line(workplace: Workplace, values: list[str], complaint: str) -> None:
    (line,) = errors(workplace, "--config", *values)
    assert line.startswith(f"error: {complaint}")


def test_a_check_of_the_whole_configuration_names_file_and_line(workplace: Workplace) -> None:
    path = workplace.folder / "config.yaml"
    path.write_text(
        "batch_size: 90\n" + path.read_text(encoding="utf-8").replace("- 200\n", "- 80\n"), encoding="utf-8"
    )
    number = path.read_text(encoding="utf-8").splitlines().index("      - 80") + 1
    (line,) = errors(workplace)
    assert line.startswith(f"error: config.yaml:{number}: studies.regularization.sweep.training_images.0: expected at")


BAD_FILES = {
    "latin-1": ("# caf\u00e9\n".encode("latin-1"), "config.yaml:1: expected text in UTF-8, got the byte 0xe9"),
    "UTF-16": ("seeds: 1\n".encode("utf-16"), "config.yaml: expected text in UTF-8, got UTF-16; save the file"),
    "NUL": (b"seeds: 1\nchunk_size: \x00\n", "config.yaml:2: not YAML: expected text, got the character '\\x00'"),
    "empty": (b"", "config.yaml: expected a mapping (a line 'key: value' for each entry), got an empty file"),
    "list": (b"- seeds\n", "config.yaml: expected a mapping (a line 'key: value' for each entry), got [seeds]"),
    "octal": (b"seeds: 042\n", "config.yaml:1: seeds: expected the number of fresh seeds"),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_file_that_is_no_configuration_is_one_line(workplace: Workplace, kind: str) -> None:
    content, complaint = BAD_FILES[kind]
    path = workplace.folder / "config.yaml"
    path.write_bytes(content if kind != "octal" else content + path.read_bytes().replace(b"\nseeds: 2\n", b"\n"))
    (line,) = errors(workplace)
    assert line.startswith(f"error: {complaint}")


def test_a_file_of_windows_is_read(workplace: Workplace) -> None:
    path = workplace.folder / "config.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert f"{FIRST_CHUNK}.safetensors" in jobs(workplace)


def test_another_file_adds_to_the_own_or_replaces_it(workplace: Workplace, tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    own = {"dataset": "digits", "seeds": 1, "conditions": {"own": CONFIGURATION["conditions"]["tanh"]}}
    mine.write_text(yaml.safe_dump(own))
    record = f"results/digits/runs/{{}}/vanilla/{FIRST_CHUNK}.safetensors"
    added = jobs(workplace, "--configfile", str(mine))
    assert all(record.format(name) in added for name in ("own", "tanh"))
    replaced = jobs(workplace, "--configfile", str(mine), "--replace-workflow-config")
    assert record.format("own") in replaced
    assert record.format("tanh") not in replaced
    mine.write_text("seeds: 042\n")
    (line,) = errors(workplace, "--configfile", str(mine))
    assert line.startswith(f"error: {mine}:1: seeds: expected the number of fresh seeds")


def test_a_module_takes_text_as_its_keys_ask_for(tmp_path: Path) -> None:
    """The other workflow passes its module text from the command line: false, null, 20."""
    (tmp_path / "bnpipe").mkdir()
    Workplace.create(tmp_path / "bnpipe")
    (tmp_path / "Snakefile").write_text(
        'configfile: "mine.yaml"\n\n\nmodule bnpipe:\n    snakefile:\n        "bnpipe/Snakefile"\n    config:\n'
        '        config["bnpipe"]\n\n\nuse rule * from bnpipe as bnpipe_*\n'
    )
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"bnpipe": CONFIGURATION}))

    def snakemake(values: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "snakemake", "-n", "--config", f"bnpipe={values}", "--", "bnpipe_all"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)

    done = snakemake("{diagnostics: false, runs_per_job: null, seeds: [7], conditions: {tanh: {learning_rate: 1e-3}}}")
    assert done.returncode == 0, done.stderr
    assert "seeds-7-7.safetensors" in done.stdout
    assert "diagnostics.svg" not in done.stdout
    done = snakemake("{seeds: 0}")
    assert "error: configuration: seeds: expected the number of fresh seeds" in done.stderr


def test_arms_may_lack_the_pair_that_experiments_take(workplace: Workplace) -> None:
    said = jobs(workplace, "--config", "arms=[layernorm]", "best_rate={}", "--", "studies")
    assert "results/digits/studies/gradient_shift/tanh-batchnorm.csv" in said


def test_the_committed_configuration_is_planned_on_the_digits_but_for_a_study_that_needs_more(
    workplace: Workplace,
) -> None:
    shutil.copy(REPOSITORY / "config.yaml", workplace.folder)
    said = jobs(workplace, "--config", "dataset=digits")
    assert "results/digits/report.html" in said
    assert "results/digits/figures/studies/depth.svg" in jobs(
        workplace, "--config", "dataset=digits", "--", "study_depth"
    )
    done = workplace.snakemake("--dry-run", "--config", "dataset=digits", "--", "studies")
    assert done.returncode != 0
    (line,) = [line for line in (done.stdout + done.stderr).splitlines() if "expected" in line]
    assert "studies.regularization.sweep.training_images." in line
    assert line.endswith("expected at most 1197 (the number of training images), got 2000; null takes all")
