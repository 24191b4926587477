"""Studies: made when they are asked for, as a whole or in batches, and enlarged later."""

import json
from pathlib import Path

import pandas as pd

from tests.workplace import CONFIGURATION, Workplace


def test_a_study_that_is_asked_for_is_made_alone(one_study: Workplace) -> None:
    assert (one_study.results / "figures/studies/regularization.png").is_file()
    assert not (one_study.results / "studies.html").exists()


def test_all_studies_decide_more_claims(finished_studies: Workplace, tmp_path: Path) -> None:
    results = finished_studies.results
    decided, more = (pd.read_csv(results / f"tables/{name}.csv") for name in ("claims", "all_claims"))
    assert set(decided["claim"].astype(str)) < set(more["claim"].astype(str))
    assert {"2 tanh", "4", "5", "6a", "8 few"} <= set(more["claim"].astype(str))
    page = (results / "studies.html").read_text(encoding="utf-8")
    for name in (
        "precision",
        "learning_rate_and_init",
        "regularization",
        "gradient_shift",
        "input_shift",
        "smoothness",
        "paper",
    ):
        assert f'id="study-{name}"' in page
    made = json.loads((results / "studies/provenance.json").read_text(encoding="utf-8"))["files"]
    assert made["results/digits/figures/studies/paper.svg"]["rule"] == "paper_figure"
    assert "results/digits/studies/paper/accuracy-vanilla.csv" in made
    tables = {name for about in made.values() for name in about.get("made_from", []) if name.endswith(".csv")}
    assert all((finished_studies.folder / name).is_file() for name in tables)
    assert finished_studies.copy(tmp_path).planned() == {}  # of the default target


def test_more_seeds_of_a_study_train_the_new_ones_and_another_question_none(
    finished_studies: Workplace, tmp_path: Path
) -> None:
    workplace = finished_studies.copy(tmp_path)
    study = CONFIGURATION["studies"]["learning_rate_and_init"]
    changed = {**study, "about": "Which of two?"}
    workplace.configure(studies={**CONFIGURATION["studies"], "learning_rate_and_init": changed})
    assert workplace.planned("study_learning_rate_and_init") == {"study_figure": 1}
    workplace.configure(seeds=4)  # 4 runs more for each arm; stacks of 6 hold the 12 that are there
    planned = workplace.planned("study_learning_rate_and_init")
    assert (planned["train"], planned["train_study"]) == (0, 2)


def test_a_study_made_in_batches_has_the_same_bytes(workplace: Workplace, finished_studies: Workplace) -> None:
    made = Path("studies/learning_rate_and_init")
    for number, trained in ((1, 2), (2, 4)):  # of four jobs
        workplace.run("study_learning_rate_and_init", "--batch", f"study_tables={number}/2")
        assert len(list((workplace.results / made).rglob("*.safetensors"))) == trained
    for path in (workplace.results / made).rglob("*"):
        whole = finished_studies.results / path.relative_to(workplace.results)
        assert path.is_dir() or path.read_bytes() == whole.read_bytes()
    assert (workplace.results / made / "summary.csv").is_file()
    assert workplace.planned("study_learning_rate_and_init") == {}
