import math
from typing import Any

import pytest

from bnpipe.analysis.measures import landscape
from tests.analysis.measures.made_up import sources, values


@pytest.mark.parametrize(("table", "column"), landscape.COLUMNS.items())
def test_change_is_averaged_geometrically_over_layers_and_steps(table: str, column: str) -> None:
    changes: dict[tuple[str, int], tuple[float, ...]] = {
        ("vanilla", 1): (1.0, 16.0),
        ("batchnorm", 1): (1.0, 4.0),
        ("vanilla", 2): (1.0, math.inf),
        ("batchnorm", 2): (1.0, 4.0),
        ("vanilla", 3): (1.0, math.nan),
        ("batchnorm", 3): (1.0, 4.0),
    }
    rows: list[tuple[Any, ...]] = [
        ("tanh", arm, seed, step, value)
        for (arm, seed), several in changes.items()
        for step, value in enumerate(several)
    ]
    rows.append(("relu", "vanilla", 1, 0, 99.0))
    found = landscape.less_change(sources(table, f"condition arm seed step {column}", rows), table, "tanh")
    assert values(found) == pytest.approx({1: math.log(2), 2: math.inf, 3: math.nan}, nan_ok=True)
