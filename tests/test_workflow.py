"""The whole workflow on the embedded digits, small, as a user runs it: what it makes, and what makes it run again."""

import filecmp
import json
import re
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pandas as pd
import pytest

from bnpipe.core.digests import code_digest
from tests.idx_files import write_small_folder
from tests.workplace import CONFIGURATION, Workplace


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    workplace = Workplace(tmp_path_factory.mktemp("finished"))
    workplace.run()
    return workplace


@pytest.fixture
def workplace(finished: Workplace) -> Workplace:
    """Return the finished workplace, with the configuration it was finished with."""
    finished.configure()
    return finished


def test_tables_figures_and_page_are_there(workplace: Workplace) -> None:
    accuracy = pd.read_csv(workplace.results / "tables/accuracy.csv")
    assert len(accuracy) == 2 * 2 * 3 * 4  # conditions, arms, seeds, evaluations at 0, 8, 16, 24
    assert sorted(set(accuracy["step"])) == [0, 8, 16, 24]
    runs = pd.read_csv(workplace.results / "tables/runs.csv")
    diverged = runs[(runs["condition"] == "relu_bad_init") & (runs["arm"] == "vanilla")]
    assert diverged["first_nonfinite_step"].between(1, 24).tolist() == [True] * 3
    figures = {path.relative_to(workplace.results).as_posix() for path in workplace.results.rglob("*.svg")}
    starts = [f"{start}_{kind}" for start in ("small", "xavier", "unit") for kind in ("layers", "histograms", "growth")]
    assert figures == {
        *(f"figures/{name}.svg" for name in ("overview", "states", "claims", "mechanics", "inference")),
        *(f"figures/initialization/{name}.svg" for name in ("growth", *starts)),
        *(
            f"figures/{condition}/{kind}.svg"
            for condition in ("tanh", "relu_bad_init")
            for kind in ("single_seed", "all_seeds", "diagnostics")
        ),
        "figures/studies/precision.svg",
    }
    assert set(runs.loc[diverged.index, "state"]) == {"overflow"}
    page = (workplace.results / "report.html").read_text(encoding="utf-8")
    assert "This is not MNIST" in page
    assert str(workplace.folder) not in page


def test_provenance_tells_of_every_result_what_it_was_made_from(workplace: Workplace) -> None:
    text = (workplace.results / "provenance.json").read_text(encoding="utf-8")
    assert str(workplace.folder) not in text
    files = json.loads(text)["files"]
    made = {path for path in workplace.results.rglob("*") if path.suffix in (".csv", ".svg", ".html", ".safetensors")}
    assert {path.relative_to(workplace.folder).as_posix() for path in made} <= files.keys()
    for name, file in files.items():
        assert file["sha256"] == sha256((workplace.folder / name).read_bytes()).hexdigest()
    curves = files["results/digits/figures/tanh/all_seeds.svg"]
    assert (curves["rule"], len(curves["made_from"])) == ("condition_figures", 2 * 2)  # arms, chunks
    assert curves["code_sha256"] == code_digest("figures.condition")
    assert set(curves["made_from"]) <= json.loads(text)["records"].keys()
    assert files["resources/digits/packed.safetensors"]["rule"] == "data"
    templates = [name for name in files["results/digits/report.html"]["made_from"] if name.startswith("workflow/")]
    assert "workflow/report/page.css" in templates


def test_a_finished_grid_is_seen_as_done_to_the_last_job(workplace: Workplace) -> None:
    command = [sys.executable, "-m", "bnpipe.watch"]
    done = subprocess.run(command, cwd=workplace.folder, capture_output=True, text=True, timeout=60, check=True)
    *rows, total, end = [line.split() for line in done.stdout.splitlines()]
    assert [row[2:5] for row in rows[1:5]] == [["2", "2", "100%"]] * 4  # two chunks of seeds
    assert rows[5][:5] == ["study", "precision", "vanilla", "2", "2"]
    assert total == ["total", "10", "10", "100%"]
    assert end == ["No", "training", "is", "left."]
    assert all(len(row) == 8 for row in rows[1:5])  # with accuracies, so the logs are where they are looked for


