"""A small grid that is run by the commands of docs/operations.md and disturbed."""

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

RUN_LIMIT = 240  # seconds, as all limits here; a quiet machine takes a tenth
WAIT_LIMIT = 120
CONDITIONS = ("relu", "tanh")
CONFIGURATION: dict[str, object] = {
    "seeds": [2000, 2001],
    "arms": ["batchnorm"],
    "conditions": {
        name: {"activation": name, "learning_rate": 0.01, "init_std": 0.1, "steps": 12_001} for name in CONDITIONS
    },
    "studies": {},
    "paper": None,
    "hidden_sizes": [20, 20, 20],
    "evaluation_interval": 300,
    "checkpoint_seconds": 1,
}
LEFT_BEHIND = re.compile(r"\.(partial|lock|checkpoint|unusable)$|^\.tmp")


class Grid(Workplace):
    """A copy of the project in which the documents' commands work; changes: of the configuration."""

    def __init__(self, folder: Path, dataset: str = "digits", **changes: object) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(folder)
        copy_project(folder)
        (folder / ".venv").symlink_to(sys.prefix)
        self.dataset = dataset
        self.configure(**{**CONFIGURATION, "dataset": dataset, **changes})

    @contextmanager
    def running(self, *before: str) -> Iterator["subprocess.Popen[bytes]"]:
        """Run the grid, as far as its tables; in the end kill the main process if it still runs.

        before: a command that starts this one.
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
        """Run the grid; return the exit status."""
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
        """What the last run wrote to the terminal."""
        return (self.folder / "output").read_text(encoding="utf-8")

    @property
    def errors(self) -> list[str]:
        return [line for line in self.output.splitlines() if line.startswith("error: ")]

    @property
    def locks(self) -> list[Path]:
        """Return the files by which Snakemake locks the folder."""
        return list((self.folder / ".snakemake/locks").glob("*"))

    @property
    def checkpoints(self) -> list[Path]:
        return sorted(self.results.rglob("*.checkpoint"))

    @property
    def left_behind(self) -> list[str]:
        """What interrupted writers may leave, among results and resources."""
        files = (*self.results.rglob("*"), *(self.folder / "resources").rglob("*"))
        return [file.name for file in files if LEFT_BEHIND.search(file.name)]

    def tables(self) -> dict[str, bytes]:
        return {name: content for name, content in self.contents().items() if name.startswith("tables/")}

    @property
    def logs(self) -> list[str]:
        """Return the logs of both training jobs, empty where they have not begun."""
        paths = [self.folder / f"logs/digits/train/{name}/batchnorm/seeds-2000-2001.log" for name in CONDITIONS]
        return [path.read_text(encoding="utf-8") if path.exists() else "" for path in paths]

    @property
    def first_steps(self) -> list[int]:
        """Return the first step that each training job evaluated after: 0, but where it resumed."""
        return [int(found[1]) for log in self.logs if (found := re.search(r": step (\d+) of", log))]

    def jobs(self) -> list[int]:
        """Return the processes of the jobs that run now, those too that lost their main process."""
        scripts = f"{self.folder}/.snakemake/scripts/".encode()
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):  # it has ended meanwhile
                if scripts in path.read_bytes():
                    found.append(int(path.parent.name))
        return sorted(found)

    def kill_jobs(self, with_signal: signal.Signals = signal.SIGKILL) -> list[int]:
        """Send a signal to all jobs; return their processes."""
        reached = []
        for job in self.jobs():
            with suppress(ProcessLookupError):
                os.kill(job, with_signal)
                reached.append(job)
        return reached


def wait_until(condition: Callable[[], object], awaited: str) -> None:
    """Wait for a condition. Raises TimeoutError that names what was awaited."""
    end = time.monotonic() + WAIT_LIMIT
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {WAIT_LIMIT} s for {awaited}")
        time.sleep(0.02)
