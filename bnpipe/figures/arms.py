"""How each arm is drawn, in figures and in the charts of pages: its colour, line style and marker.

This module imports no drawing code: a page that uses the same colours as the figures must not depend on how figures
are drawn.
"""

from typing import Any, get_args

from bnpipe.core.settings import Arm

# Colours of the palettes of Okabe & Ito and of Paul Tol. Line styles and markers tell the arms apart without colour.
COLOURS = {
    "vanilla": "#D55E00",
    "batchnorm": "#0072B2",
    "layernorm": "#009E73",
    "groupnorm": "#E69F00",
    "rmsnorm": "#CC79A7",
    "weightnorm": "#000000",
    "firstbatch": "#882255",
    "noisybatchnorm": "#56B4E9",
}
LINE_STYLES: dict[str, Any] = {
    "vanilla": (0, (4, 1.5)),
    "batchnorm": "solid",
    "layernorm": (0, (1, 1)),
    "groupnorm": (0, (5, 1.5, 1, 1.5)),
    "rmsnorm": (0, (5, 1, 1, 1, 1, 1)),
    "weightnorm": (0, (9, 2)),
    "firstbatch": (0, (3, 1)),
    "noisybatchnorm": (0, (7, 1.5, 2, 1.5)),
}
MARKERS = {
    "vanilla": "s",
    "batchnorm": "o",
    "layernorm": "^",
    "groupnorm": "D",
    "rmsnorm": "v",
    "weightnorm": "P",
    "firstbatch": "X",
    "noisybatchnorm": "<",
}

# Colour, line style and marker of arms that are not named above: normalizers that a user has added.
SPARES = [("#777777", (0, (1, 2)), ">"), ("#332288", (0, (2, 2, 6, 2)), "d"), ("#117733", (0, (6, 4)), "p")]
for _arm, _spare in zip([name for name in get_args(Arm) if name not in COLOURS], SPARES, strict=False):
    COLOURS[_arm], LINE_STYLES[_arm], MARKERS[_arm] = _spare