def test_with_few_seeds_no_claim_has_a_verdict_and_the_page_says_so(workplace: Workplace) -> None:
    claims = pd.read_csv(workplace.results / "tables/claims.csv")
    assert len(claims) > 5
    assert set(claims["verdict"]) == {"inconclusive"}
    assert claims["n"].max() <= 3
    page = (workplace.results / "report.html").read_text(encoding="utf-8")
    text = re.sub(r'src="data:[^"]*"', "", page)  # without the figures
    assert text.count("n too small for a verdict") == len(claims)


def test_studies_are_made_when_asked_for_and_decide_more_claims(workplace: Workplace) -> None:
    workplace.run("study_regularization")
    assert (workplace.results / "figures/studies/regularization.png").is_file()
    assert not (workplace.results / "studies.html").exists()
    workplace.run("studies")
    decided, more = (pd.read_csv(workplace.results / f"tables/{name}.csv") for name in ("claims", "all_claims"))
    assert set(decided["claim"].astype(str)) < set(more["claim"].astype(str))
    assert {"2 tanh", "4", "5", "6a", "8 few"} <= set(more["claim"].astype(str))
    page = (workplace.results / "studies.html").read_text(encoding="utf-8")
    for name in ("precision", "learning_rate_and_init", "regularization", "covariate_shift", "paper"):
        assert f'id="study-{name}"' in page
    made = json.loads((workplace.results / "studies/provenance.json").read_text(encoding="utf-8"))["files"]
    assert made["results/digits/figures/studies/paper.svg"]["rule"] == "paper_figure"
    assert "results/digits/studies/paper/accuracy-vanilla.csv" in made
    tables = {name for about in made.values() for name in about.get("made_from", []) if name.endswith(".csv")}
    assert all((workplace.folder / name).is_file() for name in tables)
    assert workplace.planned() == {}  # of the default target


def test_more_seeds_of_a_study_train_the_new_ones_and_another_question_none(workplace: Workplace) -> None:
    workplace.run("study_learning_rate_and_init")
    study = CONFIGURATION["studies"]["learning_rate_and_init"]
    changed = {**study, "about": "Which of two?"}
    workplace.configure(studies={**CONFIGURATION["studies"], "learning_rate_and_init": changed})
    assert workplace.planned("study_learning_rate_and_init") == {"study_figure": 1}
    workplace.configure(seeds=4)  # 4 runs more for each arm; stacks of 6 hold the 12 that are there
    planned = workplace.planned("study_learning_rate_and_init")
    assert (planned["train"], planned["train_study"]) == (0, 2)


def test_a_study_made_in_batches_has_the_same_bytes(workplace: Workplace, tmp_path: Path) -> None:
    workplace.run("study_learning_rate_and_init")
    other, made = Workplace(tmp_path), Path("studies/learning_rate_and_init")
    for number, trained in ((1, 2), (2, 4)):  # of four jobs
        other.run("study_learning_rate_and_init", "--batch", f"study_tables={number}/2")
        assert len(list((other.results / made).rglob("*.safetensors"))) == trained
    for path in (other.results / made).rglob("*"):
        assert path.is_dir() or path.read_bytes() == (workplace.results / path.relative_to(other.results)).read_bytes()
    assert (other.results / made / "summary.csv").is_file()
    assert other.planned("study_learning_rate_and_init") == {}


def test_of_many_conditions_all_are_trained_and_the_first_are_shown(workplace: Workplace) -> None:
    conditions = {f"c{number}": CONFIGURATION["conditions"]["tanh"] for number in range(30)}
    workplace.configure(conditions=conditions)
    planned = workplace.planned()
    assert (planned["train"], planned["condition_figures"]) == (30 * 2 * 2, 30)
    reported = workplace.planned(f"{workplace.results.relative_to(workplace.folder)}/report.html")
    assert reported["condition_figures"] == 20


def test_a_second_run_has_nothing_to_do(workplace: Workplace) -> None:
    assert workplace.planned() == {}


def test_a_deleted_figure_is_remade_alone(workplace: Workplace) -> None:
    figure = workplace.results / "figures/tanh/all_seeds.png"
    before = figure.read_bytes()
    figure.unlink()
    assert workplace.planned() == {"condition_figures": 1, "report": 1, "provenance": 1}
    workplace.run()
    assert figure.read_bytes() == before


def test_another_learning_rate_trains_that_condition_alone(workplace: Workplace) -> None:
    conditions = {**CONFIGURATION["conditions"]}
    conditions["tanh"] = {**conditions["tanh"], "learning_rate": 0.02}
    workplace.configure(conditions=conditions)
    assert workplace.planned()["train"] == 2 * 2  # arms, chunks


