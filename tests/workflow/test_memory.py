"""What the workflow does if Snakemake's metadata are gone or bypassed, and if the code is not the planned one."""

import shutil
from pathlib import Path

import pytest

from tests.idx_files import write_small_folder
from tests.workplace import CONFIGURATION, FIRST_CHUNK, Workplace


def with_rate(rate: float) -> dict[str, object]:
    conditions = CONFIGURATION["conditions"]
    return {**conditions, "tanh": {**conditions["tanh"], "learning_rate": rate}}


def refusal(workplace: Workplace, *arguments: str) -> str:
    """Run the workflow, which must fail, and return the line that says why."""
    done = workplace.snakemake(*arguments)
    assert done.returncode != 0
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "Traceback" not in done.stdout + done.stderr
    return line


def test_without_snakemakes_memory_records_of_other_settings_are_refused(workplace: Workplace) -> None:
    workplace.configure(conditions=with_rate(1.5))
    shutil.rmtree(workplace.folder / ".snakemake")
    record = f"results/digits/runs/tanh/vanilla/{FIRST_CHUNK}.safetensors"
    expected = f"error: {record}: learning_rate: expected 1.5, as planned, got 0.01; delete this record"
    assert refusal(workplace).startswith(expected)
    assert (workplace.folder / record).is_file()
    workplace.configure()
    assert workplace.planned() == {}  # the files that exist are those that the configuration asks for


@pytest.mark.parametrize("target", ["report.html", "figures/tanh/all_seeds.svg", "tables/runs.csv", "provenance.json"])
def test_past_snakemakes_memory_no_reader_takes_records_of_other_settings(workplace: Workplace, target: str) -> None:
    workplace.configure(conditions=with_rate(1.5))
    (workplace.results / target).unlink()
    line = refusal(workplace, "--rerun-triggers", "mtime", "--", f"results/digits/{target}")
    assert "learning_rate: expected 1.5, as planned, got 0.01; delete this record to train it again" in line


def test_images_that_were_split_otherwise_are_refused(workplace: Workplace, tmp_path: Path) -> None:
    write_small_folder(tmp_path / "own")
    changes = {"dataset": str(tmp_path / "own"), "batch_size": 8, "studies": {}}
    workplace.configure(**changes, validation_images=8)
    workplace.run("data")
    workplace.configure(**changes, validation_images=10)
    line = refusal(workplace, "--rerun-triggers", "mtime", "--", "results/own/tables/mechanics.csv")
    expected = "error: resources/own/packed.safetensors: validation_images: expected 10, as configured, got 8; delete"
    assert line.startswith(expected)


def test_code_that_is_edited_after_the_plan_trains_nothing(workplace: Workplace) -> None:
    script = workplace.folder / "workflow/scripts/train.py"
    norms = workplace.folder / "bnpipe/modules/norms.py"
    edit = f"with open({str(norms)!r}, 'a') as file:\n    file.write('# edited')\n"
    script.write_text(edit + script.read_text(encoding="utf-8"), encoding="utf-8")
    workplace.configure(conditions=with_rate(1.5))
    line = refusal(workplace, "--", f"results/digits/runs/tanh/vanilla/{FIRST_CHUNK}.safetensors")
    assert "with which this run was planned" in line
    assert "it was edited since; run the same command again" in line


def test_another_copy_of_the_package_is_noticed(workplace: Workplace, tmp_path: Path) -> None:
    shutil.copytree(workplace.folder / "bnpipe", tmp_path / "elsewhere/bnpipe")
    with (tmp_path / "elsewhere/bnpipe/modules/norms.py").open("a") as file:
        file.write("# older")
    # Jobs import this copy first, as they would an installed one. Snakemake itself finds the one beside the Snakefile.
    script = workplace.folder / "workflow/scripts/train.py"
    first = f"import sys\nsys.path.insert(0, {str(tmp_path / 'elsewhere')!r})\n"
    script.write_text(first + script.read_text(encoding="utf-8"), encoding="utf-8")
    workplace.configure(conditions=with_rate(1.5))
    line = refusal(workplace, "--", f"results/digits/runs/tanh/vanilla/{FIRST_CHUNK}.safetensors")
    assert f"{tmp_path}/elsewhere/bnpipe: expected code" in line
    assert f"this copy was imported instead of the one in {workplace.folder}; uninstall it" in line
