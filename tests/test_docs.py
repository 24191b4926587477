"""The code in the documents runs unchanged and finds the same as the package, and links lead somewhere."""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from bnpipe.analysis.claims import EVIDENCE_COLUMNS, claims_table, make_claims
from bnpipe.analysis.registry.family import FAMILY
from bnpipe.analysis.tables import make_tables
from bnpipe.core.csv_files import read_table, write_table
from bnpipe.core.records import Record, write_record
from bnpipe.core.settings import Arm
from bnpipe.core.yaml_files import read_yaml
from bnpipe.data.idx import read_images
from bnpipe.data.packed import pack
from bnpipe.grid.config import SmallestEffects, parse_configuration
from tests.conftest import make_record, make_settings, run_tables
from tests.documents import OWN_PARTS, code_of, run_document
from tests.workplace import REPOSITORY

EFFECTS: dict[str, float] = SmallestEffects().model_dump()
CONFIGURATION = parse_configuration(read_yaml(REPOSITORY / "config.yaml"))
ARMS: list[Arm] = ["vanilla", "batchnorm"]
SEEDS = [42, *range(2000, 2012)]
RUNS = len(SEEDS)
DOCUMENTS = [*sorted(REPOSITORY.glob("*.md")), *sorted((REPOSITORY / "docs").rglob("*.md"))]


def name_of(document: Path) -> str:
    return document.relative_to(REPOSITORY).as_posix()


def made_up(rng: np.random.Generator, condition: str, arm: Arm) -> Record:
    """Return a made-up record. batchnorm is above vanilla, and under `relu` one run of vanilla diverged."""
    record = make_record(condition, arm, SEEDS)
    steps = np.arange(0, 2000, 60)
    height = 0.93 + 0.03 * (arm == "batchnorm") + 0.02 * rng.random((RUNS, 1))
    accuracy = height * (1 - np.exp(-(steps + 60) / (300 if arm == "batchnorm" else 500)))
    training_loss = np.full((RUNS, 2000), 0.3, np.float32)
    if (condition, arm) == ("relu", "vanilla"):
        training_loss[3, 500:] = np.nan
    curves = replace(
        record.curves,
        steps=steps,
        accuracy=accuracy,
        loss=1 - accuracy,
        training_loss=training_loss,
        test_accuracy=accuracy[:, -1] - 0.01 * rng.random(RUNS),
        diagnostics={},
        failure=None,
    )
    return replace(record, settings=(make_settings(arm=arm),) * RUNS, curves=curves)


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    rng = np.random.default_rng(5)
    folder, records = tmp_path / "results/mnist/tables", []
    for condition in CONFIGURATION.conditions:
        for arm in ARMS:
            records.append(tmp_path / f"results/mnist/runs/{condition}-{arm}.safetensors")
            write_record(made_up(rng, condition, arm), records[-1])
    make_tables(records, list(CONFIGURATION.conditions), ARMS, SEEDS, **run_tables(folder.parent))
    make_claims(
        tables={name: [folder / f"{name}.csv"] for name in ("accuracy", "runs")},
        conditions={
            name: condition.model_dump(exclude_defaults=True) for name, condition in CONFIGURATION.conditions.items()
        },
        smallest_effects=EFFECTS,
        claims=folder / "claims.csv",
        evidence=folder / "evidence.csv",
    )
    return folder