def test_a_new_condition_is_trained_alone(workplace: Workplace) -> None:
    conditions = {**CONFIGURATION["conditions"], "new": {**CONFIGURATION["conditions"]["tanh"], "steps": 30}}
    workplace.configure(conditions=conditions)
    assert workplace.planned()["train"] == 2 * 2


def test_more_seeds_train_new_chunks_alone(workplace: Workplace) -> None:
    workplace.configure(seeds=5)  # 42 43 | 44 45 | 46, of which 42 43 is there
    assert workplace.planned()["train"] == 2 * 2 * 2
    workplace.configure(seeds=2)
    assert workplace.planned()["train"] == 0


@pytest.mark.parametrize("change", [{"mirrors": ["http://127.0.0.1:1/"]}, {"checkpoint_seconds": 0}], ids=str)
def test_what_changes_no_result_runs_nothing(workplace: Workplace, change: dict[str, object]) -> None:
    workplace.configure(**change)
    assert workplace.planned() == {}


@pytest.mark.parametrize(
    ("module", "rules"),
    [
        ("figures/curves", {"condition_figures", "overview_figure", "report", "provenance"}),
        ("figures/claims", {"claims_figure", "report", "provenance"}),
        ("report/report", {"report", "provenance"}),
        ("core/progress", set()),
        ("figures/diagnostics", {"condition_figures", "states_figure", "report", "provenance"}),
        ("analysis/claims", {"claims", "claims_figure", "report", "provenance"}),
        ("analysis/verdicts", {"claims", "claims_figure", "report", "provenance"}),
        ("report/provenance", {"provenance"}),
        ("data/retrieve", set()),
    ],
)
def test_a_change_of_code_runs_what_depends_on_it_and_no_more(
    workplace: Workplace, module: str, rules: set[str]
) -> None:
    file = workplace.folder / f"bnpipe/{module}.py"
    text = file.read_text(encoding="utf-8")
    file.write_text(text + "\n# changed\n", encoding="utf-8")
    try:
        assert set(workplace.planned()) == rules
    finally:
        file.write_text(text, encoding="utf-8")
    assert workplace.planned() == {}  # the file is newer, its content is not


def test_a_change_of_tables_trains_nothing_and_one_of_networks_trains_all(workplace: Workplace) -> None:
    training = {"train", "train_study", "inference", "initialization", "mechanics", "activations"}
    for module, trains in (("analysis/tables", False), ("networks/norms", True)):
        file = workplace.folder / f"bnpipe/{module}.py"
        text = file.read_text(encoding="utf-8")
        file.write_text(text + "\n# changed\n", encoding="utf-8")
        try:
            planned = set(workplace.planned())
        finally:
            file.write_text(text, encoding="utf-8")
        assert planned & training == (training if trains else set())
        assert {"tables", "claims", "report"} <= planned


def test_another_folder_one_core_and_jobs_of_other_sizes_give_the_same_bytes(
    workplace: Workplace, tmp_path: Path
) -> None:
    other = Workplace(tmp_path)
    other.run("--cores", "1")
    assert other.contents().items() <= workplace.contents().items()  # there all studies were asked for
    other.configure(chunk_size=3, runs_per_job=2)
    other.run()
    for name in ("tables/accuracy", "tables/summary", "tables/comparison", "studies/precision/accuracy"):
        assert filecmp.cmp(other.results / f"{name}.csv", workplace.results / f"{name}.csv", False)


def test_the_shim_for_the_catalog_is_the_same_workflow(workplace: Workplace) -> None:
    made = [workplace.results / "figures/tanh/all_seeds.png", workplace.results / "report.html"]
    for path in made:
        path.unlink()
    workplace.run("--snakefile", "workflow/Snakefile")
    assert all(path.is_file() for path in made)
    assert workplace.planned() == {}


@pytest.fixture(scope="module", autouse=True)
def made(finished: Workplace) -> set[str]:
    """Return what the default target makes: taken before a test asks for more."""
    return {f"results/digits/{path}" for path in finished.contents()}


def report_data(page: str, name: str) -> Any:
    """Return what a page of Snakemake's own report holds under a name."""
    (text,) = re.findall(rf"^\s*var {name} = (\{{.*\}});?$", page, re.MULTILINE)
    return json.loads(text)


