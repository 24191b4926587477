"""What a run of the default target makes, and how its results describe themselves."""

import json
import re
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pandas as pd

from bnpipe.core.digests import code_digest
from bnpipe.data.sources import resolve
from tests.idx_files import write_small_folder
from tests.workplace import Workplace


def test_tables_figures_and_page_are_there(finished: Workplace) -> None:
    accuracy = pd.read_csv(finished.results / "tables/accuracy.csv")
    assert len(accuracy) == 2 * 2 * 3 * 4  # conditions, arms, seeds, evaluations at 0, 8, 16, 24
    assert sorted(set(accuracy["step"])) == [0, 8, 16, 24]
    runs = pd.read_csv(finished.results / "tables/runs.csv")
    bad = runs[(runs["condition"] == "relu_bad_init") & (runs["arm"] == "vanilla")].set_index("seed")
    assert bad["state"].to_dict() == {42: "overflow", 2000: "dead", 2001: "overflow"}
    assert bad["first_nonfinite_step"].between(1, 24).tolist() == [True, False, True]
    figures = {path.relative_to(finished.results).as_posix() for path in finished.results.rglob("*.svg")}
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
    page = (finished.results / "report.html").read_text(encoding="utf-8")
    assert "This is not MNIST" in page
    assert str(finished.folder) not in page


def test_images_of_ones_own_have_a_page_whatever_their_path(tmp_path: Path) -> None:
    workplace = Workplace.create(tmp_path)
    dataset = write_small_folder(tmp_path / "my 'own' data; at $HOME/own")
    condition = {"activation": "tanh", "learning_rate": 0.05, "init_std": 0.1, "steps": 9}
    workplace.configure(
        dataset=str(dataset),
        conditions={"tanh": condition},
        **{"studies": {}, "paper": None, "diagnostics": False, "validation_images": 8, "batch_size": 8},
    )
    page = f"results/{resolve(str(dataset)).name}/report.html"
    workplace.run(page)
    assert "(own files)" in (workplace.folder / page).read_text(encoding="utf-8")


def test_provenance_tells_of_every_result_what_it_was_made_from(finished: Workplace) -> None:
    text = (finished.results / "provenance.json").read_text(encoding="utf-8")
    assert str(finished.folder) not in text
    files = json.loads(text)["files"]
    made = {path for path in finished.results.rglob("*") if path.suffix in (".csv", ".svg", ".html", ".safetensors")}
    assert {path.relative_to(finished.folder).as_posix() for path in made} <= files.keys()
    for name, file in files.items():
        assert file["sha256"] == sha256((finished.folder / name).read_bytes()).hexdigest()
    curves = files["results/digits/figures/tanh/all_seeds.svg"]
    assert (curves["rule"], len(curves["made_from"])) == ("condition_figures", 2 * 2)  # arms, chunks
    assert curves["code_sha256"] == code_digest("figures.condition")
    assert set(curves["made_from"]) <= json.loads(text)["records"].keys()
    assert files["resources/digits/packed.safetensors"]["rule"] == "data"
    templates = [name for name in files["results/digits/report.html"]["made_from"] if name.startswith("bnpipe/")]
    assert "bnpipe/report/templates/page.css" in templates


def test_a_finished_grid_is_seen_as_done_to_the_last_job(finished: Workplace) -> None:
    command = [sys.executable, "-m", "bnpipe.watch"]
    done = subprocess.run(command, cwd=finished.folder, capture_output=True, text=True, timeout=60, check=True)
    *rows, total, end = [line.split() for line in done.stdout.splitlines()]
    assert [row[2:5] for row in rows[1:5]] == [["2", "2", "100%"]] * 4  # two chunks of seeds
    assert rows[5][:5] == ["study", "precision", "vanilla", "2", "2"]
    assert total == ["total", "10", "10", "100%"]
    assert end == ["No", "training", "is", "left."]
    assert all(len(row) == 8 for row in rows[1:5])  # with accuracies, so the logs are in the expected place


def test_with_few_seeds_no_claim_has_a_verdict_and_the_page_says_so(finished: Workplace) -> None:
    claims = pd.read_csv(finished.results / "tables/claims.csv")
    assert len(claims) > 5
    assert set(claims["verdict"]) == {"undecided"}
    assert set(claims["n"]) == {2}  # the tutorial's seed, 42, does not count
    page = (finished.results / "report.html").read_text(encoding="utf-8")
    text = re.sub(r'src="data:[^"]*"', "", page)  # without the figures
    of_precision = claims["claim"].str.startswith("vanilla-relu-dies").sum()
    assert of_precision == 2
    assert text.count("would decide it") == 2 * len(claims) + of_precision  # on a card, in a table, as an answer