def test_a_reader_with_pandas_finds_the_same_numbers(tables: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tables.parents[2])
    found = run_document("recompute.md")
    runs, claims = read_table(tables / "runs.csv"), read_table(tables / "claims.csv").set_index("claim")
    indexed = runs.set_index(["condition", "arm", "seed"]).sort_index()
    for name, column in (("final", "final_accuracy"), ("best", "best_accuracy"), ("area", "area_under_curve")):
        np.testing.assert_allclose(found[name].sort_index(), indexed[column], rtol=1e-7)
    assert found["steps_to_90"].to_dict() == indexed["steps_to_90"].dropna().astype(int).to_dict()

    for row in read_table(tables / "summary.csv").itertuples():
        assert found["summary"](row.condition, row.arm) == pytest.approx((row.mean, row.low, row.high), rel=1e-6)
        again = found["summary"](row.condition, row.arm, "test_accuracy")
        assert again == pytest.approx((row.test_mean, row.test_low, row.test_high), rel=1e-6)

    evidence = read_table(tables / "evidence.csv").set_index("claim")["value"]
    for claim, name in (("fewer-steps-tanh", "fewer_steps"), ("learning-rate-1-bad-weights-tanh", "gain_at_rate_1")):
        np.testing.assert_allclose(found[name], evidence.loc[claim], rtol=1e-6)
    assert found["verdicts"].tolist() == claims["verdict"].tolist()


