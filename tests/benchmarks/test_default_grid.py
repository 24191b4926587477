from dataclasses import replace

import pytest

from benchmarks.default_grid import ARMS, CONDITIONS, settings_of
from bnpipe.core.settings import Arm
from bnpipe.core.yaml_files import read_yaml
from bnpipe.grid.config import parse_configuration
from bnpipe.grid.stacks import training_settings
from tests.workplace import REPOSITORY

CONFIGURATION = parse_configuration(read_yaml(REPOSITORY / "config.yaml"))


def test_conditions_and_arms_are_those_of_the_configuration() -> None:
    assert tuple(CONFIGURATION.arms) == ARMS
    assert list(CONFIGURATION.conditions) == list(CONDITIONS)


@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.parametrize("condition", CONDITIONS)
def test_settings_are_those_of_the_configuration(condition: str, arm: Arm) -> None:
    configured = training_settings(CONFIGURATION, CONFIGURATION.conditions[condition], arm)
    assert settings_of(condition, arm) == replace(configured, diagnostics=False)
