"""Studies are made if they are asked for, as a whole or in batches, and can be enlarged later."""

import json
import re
from pathlib import Path

import pandas as pd

from bnpipe.analysis.registry.family import FAMILY
from bnpipe.analysis.verdicts import seeds_needed, threshold
from tests.workplace import ALL_STUDIES, Workplace

ENTRANTS = [
    *("relu-batchnorm", "relu-vanilla", "relu-vanilla-he"),
    *("tanh-batchnorm", "tanh-batchnorm-1", "tanh-vanilla", "tanh-vanilla-xavier"),
]


def test_a_study_that_is_asked_for_is_made_alone(one_study: Workplace) -> None:
    assert (one_study.results / "figures/studies/regularization.png").is_file()
    assert not (one_study.results / "studies.html").exists()


def test_all_studies_decide_more_claims(finished_studies: Workplace, tmp_path: Path) -> None:
    results = finished_studies.results
    decided, more = (pd.read_csv(results / f"tables/{name}.csv") for name in ("claims", "all_claims"))
    assert set(decided["claim"]) < set(more["claim"])
    assert [*more["claim"]] == [claim.key for claim in FAMILY]  # all registered claims, in their order
    page = (results / "studies.html").read_text(encoding="utf-8")
    experiments = ("best_rate", "gradient_shift", "input_shift", "smoothness", "paper")
    assert re.findall(r'id="study-([^"]*)"', page) == [*ALL_STUDIES["studies"], *experiments]
    assert "None of the verdicts on the tutorial&#39;s claims" in page  # because few steps cannot decide any
    made = json.loads((results / "studies/provenance.json").read_text(encoding="utf-8"))["files"]
    assert made["results/digits/figures/studies/paper.svg"]["rule"] == "paper_figure"
    assert "results/digits/studies/paper/accuracy-vanilla.csv" in made
    tables = {name for about in made.values() for name in about.get("made_from", []) if name.endswith(".csv")}
    assert all((finished_studies.folder / name).is_file() for name in tables)
    workplace = finished_studies.copy(tmp_path)
    assert workplace.planned() == workplace.planned("studies") == {}


def test_seeds_that_were_seen_or_that_tuned_are_not_counted(finished_studies: Workplace) -> None:
    tables = finished_studies.results / "tables"
    claims, evidence = (pd.read_csv(tables / f"all_{name}.csv") for name in ("claims", "evidence"))
    assert set(pd.read_csv(tables / "runs.csv")["seed"]) == {42, 2000, 2001}
    assert set(evidence["seed"]) == {2000, 2001}
    assert set(evidence["claim"]) == set(claims["claim"])
    assert set(claims["n"]) == {2}


def test_every_claim_says_how_many_more_seeds_would_decide_it(finished_studies: Workplace) -> None:
    claims = pd.read_csv(finished_studies.results / "tables/all_claims.csv")
    first = threshold(1, len(FAMILY))
    for claim in claims.itertuples():
        needed = seeds_needed(2, max(int(str(claim.above)), int(str(claim.below))), first)
        assert str(claim.explanation).endswith(f"; {needed} more agreeing seeds would decide it")


def test_the_fair_comparison_trains_at_the_rates_that_its_tuning_chose(finished_studies: Workplace) -> None:
    folder = finished_studies.results / "studies/best_rate"
    tunings = pd.concat([pd.read_csv(path) for path in folder.glob("tuning-*.csv")])
    assert sorted(tunings["entrant"].unique()) == ENTRANTS
    assert set(tunings["seed"]) == {500}
    assert tunings["inside"].all()
    for entrant, tuning in tunings.groupby("entrant"):
        (best,) = tuning.loc[tuning["chosen"], "learning_rate"].unique()
        finals = pd.concat([pd.read_csv(path) for path in folder.glob(f"finals-{entrant}-seeds-*.csv")])
        assert sorted(finals["seed"]) == [42, 2000, 2001]
        assert set(finals["learning_rate"]) == {best}
    assert (finished_studies.results / "figures/best_rate.svg").is_file()  # made by the default target


def test_more_seeds_train_new_chunks_at_the_best_rates_alone(finished_studies: Workplace, tmp_path: Path) -> None:
    workplace = finished_studies.copy(tmp_path)
    workplace.configure(**ALL_STUDIES, seeds=4)  # chunks 42 2000 | 2001 2002 | 2003, of which 42 2000 exists
    planned = workplace.planned("studies")
    assert planned["tuned_runs"] == 2 * len(ENTRANTS)
    assert planned["trials"] == planned["tuning"] == 0
    workplace.configure(**ALL_STUDIES, seeds=1)
    assert workplace.planned("studies")["tuned_runs"] == 0


def test_more_seeds_of_a_study_train_the_new_ones_and_another_question_none(
    finished_studies: Workplace, tmp_path: Path
) -> None:
    workplace = finished_studies.copy(tmp_path)
    studies = ALL_STUDIES["studies"]
    changed = {**studies["learning_rate_and_init"], "about": "Which of two?"}
    workplace.configure(**{**ALL_STUDIES, "studies": {**studies, "learning_rate_and_init": changed}})
    assert workplace.planned("study_learning_rate_and_init") == {"study_figure": 1}
    workplace.configure(**ALL_STUDIES, seeds=3)  # 4 more runs for each arm; stacks of 6 hold the 12 that exist
    planned = workplace.planned("study_learning_rate_and_init")
    assert (planned["train"], planned["train_study"]) == (0, 2)


def test_a_study_made_in_batches_has_the_same_bytes(workplace: Workplace, finished_studies: Workplace) -> None:
    made = Path("studies/learning_rate_and_init")
    workplace.configure(**ALL_STUDIES)
    for number, trained in ((1, 2), (2, 4)):  # of four jobs
        workplace.run("study_learning_rate_and_init", "--batch", f"study_tables={number}/2")
        assert len(list((workplace.results / made).rglob("*.safetensors"))) == trained
    for path in (workplace.results / made).rglob("*"):
        whole = finished_studies.results / path.relative_to(workplace.results)
        assert path.is_dir() or path.read_bytes() == whole.read_bytes()
    assert (workplace.results / made / "summary.csv").is_file()
    assert workplace.planned("study_learning_rate_and_init") == {}
