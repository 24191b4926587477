"""The claims about why batch normalization helps."""

from functools import partial

from bnpipe.analysis.measures import landscape, layers, steps
from bnpipe.analysis.registry.claim import ACTIVATIONS, BEST, STEPS, UPDATES, Claim, Words, tutorial_condition

GROUP = "Explanations"
SLOPE = Words(
    "closer by a factor of at least {} a layer",
    "closer by a factor of less than {} a layer",
    "farther by a factor of at least {} a layer",
)
ANGLES = Words("a gap at least {} smaller", "a gap less than {} smaller", "a gap at least {} larger")
CHANGE = Words("at least {} times less change", "less than {} times less change", "at least {} times more change")
RECOVERED = Words("at least {} of the gain", "less than {} of the gain", "a loss of at least {} of the gain")


def explanation_claims() -> tuple[Claim, ...]:
    """Return the claims about why batch normalization helps."""
    claim = partial(Claim, group=GROUP)
    both = ACTIVATIONS
    changes: tuple[tuple[str, str, str, str, str], ...] = (
        (
            "less-gradient-shift",
            "gradients shift less",
            "relative change of a layer's gradient when the layers below take their step (Santurkar et al. 2018)",
            "gradient_shift",
            "gradient_shift_ratio",
        ),
        (
            "less-input-shift",
            "inputs of layers shift less",
            "Wasserstein-1 distance of a layer's inputs between steps t and t + 60, in standard deviations",
            "input_shift",
            "input_shift_ratio",
        ),
        (
            "smoother-loss",
            "the loss is smoother along the gradient",
            "largest change of the gradient over steps along it of 1/4 to 4 learning rates",
            "smoothness",
            "smoothness_ratio",
        ),
    )
    return (
        *(
            claim(
                key=f"isometric-gradients-{activation}",
                statement=f"With {activation}, batch normalization brings gradients closer to isometry over depth",
                measure="absolute slope of the log squared gradient over depth before the first step, vanilla minus "
                "batchnorm",
                condition=f"{activation}, init std 0.1",
                smallest_effect="gradient_growth_ratio",
                words=SLOPE,
                tables=("initialization",),
                values=partial(layers.isometric_gradients, activation=activation),
            )
            for activation in both
        ),
        *(
            claim(
                key=f"orthogonal-representations-{activation}",
                statement=f"With {activation}, batch normalization makes representations more orthogonal",
                measure="orthogonality gap of the last hidden layer before the first step, vanilla minus batchnorm",
                condition=f"{activation}, init std 0.1",
                smallest_effect="orthogonality",
                words=ANGLES,
                tables=("initialization",),
                values=partial(layers.orthogonal, activation=activation),
            )
            for activation in both
        ),
        *(
            claim(
                key=f"{key}-{activation}",
                statement=f"With {activation}, {statement} with batch normalization",
                measure=f"log ratio of the geometric mean of the {measure}, vanilla over batchnorm",
                condition=f"{activation}, {BEST}, init std 0.1",
                smallest_effect=effect,
                words=CHANGE,
                tables=(table,),
                values=partial(landscape.less_change, table=table, activation=activation),
            )
            for key, statement, measure, table, effect in changes
            for activation in both
        ),
        claim(
            key="first-batch-is-enough-tanh",
            statement="With tanh, normalizing the first batch only is enough",
            measure="share of batchnorm's gain in updates to 90% that data-dependent initialization alone recovers",
            condition=tutorial_condition("tanh"),
            smallest_effect="recovered_gain",
            words=RECOVERED,
            tables=("transfers",),
            values=steps.recovered_by_first_batch,
        ),
        claim(
            key="noise-does-not-spoil-tanh",
            statement="With tanh, noise behind batch normalization does not spoil it",
            measure=UPDATES.format("vanilla", "noisy batchnorm (Santurkar et al. 2018)"),
            condition=tutorial_condition("tanh"),
            smallest_effect="steps_ratio",
            words=STEPS,
            tables=("transfers",),
            values=steps.noisy,
        ),
    )
