"""What Snakemake's plugin for Slurm lacks: a limit to waiting, and the sense to tell nodes from other words."""

import subprocess
from collections.abc import Callable, Collection
from pathlib import Path
from time import monotonic, sleep

LIMIT = 4 * 3600.0  # seconds, as all here: longer than Slurm is mostly away for maintenance
PATIENCE = 600.0  # until it is worth a word; Snakemake asks every 180 s at the least
INTERVAL = 60.0  # between looks
ANSWER_LIMIT = 60.0


class NodeNames(set[str]):
    """Names of lost nodes, which the plugin excludes from then on.

    It asks `sacct`, which says `None assigned` of a job that is in the queue again: with that among them no job could
    be submitted any more (plugin 2.8).
    """

    def add(self, name: str) -> None:
        if " " not in name:
            super().add(name)


def wait_in_vain(folder: Path, waited_for: Callable[[], Collection[str]], say: Callable[[str], None]) -> str:
    """Return once jobs have been waited for in vain for `LIMIT` seconds: a line that names them.

    That is while Slurm has none of this folder left, or does not answer; it is said after `PATIENCE` seconds.
    waited_for: returns the names of the jobs whose end is not known yet.
    """
    start, said = monotonic(), False
    while True:
        sleep(INTERVAL)
        names, answer = waited_for(), jobs_of(folder)
        waited = monotonic() - start
        reason = "Slurm does not answer" if answer is None else f"Slurm has no job of {folder}"
        if answer or not names:
            start, said = monotonic(), False
        elif waited >= LIMIT:
            return f"{reason}, and has not for {waited:.0f} s; waited for {', '.join(names)}"
        elif waited >= PATIENCE and not said:
            say(f"{reason}; waiting for {', '.join(names)} for {LIMIT - waited:.0f} s more")
            said = True


def jobs_of(folder: Path) -> list[str] | None:
    """Return the numbers of this user's jobs of a folder that are not over; None where Slurm does not answer."""
    command = ["squeue", "--me", "--noheader", "--format=%i %Z"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_LIMIT, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    jobs = [line.partition(" ") for line in answer.splitlines()]
    return [number for number, _, place in jobs if Path(place) == folder]
