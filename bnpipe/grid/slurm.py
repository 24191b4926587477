"""What Snakemake's plugin for Slurm lacks: a time limit for waiting, and a check of what is the name of a node."""

import subprocess
from collections.abc import Callable, Collection
from pathlib import Path
from time import monotonic, sleep

LIMIT = 4 * 3600.0  # seconds, like all times here; Slurm is seldom down for maintenance for longer
PATIENCE = 600.0  # before a warning; Snakemake asks at least every 180 s
INTERVAL = 60.0  # between checks
ANSWER_LIMIT = 60.0


class NodeNames(set[str]):
    """Names of lost nodes, which the plugin excludes from then on.

    The plugin asks `sacct`, which says `None assigned` for a job that is in the queue again. With that among the names,
    no more jobs could be submitted (plugin 2.8).
    """

    def add(self, name: str) -> None:
        if " " not in name:
            super().add(name)


def wait_in_vain(folder: Path, waited_for: Callable[[], Collection[str]], say: Callable[[str], None]) -> str:
    """Return a line that names the jobs once the run has waited for them in vain for `LIMIT` seconds.

    It waits in vain while Slurm has no job of this folder left or does not answer. After `PATIENCE` seconds ``say`` is
    called with a warning. waited_for: returns the names of the jobs whose end is not known yet.
    """
    start, said = monotonic(), False
    while True:
        sleep(INTERVAL)
        names, answer = waited_for(), jobs_of(folder)
        waited = monotonic() - start
        reason = "Slurm has not answered" if answer is None else f"Slurm has had no job of {folder}"
        if answer or not names:
            start, said = monotonic(), False
        elif waited >= LIMIT:
            return f"{reason} for {waited:.0f} s; waited for {', '.join(names)}"
        elif waited >= PATIENCE and not said:
            say(f"{reason} for {waited:.0f} s; waiting for {', '.join(names)} for {LIMIT - waited:.0f} s more")
            said = True


def jobs_of(folder: Path) -> list[str] | None:
    """Return the numbers of this user's jobs of a folder that are not over; None if Slurm does not answer."""
    command = ["squeue", "--me", "--noheader", "--format=%i %Z"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_LIMIT, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    jobs = [line.partition(" ") for line in answer.splitlines()]
    return [number for number, _, place in jobs if Path(place) == folder]