def test_verdicts_of_the_document_are_those_of_the_package_whatever_the_values(
    tables: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(1)
    rows = []
    for place, claim in enumerate(FAMILY):
        middle = (2, 0.3, -2, 1.2, 0.7, -1.1)[place % 6]
        for seed in SEEDS[1:]:
            value = rng.choice([1, -math.inf, math.nan]) if rng.random() < 0.05 else middle + 0.2 * rng.normal()
            known = rng.choice(["above", "below", "both"]) if rng.random() < 0.05 else ""
            rows.append((claim.key, seed, claim.sesoi(EFFECTS) * value, known))
    evidence = pd.DataFrame(rows, columns=EVIDENCE_COLUMNS)
    expected = claims_table(evidence, EFFECTS)
    write_table(evidence, tables / "evidence.csv")
    write_table(expected, tables / "claims.csv")
    monkeypatch.chdir(tables.parents[2])
    assert run_document("recompute.md")["verdicts"].tolist() == expected["verdict"].tolist()
    assert len({*expected["verdict"]}) == 4


def test_a_verdict_takes_no_more_than_twenty_lines() -> None:
    lines = [line for line in code_of("recompute.md", "The verdicts")[0].splitlines() if line.strip()]
    assert len(lines) <= 20


def test_the_made_up_claims_are_of_several_verdicts(tables: Path) -> None:
    assert {"supported", "undecided"} <= set(pd.read_csv(tables / "claims.csv")["verdict"])


def anchors(document: Path) -> set[str]:
    prose = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", prose, re.MULTILINE)
    return {re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-") for heading in headings}


def linked_from(document: Path) -> Iterator[tuple[Path, str]]:
    """Yield the file, and the heading if there is one, of every link to something in the repository."""
    links = re.findall(r"\[[^]]*\]\(([^)\s]+)\)", document.read_text(encoding="utf-8"))
    for target, _, heading in (link.partition("#") for link in links if "://" not in link):
        yield (document.parent / target).resolve() if target else document, heading


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_links_lead_to_files_and_headings_that_are_there(document: Path) -> None:
    for file, heading in linked_from(document):
        assert file.is_file(), file  # GitHub can show a folder, but the site cannot
        assert not heading or heading in anchors(file), f"{file}#{heading}"


def test_every_document_can_be_reached_from_the_readme() -> None:
    reached, ahead = set(), [REPOSITORY / "README.md"]
    while ahead:
        document = ahead.pop()
        reached.add(document)
        if document.suffix == ".md":
            ahead += {file for file, _ in linked_from(document)} - reached
    documents = {path for path in (REPOSITORY / "docs").rglob("*.*") if path.suffix not in (".py", ".csv")}
    assert {*DOCUMENTS, *documents} - reached == set()


def test_the_readme_has_at_most_120_lines() -> None:
    assert len((REPOSITORY / "README.md").read_text(encoding="utf-8").splitlines()) <= 120


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_what_a_document_would_have_one_write_is_permitted(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]
    for block in blocks:
        parse_configuration({**read_yaml(REPOSITORY / "config.yaml"), **block})
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    assert set(re.findall(r"(?:`|^    )make ([a-z-]+)", text, re.MULTILINE)) <= targets
    studies = {*CONFIGURATION.studies, *(name for block in blocks for name in block.get("studies", {}))}
    assert set(re.findall(r"\bstudy_([a-z_]+)\b", text)) <= studies | {"tables"}  # study_tables is a rule


@pytest.fixture
def own_parts() -> dict[str, Any]:
    """Return what the file in the how-to defines, by name."""
    return run_document("how-to.md", OWN_PARTS)


def test_a_normalizer_of_ones_own_takes_under_20_lines() -> None:
    (code,) = code_of("how-to.md", OWN_PARTS)
    normalizer, _ = code.split("def swish")
    assert len([line for line in normalizer.splitlines() if line.strip()]) < 20


def test_the_normalizer_of_the_how_to_subtracts_the_mean_and_moves_its_average(own_parts: dict[str, Any]) -> None:
    z = torch.randn(3, 60, 7, generator=torch.Generator().manual_seed(3), dtype=torch.float64) + 1
    norm = own_parts["MeanOnly"](torch.empty(3, 5, 7, dtype=torch.float64), make_settings())
    with torch.no_grad():
        norm.beta += 0.5
        mean = z.mean(dim=1, keepdim=True)
        torch.testing.assert_close(norm(z), z - mean + 0.5)
        norm.eval()
        # the moving average of the mean started at 0 and moved a hundredth of the way
        torch.testing.assert_close(norm(z), z - 0.01 * mean + 0.5)


def test_the_nonlinearity_of_the_how_to_is_torchs(own_parts: dict[str, Any]) -> None:
    x = torch.linspace(-9, 9, 99)
    torch.testing.assert_close(own_parts["swish"](x), torch.nn.functional.silu(x))


def test_results_are_read_from_python_as_the_how_to_says(
    tables: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tables.parents[2]
    write_record(make_record(arm="batchnorm"), folder / "results/mnist/runs/tanh/batchnorm/seeds-42-51.safetensors")
    rng = np.random.default_rng(0)
    files = [(rng.integers(0, 256, (n, 28, 28), np.uint8), rng.integers(0, 10, n, np.uint8)) for n in (400, 100)]
    pack(files[0], files[1], validation_images=100, path=folder / "resources/mnist/packed.safetensors")
    monkeypatch.chdir(folder)
    found = run_document("how-to.md", "Results from Python")
    assert found["curves"].accuracy.shape == (2, 2)  # steps 0 and 60
    assert "(1, 130)" in capsys.readouterr().out


def test_the_notebook_runs_and_counts_the_seeds_as_the_tables_do(
    tables: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plt.switch_backend("agg")
    monkeypatch.setattr(plt, "show", lambda: None)
    (tables.parents[2] / "docs").mkdir()
    monkeypatch.chdir(tables.parents[2] / "docs")
    notebook = json.loads((REPOSITORY / "docs/tables.ipynb").read_text(encoding="utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] or cell["execution_count"] for cell in cells)
    names: dict[str, Any] = {}
    for cell in cells:
        exec("".join(cell["source"]), names)
    claim = read_table(tables / "claims.csv").set_index("claim").loc["learning-rate-1-bad-weights-tanh"]
    assert (names["above"], names["below"], len(names["difference"])) == (claim["above"], claim["below"], claim["n"])
    assert (names["e_above"], names["e_below"]) == pytest.approx((claim["e_above"], claim["e_below"]))
    assert f"in claims.csv: {claim['verdict']}" in capsys.readouterr().out
    (axes,) = names["figure"].axes
    assert len(axes.lines) == 2 * (len(SEEDS) + 1)
    plt.close(names["figure"])


def test_arrays_become_a_data_set_as_the_how_to_says(tmp_path: Path) -> None:
    write_idx = run_document("how-to.md", "Data of your own")["write_idx"]
    images = np.arange(2 * 28 * 28, dtype=np.uint8).reshape(2, 28, 28)
    write_idx(tmp_path / "train-images-idx3-ubyte", images)
    np.testing.assert_array_equal(read_images(tmp_path / "train-images-idx3-ubyte"), images)
