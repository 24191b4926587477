"""Write what `benchmarks.gpu` finds, section by section, to a file that is complete at every moment."""

import importlib
import json
import math
import signal
import traceback
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple


class SkippedError(Exception):
    """A section has nothing to do here; the message says why."""


class OutOfTimeError(Exception):
    """A section has taken as long as it may."""


class Section(NamedTuple):
    """A part of a command."""

    name: str
    module: str  # the module in benchmarks that has the function; imported late, because it imports PyTorch
    function: str  # takes the `Setup` of `benchmarks.gpu_setup` and `Notes`
    least: float  # it starts only if this many seconds are left
    most: float  # it is ended after this many seconds


class Notes:
    """The results so far, in a file that always holds all of them."""

    def __init__(self, path: Path, about: dict[str, Any]) -> None:
        self._path = path
        self._deadline = math.inf
        self.found: dict[str, Any] = {**about, "checks": [], "measurements": {}, "sections": []}

    def check(self, name: str, value: float, limit: float, **details: Any) -> None:
        """Note a number that must not be above its limit. Nan never passes."""
        passed = bool(value <= limit)
        shown = value if math.isfinite(value) else str(value)  # JSON has no nan or infinity
        self.found["checks"].append({"name": name, "passed": passed, "value": shown, "limit": limit, **details})
        self._tell(f"{'ok    ' if passed else 'FAILED'} {name}: {value:.3g} (limit {limit:.3g})")

    def measure(self, name: str, **row: Any) -> None:
        """Note a row of a measurement."""
        self.found["measurements"].setdefault(name, []).append(row)
        cells = (f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}" for key, value in row.items())
        self._tell(f"       {name}: {', '.join(cells)}")

    def seconds_left(self) -> float:
        """Return how many seconds the running section may still take."""
        return self._deadline - monotonic()

    def run(self, section: Section, setup: Any, left: float) -> None:
        """Run a section unless too little time is left, and note how it ended."""
        start = monotonic()
        self._deadline = start + min(section.most, left)
        ended: dict[str, Any] = {"status": "done"}
        try:
            if left < section.least:
                raise SkippedError(f"needs {section.least:.0f} s, but {max(left, 0):.0f} s of the budget are left")
            signal.setitimer(signal.ITIMER_REAL, min(section.most, left))
            try:
                module = importlib.import_module(f"benchmarks.{section.module}")
                getattr(module, section.function)(setup, self)
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
        except SkippedError as skipped:
            ended = {"status": "skipped", "reason": str(skipped)}
        except Exception as error:  # the other sections must still run
            told = "".join(traceback.format_exception(error))
            ended = {"status": "failed", "reason": f"{type(error).__name__}: {error}", "traceback": told}
        seconds = round(monotonic() - start, 2)
        self.found["sections"].append({"name": section.name, **ended, "seconds": seconds})
        reason = f" ({ended['reason']})" if "reason" in ended else ""
        self._tell(f"{ended['status'].upper():6} section {section.name}, {seconds} s{reason}")

    def finish(self, seconds: float) -> int:
        """Note the end and return the exit status."""
        self.found["seconds"] = round(seconds, 1)
        checks, sections = self.found["checks"], self.found["sections"]
        bad = [check["name"] for check in checks if not check["passed"]]
        broken = [section["name"] for section in sections if section["status"] == "failed"]
        skipped = [section["name"] for section in sections if section["status"] == "skipped"]
        lists = (("failed checks", bad), ("failed sections", broken), ("skipped sections", skipped))
        told = "".join(f"; {what}: {', '.join(names)}" for what, names in lists if names)
        self._tell(f"{len(checks)} checks in {seconds:.0f} s, written to {self._path}{told}")
        return int(bool(bad or broken))

    def _tell(self, line: str) -> None:
        """Print a line and write the file atomically."""
        print(line, flush=True)
        partial = self._path.with_name(f".{self._path.name}.partial")
        partial.write_text(json.dumps(self.found, indent=1, default=float) + "\n", encoding="utf-8")
        partial.replace(self._path)


def out_of_time(*_: object) -> None:
    """Raise OutOfTimeError. The alarm of a section calls this."""
    raise OutOfTimeError("took longer than it may")