@pytest.fixture(scope="module")
def own_report(finished: Workplace, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return Snakemake's own report as one page, built where there is no way to the network."""
    page = tmp_path_factory.mktemp("report") / "report.html"
    finished.configure()
    with pytest.MonkeyPatch.context() as patch:
        for scheme in ("HTTP", "HTTPS"):
            patch.setenv(f"{scheme}_PROXY", "http://127.0.0.1:9")
        finished.run("--report", str(page))
    return page.read_text(encoding="utf-8")


def test_snakemakes_own_report_holds_every_figure_and_table_of_the_default_target(
    made: set[str], own_report: str
) -> None:
    results, categories = report_data(own_report, "results"), report_data(own_report, "categories")
    kinds = {".svg": "Figures", ".csv": "Tables", ".html": "Report"}
    assert set(results) == {path for path in made if Path(path).suffix in kinds}
    placed = {path: (name, group) for name, groups in categories.items() for group in groups for path in groups[group]}
    assert set(placed) == set(results)
    for path, (category, group) in placed.items():
        assert category == kinds[Path(path).suffix]
        assert (group == "Other") == (category == "Report"), path


def test_what_stands_in_snakemakes_own_report_is_told_apart_and_explained(own_report: str) -> None:
    results = report_data(own_report, "results")
    labels = [tuple(result["labels"].items()) for result in results.values()]
    assert len(set(labels)) == len(labels)
    assert all(value and "{" not in value for label in labels for _, value in label)
    for path, result in results.items():
        caption = re.sub(r"<[^>]*>", "", result["caption"]).strip()
        assert len(caption) > 30, path
        assert not re.search(r"[{}]|None|Undefined|  ", caption), caption
        condition = Path(path).parent.name
        assert condition not in CONFIGURATION["conditions"] or condition in caption


def test_snakemakes_own_report_is_an_archive_too(workplace: Workplace, tmp_path: Path) -> None:
    workplace.run("--report", str(tmp_path / "report.zip"))
    with ZipFile(tmp_path / "report.zip") as archive:
        names = {Path(name).name for name in archive.namelist()}
    assert {"report.html", "overview.svg", "claims.csv"} <= names


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
        lambda text: text.replace("seeds: 3", "seeds: []"),
        "config.yaml:2: seeds: expected the number of seeds",
    ),
]


@pytest.mark.parametrize(("spoil", "complaint"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_a_bad_configuration_is_one_line_and_touches_nothing(
    workplace: Workplace, spoil: Callable[[str], str], complaint: str
) -> None:
    before = workplace.contents()
    path = workplace.folder / "config.yaml"
    path.write_text(spoil(path.read_text(encoding="utf-8")), encoding="utf-8")
    done = workplace.snakemake()
    assert done.returncode != 0
    errors = [line for line in done.stderr.splitlines() if not line.startswith("Using workflow specific profile")]
    assert len(errors) == 1, done.stderr
    assert errors[0].startswith("error: ")
    assert complaint in errors[0]
    assert workplace.contents() == before
    workplace.configure()
    assert workplace.planned() == {}


def test_a_mistake_on_the_command_line_is_not_the_files(workplace: Workplace) -> None:
    done = workplace.snakemake("--dry-run", "--config", "seeds=0")
    assert done.returncode != 0
    assert "error: --config: seeds: expected the number of seeds" in done.stderr


def test_a_damaged_data_file_is_one_line_and_touches_nothing(workplace: Workplace, tmp_path: Path) -> None:
    before = workplace.contents()
    own = tmp_path / "own"
    write_small_folder(own)
    labels = own / "train-labels-idx1-ubyte"
    labels.write_bytes(labels.read_bytes()[:-1])
    workplace.configure(dataset=str(own), validation_images=8, batch_size=8, studies={})
    done = workplace.snakemake()
    assert done.returncode != 0
    assert "Traceback" not in done.stdout + done.stderr
    assert any(line.startswith(f"error: {labels}: truncated") for line in done.stderr.splitlines())
    assert workplace.contents() == before
    assert not (workplace.folder / "results/own/runs").exists()


def test_a_condition_that_is_not_there_is_named_with_those_that_are(workplace: Workplace) -> None:
    done = workplace.snakemake("--dry-run", "results/digits/figures/typo/all_seeds.svg")
    assert done.returncode == 1
    assert "condition: found typo; permitted is tanh, relu_bad_init" in done.stdout + done.stderr
