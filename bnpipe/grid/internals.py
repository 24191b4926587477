"""Everything in bnpipe that uses Snakemake's internals, which any new version may change.

Checked with Snakemake 9.20.0 and 9.27.1, and with version 2.8.0 of its plugin for Slurm; `pyproject.toml` admits no
other major versions. `workflow` is Snakemake's object of that name, which rules find among their globals.
"""

import asyncio
import logging
import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from threading import Thread, current_thread, main_thread
from time import sleep
from types import FrameType
from typing import Any

from bnpipe.core.errors import InputError
from bnpipe.core.paths import portable
from bnpipe.core.secrets import mask
from bnpipe.core.signals import STOPS
from bnpipe.grid.narrator import Narrator
from bnpipe.grid.slurm import NodeNames, wait_in_vain

GRACE = 300  # seconds for Snakemake to cancel its jobs and to end

Lineage = Callable[[Any, Iterable[str]], dict[str, dict[str, Any]]]


def is_module(workflow: Any) -> bool:
    """Return whether another workflow uses this one as a module and hands it its configuration."""
    return bool(workflow.modifier.skip_configfile)


def configuration_of_command_line(workflow: Any) -> tuple[list[Path], list[str], bool]:
    """Return the files of --configfile, the entries KEY=VALUE of --config, and whether they replace config.yaml.

    The entries are as the user wrote them. Snakemake's own reading turns false and null into text, and 061 into 61.
    """
    settings = workflow.config_settings
    return list(settings.configfiles), list(settings.config_args or ()), settings.replace_workflow_config


def hide_secrets(logger: logging.Logger) -> None:
    """Hide the secrets of URLs in what Snakemake logs: its header repeats the command with ``--config mirrors=...``."""
    logger.addFilter(_mask_record)


def _mask_record(record: logging.LogRecord) -> bool:
    record.msg = mask(record.msg) if isinstance(record.msg, str) else record.msg
    if hasattr(record, "cmd"):
        record.cmd = mask(record.cmd)
    return True


def narrate(workflow: Any, logger: logging.Logger) -> None:
    """Report a run in our own lines, unless it is a dry run, a job on a cluster, or was started with ``--verbose``.

    Handlers of logger plugins (``--logger``) and of log files stay as they are.
    """
    if workflow.output_settings.dryrun or workflow.output_settings.verbose or not workflow.is_main_process:
        return
    for handler in logger.handlers:
        if handler.name == "DefaultStreamHandler" and isinstance(handler, logging.StreamHandler):
            logger.removeHandler(handler)
            logger.addHandler(Narrator(handler))
            return


def folder_of_rules(workflow: Any) -> Path:
    """Return the folder of the file of rules that is being read.

    (`workflow.source_path` copies files to another place for each run, so what reads them would never be up to date.)
    """
    return Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).resolve()


def quote_interpreter() -> None:
    """Make Snakemake quote the path of Python when it runs a script, so that the path may contain blanks.

    (It builds the command from "{py_exec} {fname:q}"; ":q" is how it quotes.)
    """
    from snakemake.script import PythonScript  # imported here because `bnpipe.watch` does not need Snakemake

    execute = PythonScript._execute_cmd

    def execute_quoted(script: Any, command: str, **values: Any) -> Any:
        return execute(script, command.replace("{py_exec}", "{py_exec:q}"), **values)

    PythonScript._execute_cmd = execute_quoted


def check_interpreter(workflow: Any) -> None:
    """Raise InputError if jobs go to a cluster and Python's path would need quotes, which plugins do not add."""
    if not workflow.local_exec and shlex.quote(sys.executable) != sys.executable:
        raise InputError(
            f"{sys.executable}: expected a path without blanks and quotes, because jobs are sent to a cluster; "
            "move the project, delete .venv and run make install"
        )


def stop_when_hung_up() -> None:
    """Treat SIGHUP, which a closed terminal sends, like SIGTERM, unless it is ignored, as under `nohup`.

    After SIGTERM Snakemake waits for the jobs that run and removes its lock. It handles that signal only once it has
    built its graph of jobs. Until then both signals end it at once, but through an exception, so that the lock is
    removed.
    """
    if current_thread() is not main_thread():  # Snakemake was started by another program's thread
        return
    for number in STOPS:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _stop)


