"""What goes on in the layers: saturation, death, gradients and representations.

Tables, besides `seed`:

layers          condition, arm, step, layer, saturated
precision       precision, arm, state: the study of this name, vanilla relu networks from std 1
initialization  condition, arm, gradient_slope, orthogonality_gap: of networks before their first step
"""

import pandas as pd

from bnpipe.analysis.measures.sources import Sources, by_arm, lead, measured, outcome, strict_means


def saturated(sources: Sources) -> pd.DataFrame:
    """Take the share of saturated hidden outputs of tanh from std 1, vanilla minus batchnorm, mean over training.

    The mean is over all evaluations and hidden layers; it is unknown if an output of one of them is not finite.
    """
    condition = sources.condition(activation="tanh", learning_rate=0.01, init_std=1)
    layers = sources.rows("layers", "step", "layer", "saturated", condition=condition)
    hidden = layers[layers["layer"] < layers["layer"].max()]
    return measured(-lead(strict_means(hidden, "saturated")))


def dies_first(sources: Sources, precision: str) -> pd.DataFrame:
    """Note whether the first thing that goes wrong with vanilla relu from std 1 is a dead layer.

    A dead layer passes no gradient down and a constant up, so a network stays finite if a layer dies first. The
    outcome is therefore 1 if the network stays finite and ends with a dead layer, and -1 if a number stopped being
    finite or no layer died. It is unknown if the run was trained without diagnostics.
    """
    runs = sources.rows("precision", "state", arms=["vanilla"], precision=precision).set_index("seed")
    return outcome(runs["state"] == "dead", runs["state"] != "unknown")


def isometric_gradients(sources: Sources, activation: str) -> pd.DataFrame:
    """Take the absolute slope of the log squared gradient over depth, vanilla minus batchnorm, from std 0.1."""
    condition = sources.condition(activation=activation, init_std=0.1)
    networks = sources.rows("initialization", "gradient_slope", condition=condition)
    return measured(-lead(by_arm(networks, "gradient_slope").abs()))


def orthogonal(sources: Sources, activation: str) -> pd.DataFrame:
    """Take the orthogonality gap of the last hidden layer, vanilla minus batchnorm, from std 0.1."""
    condition = sources.condition(activation=activation, init_std=0.1)
    networks = sources.rows("initialization", "orthogonality_gap", condition=condition)
    return measured(-lead(by_arm(networks, "orthogonality_gap")))
