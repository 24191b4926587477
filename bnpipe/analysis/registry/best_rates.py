"""The claims about the fair comparison: every arm at its own best learning rate."""

from functools import partial

from bnpipe.analysis.measures import accuracies, generalization, steps
from bnpipe.analysis.registry.claim import ACTIVATIONS, BEST, STEPS, UPDATES, Claim, Words

GROUP = "At each arm's own best learning rate"
WITHIN_5 = Words("within 5 points", "", "more than 5 points apart")
RANGE = Words("a range at least {} wider", "a range less than {} wider", "a range at least {} narrower")
GAP = Words("a gap at least {} smaller", "a gap less than {} smaller", "a gap at least {} larger")


def best_rate_claims() -> tuple[Claim, ...]:
    """Return the claims about networks at their own best learning rates."""
    claim = partial(Claim, group=GROUP)
    return (
        *(
            claim(
                key=f"fewer-steps-at-best-rates-{key}",
                statement=f"With {activation}, batch normalization needs fewer steps at best rates{start}",
                measure=UPDATES.format(slower, faster),
                condition=f"{activation}, {BEST}, init std 0.1{other}",
                smallest_effect="steps_ratio",
                words=STEPS,
                tables=("best_rate", "tuning"),
                values=partial(steps.at_the_best_rates, slower=slower, faster=faster),
            )
            for key, activation, start, other, slower, faster in (
                ("tanh", "tanh", "", "", "tanh-vanilla", "tanh-batchnorm"),
                ("relu", "relu", "", "", "relu-vanilla", "relu-batchnorm"),
                ("relu-he", "relu", " than vanilla He", ", vanilla He", "relu-vanilla-he", "relu-batchnorm"),
                (
                    "tanh-xavier",
                    "tanh",
                    " than vanilla Xavier",
                    ", vanilla Xavier",
                    "tanh-vanilla-xavier",
                    "tanh-batchnorm",
                ),
            )
        ),
        claim(
            key="initialization-no-longer-matters-tanh",
            statement="With tanh and batch normalization, the initialization no longer matters",
            measure="whether final validation accuracy from init std 1 is within 5 points of that from 0.1",
            condition="tanh, batchnorm, each init std at its own best learning rate",
            smallest_effect=None,
            words=WITHIN_5,
            tables=("finals", "tuning"),
            values=accuracies.initialization_no_longer_matters,
        ),
        *(
            claim(
                key=f"wider-range-of-rates-{activation}",
                statement=f"With {activation}, batch normalization widens the range of usable learning rates",
                measure="decades of learning rate whose final validation accuracy is within 1 point of the arm's best, "
                "counted in grid steps, batchnorm minus vanilla",
                condition=f"{activation}, init std 0.1, learning rates in quarter decades",
                smallest_effect="usable_decades",
                words=RANGE,
                tables=("usable_rates",),
                values=partial(accuracies.usable_decades, activation=activation),
            )
            for activation in ACTIVATIONS
        ),
        claim(
            key="regularizes-few-images",
            statement="With few images, batch normalization regularizes",
            measure="mean gap between validation and training loss at training losses 0.3, 0.1, 0.03 and 0.01, vanilla "
            "minus batchnorm, as a share of vanilla's",
            condition="tanh, learning rate 0.05, 2,000 training images",
            smallest_effect="generalization_gap",
            words=GAP,
            tables=("regularization",),
            values=generalization.smaller_gap,
        ),
    )
