import asyncio
import gc
import os
import signal
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bnpipe.core.digests import PACKAGE
from bnpipe.core.errors import InputError
from bnpipe.core.signals import STOPS
from bnpipe.grid.internals import (
    all_cores,
    check_interpreter,
    configuration_of_command_line,
    folder_of_rules,
    guard_slurm,
    is_module,
    lineage_of,
    quote_interpreter,
    stop_when_hung_up,
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
    inputs = ["results/{condition}.csv", f"{ROOT}/bnpipe/report/templates/page.css", "/home/me/images"]
    general = Rule("figure", "results/tanh.svg", inputs, {"condition": "tanh"})
    workflow = SimpleNamespace(rules=[general, Rule("other", "results/other.svg", [])])
    lineage = lineage_of(workflow, "digits", ROOT)
    assert lineage(None, ["results/tanh.svg", "config.yaml"]) == {
        "results/tanh.svg": {
            "rule": "figure",
            "code_sha256": "digest of figure",
            "made_from": ["results/tanh.csv", "bnpipe/report/templates/page.css", "images"],
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


def test_on_a_cluster_the_path_of_python_must_need_no_quotes(monkeypatch: pytest.MonkeyPatch) -> None:
    local, cluster = SimpleNamespace(local_exec=True), SimpleNamespace(local_exec=False)
    check_interpreter(cluster)
    monkeypatch.setattr("sys.executable", "/my project/.venv/bin/python")
    check_interpreter(local)
    with pytest.raises(InputError, match=r"^/my project/\.venv/bin/python: expected a path without blanks and quotes"):
        check_interpreter(cluster)


def test_a_script_is_run_by_a_python_whose_path_has_blanks(monkeypatch: pytest.MonkeyPatch) -> None:
    from snakemake.script import PythonScript

    commands: list[str] = []
    monkeypatch.setattr("snakemake.script.shell", lambda command, **_: commands.append(command))
    monkeypatch.setattr(PythonScript, "_execute_cmd", PythonScript._execute_cmd)
    quote_interpreter()
    script = SimpleNamespace(container_img=None, conda_env=None, env_modules=None)
    attributes = ("bench_record", "conda_base_path", "shadow_dir", "singularity_args", "resources", "threads")
    for name in (*attributes, "runtime_paths"):
        setattr(script, name, None)
    script._execute_cmd = lambda *parts, **named: PythonScript._execute_cmd(script, *parts, **named)
    PythonScript.execute_script(script, "a.py")
    assert commands == ["{py_exec:q} {fname:q}"]


@pytest.fixture
def _signals_as_they_were() -> object:
    before = {number: signal.getsignal(number) for number in STOPS}
    for number in STOPS:
        signal.signal(number, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("_signals_as_they_were")
@pytest.mark.parametrize("stop", STOPS)
def test_before_there_are_jobs_a_signal_ends_snakemake_by_an_exception(stop: signal.Signals) -> None:
    stop_when_hung_up()
    with pytest.raises(SystemExit) as end:
        os.kill(os.getpid(), stop)
    assert end.value.code == 128 + stop


@pytest.mark.usefixtures("_signals_as_they_were")
@pytest.mark.parametrize("stop", STOPS)
def test_a_signal_among_tasks_ends_snakemake_and_asyncio_has_nothing_to_print(
    stop: signal.Signals, caplog: pytest.LogCaptureFixture
) -> None:
    async def is_interrupted() -> None:
        os.kill(os.getpid(), stop)
        await asyncio.sleep(60)

    async def build_graph() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(is_interrupted())

    stop_when_hung_up()
    with pytest.raises(SystemExit) as end:
        asyncio.run(build_graph())
    gc.collect()  # asyncio prints a task's exception when the task is deleted
    assert end.value.code == 128 + stop
    assert caplog.text == ""


@pytest.mark.usefixtures("_signals_as_they_were")
def test_a_closed_terminal_is_as_sigterm_to_snakemake_whatever_it_is_doing() -> None:
    stop_when_hung_up()
    lock, told = threading.Lock(), threading.Event()

    def exit_gracefully(*_: object) -> None:
        with lock:
            told.set()

    signal.signal(signal.SIGTERM, exit_gracefully)
    with lock:  # what is interrupted holds the lock that the handler wants
        os.kill(os.getpid(), signal.SIGHUP)
    assert told.wait(timeout=10)


@pytest.mark.usefixtures("_signals_as_they_were")
def test_under_nohup_a_closed_terminal_is_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    stop_when_hung_up()
    os.kill(os.getpid(), signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
