"""Made-up tables for the charts, and what tests read off a chart."""

import json
from typing import Any

import pandas as pd
import vl_convert

from bnpipe.report.page import VEGA_LITE

CONDITIONS, ARMS = ["relu", "a'b\\"], ["vanilla", "batchnorm"]


def accuracy_table(conditions: list[str] = CONDITIONS, seeds: int = 3) -> pd.DataFrame:
    """Return three evaluations of each run; the first loss is not known."""
    rows = [
        (condition, arm, 42 + seed, step, 0.5 + step / 1000, None if step == 0 else 1 / step)
        for condition in sorted(conditions)
        for arm in sorted(ARMS)
        for seed in range(seeds)
        for step in (0, 60, 120)
    ]
    return pd.DataFrame(rows, columns=["condition", "arm", "seed", "step", "accuracy", "loss"])


def runs_table(seeds: int = 2) -> pd.DataFrame:
    """Return the runs of a study of two settings."""
    rows = [
        {"learning_rate": rate, "normalize_logits": logits, "arm": arm, "seed": 42 + seed, "final_accuracy": rate / 10}
        for arm in ARMS
        for rate in (10.0, 0.5)
        for logits in (True, False)
        for seed in range(seeds)
    ]
    return pd.DataFrame(rows).assign(
        best_accuracy=0.9,
        test_accuracy=0.9,
        area_under_curve=0.5,
        steps_to_90=None,
        final_training_loss=0.1,
        state="dead",
    )


def drawn(spec: Any, **changed: Any) -> list[str]:
    """Return the drawing of a chart with other values of its parameters, line by line of its marks."""
    params = [{**param, "value": changed.get(param["name"], param.get("value"))} for param in spec["params"]]
    plain = [{key: value for key, value in param.items() if value is not None} for param in params]
    svg = vl_convert.vegalite_to_svg(json.dumps({**spec, "params": plain}), vl_version=VEGA_LITE)
    return svg.split("<path")


def inputs(spec: Any) -> dict[str, dict[str, Any]]:
    """Return the inputs of a chart by the names of their parameters."""
    return {param["name"]: param["bind"] for param in spec["params"] if isinstance(param.get("bind"), dict)}
