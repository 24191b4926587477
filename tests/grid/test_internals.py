from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bnpipe.core.digests import PACKAGE
from bnpipe.grid.internals import (
    all_cores,
    configuration_of_command_line,
    folder_of_rules,
    guard_slurm,
    is_module,
    lineage_of,
)
from bnpipe.grid.slurm import NodeNames

ROOT = Path("/somewhere/bnpipe")


class Rule:
    """As much of a rule of Snakemake's as is asked for."""

    def __init__(self, name: str, output: str, inputs: list[str], wildcards: dict[str, str] | None = None) -> None:
        self.name = name
        self.params = SimpleNamespace(code=f"digest of {name}")
        self._output = output
        self._inputs = inputs
        self._wildcards = wildcards or {}

    def is_producer(self, file: str) -> bool:
        return file == self._output

    def has_wildcards(self) -> bool:
        return bool(self._wildcards)

    def get_wildcards(self, _: str) -> dict[str, str]:
        return self._wildcards

    def expand_input(self, wildcards: Any) -> tuple[list[str], dict[str, str]]:
        return [file.format(**dict(wildcards.items())) for file in self._inputs], {}


def test_lineage_names_rule_code_and_what_it_read_without_the_machine() -> None:
    inputs = ["results/{condition}.csv", f"{ROOT}/workflow/report/page.css", "/home/me/images"]
    general = Rule("figure", "results/tanh.svg", inputs, {"condition": "tanh"})
    workflow = SimpleNamespace(rules=[general, Rule("other", "results/other.svg", [])])
    lineage = lineage_of(workflow, "digits", ROOT)
    assert lineage(None, ["results/tanh.svg", "config.yaml"]) == {
        "results/tanh.svg": {
            "rule": "figure",
            "code_sha256": "digest of figure",
            "made_from": ["results/tanh.csv", "workflow/report/page.css", "images"],
        }
    }
    workflow.rules.append(Rule("special", "results/tanh.svg", []))  # one without wildcards goes first
    assert lineage(None, ["results/tanh.svg"])["results/tanh.svg"]["rule"] == "special"


def test_a_module_is_told_from_a_workflow_of_its_own() -> None:
    for skip in (False, True):
        assert is_module(SimpleNamespace(modifier=SimpleNamespace(skip_configfile=skip))) is skip


@pytest.mark.parametrize("entries", [["seeds=3", "tf32=false"], None])
def test_the_configuration_of_the_command_line_is_as_the_user_wrote_it(entries: list[str] | None) -> None:
    from snakemake.cli import parse_config
    from snakemake.settings.types import ConfigSettings

    settings = ConfigSettings(config=parse_config(entries), config_args=entries, replace_workflow_config=True)
    found = configuration_of_command_line(SimpleNamespace(config_settings=settings))
    assert found == ([], entries or [], True)


def test_without_a_number_of_cores_there_is_one() -> None:
    assert [all_cores(SimpleNamespace(resource_settings=SimpleNamespace(cores=n))) for n in (8, None)] == [8, 1]


def test_the_folder_of_the_rules_is_absolute() -> None:
    basedir = SimpleNamespace(get_path_or_uri=lambda **_: str(PACKAGE))
    assert folder_of_rules(SimpleNamespace(current_basedir=basedir)) == PACKAGE


def test_only_slurm_is_guarded_and_its_list_of_lost_nodes_mended(monkeypatch: pytest.MonkeyPatch) -> None:
    guards: list[bool] = []
    thread = SimpleNamespace(start=lambda: guards.append(True))
    monkeypatch.setattr("bnpipe.grid.internals.Thread", lambda **_: thread)

    def workflow(plugin: str) -> Any:
        executor = SimpleNamespace(_failed_nodes={"node1"})
        scheduler = SimpleNamespace(_executor=executor, running=[])
        return SimpleNamespace(executor_plugin=SimpleNamespace(name=plugin), scheduler=scheduler)

    local, slurm = workflow("local"), workflow("slurm")
    for each in (local, slurm):
        guard_slurm(each, say=lambda _: None, complain=lambda _: None)
    assert type(local.scheduler._executor._failed_nodes) is set
    nodes = slurm.scheduler._executor._failed_nodes
    assert isinstance(nodes, NodeNames)
    nodes.add("None assigned")
    assert nodes == {"node1"}
    assert guards == [True]
