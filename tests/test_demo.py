"""The configuration of `make demo` is quick, and it can decide claims."""

import math

from bnpipe.analysis.registry.family import FAMILY
from bnpipe.analysis.verdicts import LEVEL, e_value, threshold
from bnpipe.core.settings import FRESH_SEED
from bnpipe.core.yaml_files import read_yaml
from bnpipe.grid.config import parse_configuration
from bnpipe.grid.plan import Plan
from tests.workplace import REPOSITORY

CONFIGURATION = parse_configuration(read_yaml(REPOSITORY / "demo/config.yaml"))


def test_its_seeds_decide_a_claim_if_they_agree() -> None:
    fresh = [seed for seed in CONFIGURATION.seeds if seed >= FRESH_SEED]
    assert e_value(len(fresh), len(fresh)) >= threshold(1, len(FAMILY), LEVEL)


def test_it_is_as_small_as_it_says() -> None:
    plan = Plan(CONFIGURATION, "digits", "digits")
    runs = len(CONFIGURATION.seeds) * len(CONFIGURATION.arms) * len(CONFIGURATION.conditions)
    assert f": {runs} networks," in (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    steps = math.fsum(condition.steps for condition in CONFIGURATION.conditions.values())
    assert steps * len(CONFIGURATION.seeds) * len(CONFIGURATION.arms) < 20_000  # about 20 s on one core
    assert len(plan.figures) < 10
    assert plan.configuration.dataset == "digits"
