"""What makes a finished workflow run again, and how much of it."""

import pytest

from tests.workplace import CONFIGURATION, Workplace


def change_code(workplace: Workplace, module: str) -> None:
    with (workplace.folder / f"bnpipe/{module}.py").open("a", encoding="utf-8") as file:
        file.write("\n# changed\n")


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


def test_of_many_conditions_all_are_trained_and_the_first_are_shown(workplace: Workplace) -> None:
    conditions = {f"c{number}": CONFIGURATION["conditions"]["tanh"] for number in range(30)}
    workplace.configure(conditions=conditions)
    planned = workplace.planned()
    assert (planned["train"], planned["condition_figures"]) == (30 * 2 * 2, 30)
    reported = workplace.planned(f"{workplace.results.relative_to(workplace.folder)}/report.html")
    assert reported["condition_figures"] == 20


def test_more_seeds_train_new_chunks_alone(workplace: Workplace) -> None:
    workplace.configure(seeds=4)  # chunks 42 2000 | 2001 2002 | 2003, of which 42 2000 exists
    assert workplace.planned()["train"] == 2 * 2 * 2
    workplace.configure(seeds=1)
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
    change_code(workplace, module)
    assert set(workplace.planned()) == rules


@pytest.mark.parametrize(("module", "trains"), [("analysis/tables", False), ("networks/compiled", True)])
def test_a_change_of_tables_trains_nothing_and_one_of_networks_trains_all(
    workplace: Workplace, module: str, trains: bool
) -> None:
    training = {"train", "train_study", "inference", "initialization", "mechanics", "activations"}
    change_code(workplace, module)
    planned = set(workplace.planned())
    assert planned & training == (training if trains else set())
    assert {"tables", "claims", "report"} <= planned


def test_code_that_is_newer_with_the_same_content_runs_nothing(workplace: Workplace) -> None:
    for file in (workplace.folder / "bnpipe").rglob("*.py"):
        file.touch()
    assert workplace.planned() == {}
