"""A small grid that tests run with the commands of docs/operations.md and disturb."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.workplace import REPOSITORY, Workplace, copy_project

RUN_LIMIT = 240  # seconds, like all limits here; a quiet machine takes a tenth
WAIT_LIMIT = 120
CONDITIONS = ("relu", "tanh")
CONFIGURATION: dict[str, object] = {
    "seeds": [2000, 2001],
    "arms": ["batchnorm"],
    "conditions": {
        name: {"activation": name, "learning_rate": 0.01, "init_std": 0.1, "steps": 8_001} for name in CONDITIONS
    },
    "studies": {},
    "paper": None,
    "hidden_sizes": [20, 20, 20],
    "evaluation_interval": 300,
    "checkpoint_seconds": 1,
}
LEFT_BEHIND = re.compile(r"\.(partial|lock|checkpoint|unusable)$|^\.tmp")


class Grid(Workplace):
    """A copy of the project in which the documents' commands work. changes: changes to the configuration."""

    def __init__(self, folder: Path, dataset: str = "digits", **changes: object) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(folder)
        copy_project(folder)
        (folder / ".venv").symlink_to(sys.prefix)
        self.dataset = dataset
        self.configure(**{**CONFIGURATION, "dataset": dataset, **changes})

    @contextmanager
    def running(self, *before: str) -> Iterator["subprocess.Popen[bytes]"]:
        """Run the grid up to its tables. In the end, kill the main process if it still runs.

        before: a command that starts Snakemake, such as `nohup`.
        """
        command = [*before, ".venv/bin/snakemake", "--cores", "2", f"results/{self.dataset}/tables/accuracy.csv"]
        with (self.folder / "output").open("wb") as output:
            process = subprocess.Popen(
                command, cwd=self.folder, env=self.environment, stdout=output, stderr=output, start_new_session=True
            )
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def attempt(self) -> int:
        """Run the grid and return the exit status."""
        with self.running() as process:
            return process.wait(RUN_LIMIT)

    def finish(self) -> None:
        """Run the grid to its end."""
        assert self.attempt() == 0, self.output

    def unlock(self) -> None:
        """Unlock the folder as docs/operations.md says."""
        page = (REPOSITORY / "docs/operations.md").read_text(encoding="utf-8")
        found = re.search(r"`(\.venv/bin/snakemake --unlock[^`]*)`", page)
        assert found is not None
        subprocess.run(found[1].split(), cwd=self.folder, env=self.environment, timeout=WAIT_LIMIT, check=True)

    @property
    def results(self) -> Path:
        return self.folder / "results" / self.dataset

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(self.folder), "no_proxy": "*"}

    @property
    def output(self) -> str:
        """Return what the last run wrote to the terminal."""
        return (self.folder / "output").read_text(encoding="utf-8")

    @property
    def errors(self) -> list[str]:
        return [line for line in self.output.splitlines() if line.startswith("error: ")]

    @property
    def locks(self) -> list[Path]:
        """Return the files with which Snakemake locks the folder."""
        return list((self.folder / ".snakemake/locks").glob("*"))

    @property
    def checkpoints(self) -> list[Path]:
        return sorted(self.results.rglob("*.checkpoint"))

    @property
    def left_behind(self) -> list[str]:
        """Return the files among results and resources that interrupted writers have left behind."""
        files = (*self.results.rglob("*"), *(self.folder / "resources").rglob("*"))
        return [file.name for file in files if LEFT_BEHIND.search(file.name)]

    def tables(self) -> dict[str, bytes]:
        return {name: content for name, content in self.contents().items() if name.startswith("tables/")}

    @property
    def logs(self) -> list[str]:
        """Return the logs of both training jobs. A log is empty if its job has not started."""
        paths = [self.folder / f"logs/digits/train/{name}/batchnorm/seeds-2000-2001.log" for name in CONDITIONS]
        return [path.read_text(encoding="utf-8") if path.exists() else "" for path in paths]

    @property
    def first_steps(self) -> list[int]:
        """Return the step of each training job's first evaluation, which is 0 unless it resumed."""
        return [int(found[1]) for log in self.logs if (found := re.search(r": step (\d+) of", log))]

    def jobs(self) -> list[int]:
        """Return the processes of all running jobs, including those whose main process is gone."""
        scripts = f"{self.folder}/.snakemake/scripts/".encode()
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):  # it has ended in the meantime
                if scripts in path.read_bytes():
                    found.append(int(path.parent.name))
        return sorted(found)

    def kill_jobs(self, with_signal: signal.Signals = signal.SIGKILL) -> list[int]:
        """Send a signal to all jobs and return their processes."""
        reached = []
        for job in self.jobs():
            with suppress(ProcessLookupError):
                os.kill(job, with_signal)
                reached.append(job)
        return reached


def wait_until(condition: Callable[[], object], awaited: str) -> None:
    """Wait for a condition. Raises TimeoutError with the name of what was awaited if it takes too long."""
    end = time.monotonic() + WAIT_LIMIT
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {WAIT_LIMIT} s for {awaited}")
        time.sleep(0.02)