def _stop(number: int, frame: FrameType | None) -> None:
    handler = signal.getsignal(signal.SIGTERM)
    if not callable(handler) or handler is _stop:
        _exit(128 + number)
        return
    # Not called in this thread, because Snakemake's handler waits for a lock that the interrupted code may hold.
    Thread(target=handler, args=(signal.SIGTERM, frame), daemon=True).start()


def _exit(code: int) -> None:
    """Raise SystemExit at once, or in an event loop between two tasks, because asyncio prints what ends a task."""
    try:
        asyncio.get_running_loop().call_soon_threadsafe(sys.exit, code)
    except RuntimeError:  # there is no loop
        sys.exit(code)


def all_cores(workflow: Any) -> int:
    """Return the cores that Snakemake was given; 1 on a cluster, whose profile says what a job gets."""
    return workflow.resource_settings.cores or 1


def has_memory() -> bool:
    """Return whether Snakemake knows what anything in this folder was made with.

    It does not if the folder `.snakemake` was deleted, or if results were copied without it.
    """
    return Path(".snakemake/metadata").is_dir()


def lineage_of(workflow: Any, dataset: str, root: Path, without_records: bool = False) -> Lineage:
    """Return a function that tells a job where its inputs come from, as pages and provenance.json show it.

    dataset: its name in paths. root: the folder below which paths of the workflow's own files are given.
    without_records: leave out run records. The function returns, by the portable path of each input that a rule makes,
    `rule`, `code_sha256` and `made_from`: the portable paths of what that rule reads.
    """

    def lineage(wildcards: Any, input: Iterable[str]) -> dict[str, dict[str, Any]]:  # noqa: ARG001 - Snakemake's
        files = [str(file) for file in input if not (without_records and str(file).endswith(".safetensors"))]
        found = {portable(file, dataset): _made_by(workflow, file, dataset, root) for file in files}
        return {file: made for file, made in found.items() if made is not None}

    return lineage


def _made_by(workflow: Any, file: str, dataset: str, root: Path) -> dict[str, Any] | None:
    from snakemake.iocontainers import Wildcards  # imported here because `bnpipe.watch` does not need Snakemake

    makers = [rule for rule in workflow.rules if rule.is_producer(file)]
    if not makers:
        return None
    maker = min(makers, key=lambda rule: rule.has_wildcards())  # Snakemake too prefers a rule without wildcards
    inputs, *_ = maker.expand_input(Wildcards(fromdict=maker.get_wildcards(file)))
    made_from = [_without_machine(Path(portable(str(path), dataset)), root) for path in inputs]
    return {"rule": maker.name, "code_sha256": getattr(maker.params, "code", ""), "made_from": made_from}


def _without_machine(path: Path, root: Path) -> str:
    _, found, below = str(path).rpartition(f"{root}/")  # a storage plugin puts a folder before the whole path
    if found:
        return below
    return path.name if path.is_absolute() else str(path)


def guard_slurm(workflow: Any, say: Callable[[str], None], complain: Callable[[str], None]) -> None:
    """On Slurm, repair the plugin's list of lost nodes and start a thread that ends a run that waits in vain.

    The plugin waits forever for a job that Slurm has forgotten, and for all jobs once its last query has failed. Its
    list of lost nodes may contain what is not a node: see `bnpipe.grid.slurm.NodeNames`. say, complain: log a warning
    and an error.
    """
    if workflow.executor_plugin.name != "slurm":
        return
    executor = workflow.scheduler._executor
    executor._failed_nodes = NodeNames(getattr(executor, "_failed_nodes", ()))

    def waited_for() -> list[str]:
        return [", ".join(job.output) for job in list(workflow.scheduler.running) if not job.is_local]

    def limit_waiting() -> None:
        reason = wait_in_vain(Path.cwd(), waited_for, say)
        complain(f"error: {reason}; run the same command again")
        os.kill(os.getpid(), signal.SIGINT)
        sleep(GRACE)
        os._exit(1)  # the plugin is still asking Slurm

    Thread(target=limit_waiting, daemon=True).start()
