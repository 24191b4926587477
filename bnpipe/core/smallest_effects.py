"""The smallest effects that would matter, as the analysis plan registers them: the configuration's defaults.

They are here because the configuration, the registry of claims and the plan's document all need them.
"""

from typing import Literal, NamedTuple

Unit = Literal[
    "ratio",  # values are its natural logarithm
    "points",  # a share of images or units; differences are read in percentage points
    "decades",  # of learning rate
    "share",  # of something named; read in percent
    "gap",  # a number without unit
    "outcome",  # 1 if the outcome is as claimed, -1 if not; no smallest effect of the configuration has it
]


class SmallestEffect(NamedTuple):
    """The smallest effect that would matter in one measure."""

    size: float  # as the configuration holds it: a ratio, not its logarithm
    unit: Unit
    meaning: str
    reason: str  # why this size


SMALLEST_EFFECTS = {
    "steps_ratio": SmallestEffect(
        1.2, "ratio", "Ratio of the steps, or times, to 90%.", "a sixth fewer steps: less would not justify a change"
    ),
    "final_accuracy": SmallestEffect(
        0.05, "points", "Difference between final accuracies.", "5 points: the seeds of a condition differ by up to 5"
    ),
    "saturated_units": SmallestEffect(
        0.1, "points", "Difference between shares of saturated units.", "10 points: one unit of ten"
    ),
    "steadiness_ratio": SmallestEffect(
        1.2, "ratio", "Ratio of the spreads of accuracy about its trend.", "as steps_ratio: visible in a plot"
    ),
    "batch_statistics": SmallestEffect(
        0.01, "points", "Accuracy lost to the statistics of an evaluation batch.", "one point: 50 of 5,000 images"
    ),
    "accuracy_spread": SmallestEffect(
        0.05, "points", "Difference between spreads of accuracy over initializations.", "as final_accuracy"
    ),
    "usable_decades": SmallestEffect(
        0.5, "decades", "Difference between ranges of usable rates.", "a factor of 3, the usual step of a search"
    ),
    "generalization_gap": SmallestEffect(
        0.2, "share", "Share of vanilla's gap between validation and training loss.", "a fifth of what could be gained"
    ),
    "gradient_growth_ratio": SmallestEffect(
        1.1, "ratio", "Growth of squared gradients per layer.", "more than a factor of 2 over nine layers"
    ),
    "orthogonality": SmallestEffect(
        0.05, "gap", "Difference between orthogonality gaps, which lie between 0 and 1.", "a twentieth of the range"
    ),
    "gradient_shift_ratio": SmallestEffect(
        1.2, "ratio", "Ratio of the relative changes of a layer's gradient.", "as steps_ratio"
    ),
    "input_shift_ratio": SmallestEffect(
        1.2, "ratio", "Ratio of the distances that a layer's inputs move.", "as steps_ratio"
    ),
    "smoothness_ratio": SmallestEffect(
        1.2, "ratio", "Ratio of the largest changes of the gradient along a step.", "as steps_ratio"
    ),
    "recovered_gain": SmallestEffect(
        0.5, "share", "Share of batch normalization's gain that is recovered.", "half: most of the gain"
    ),
}
