"""Coverage of the 95% intervals on simulated samples, BCa beside Student's: how much the verdicts can be trusted.

A row of the result is one distribution, sample size and interval: `distribution`, `n`, `interval`, `coverage` (share of
samples whose interval holds the true mean), `above` and `below` (shares whose interval lies wholly on that side of it:
where the true effect is the smallest that matters, `above` would support a claim and `below` refute it).
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnpipe.analysis.stats import estimate_mean
from bnpipe.analysis.verdicts import bca_interval

SAMPLES = 4000  # of each kind: a standard error of 0.4 points
RESAMPLES = 9999  # a tenth of what verdicts take: enough where only averages are looked at
SIZES = (10, 20, 30)
DISTRIBUTIONS: dict[str, Callable[[np.random.Generator, tuple[int, int]], NDArray[np.float64]]] = {
    "normal": lambda rng, shape: rng.normal(0, 1, shape),
    "exponential (skewness 2)": lambda rng, shape: rng.exponential(1, shape) - 1,
}


def measure(samples: int, sizes: tuple[int, ...]) -> list[dict[str, Any]]:
    """Simulate samples of every kind, true mean 0, and return the rows."""
    rows = []
    for distribution, draw in DISTRIBUTIONS.items():
        for n in sizes:
            rng = np.random.default_rng(n)
            drawn = draw(rng, (samples, n))
            bca = [bca_interval(sample, rng, resamples=RESAMPLES) for sample in drawn]
            student = [estimate_mean(sample)[2:] for sample in drawn]
            for interval, ends in (("BCa", bca), ("Student", student)):
                low, high = np.array(ends).T
                shares = {"coverage": (low <= 0) & (high >= 0), "above": low > 0, "below": high < 0}
                row = {"distribution": distribution, "n": n, "interval": interval}
                rows.append(row | {name: float(np.mean(share)) for name, share in shares.items()})
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Lay the rows out as a Markdown table."""
    lines = ["| distribution | n | interval | coverage | above | below |", "|---|---:|---|---:|---:|---:|"]
    for row in rows:
        shares = " | ".join(f"{row[name]:.1%}" for name in ("coverage", "above", "below"))
        lines.append(f"| {row['distribution']} | {row['n']} | {row['interval']} | {shares} |")
    return "\n".join(lines)


def main(results: Path) -> None:
    """Simulate, print the table, write the JSON."""
    rows = measure(SAMPLES, SIZES)
    results.mkdir(parents=True, exist_ok=True)
    (results / "coverage.json").write_text(json.dumps(rows, indent=1) + "\n")
    print(table(rows))


if __name__ == "__main__":
    main(Path(__file__).parent / "results")
