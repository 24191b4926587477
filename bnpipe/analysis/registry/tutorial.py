"""The claims about what the tutorial ran: its conditions, at its one learning rate."""

from functools import partial

from bnpipe.analysis.measures import accuracies, inference, layers, steps
from bnpipe.analysis.registry.claim import ACTIVATIONS, STEPS, UPDATES, Claim, Words, tutorial_condition

GROUP = "As the tutorial ran it"
TIME = Words("at least {} times faster", "less than {} times faster", "at least {} times slower")
HIGHER = Words("at least {} higher", "less than {} higher", "at least {} lower")
SATURATED = Words("at least {} fewer", "less than {} fewer", "at least {} more")
STEADY = Words("at least {} times steadier", "less than {} times steadier", "at least {} times less steady")
DIES = Words("a layer dies first", "", "no layer dies first")
LOST = Words("at least {} lost", "less than {} lost", "at least {} gained")
WITHIN_1 = Words("within 1 point", "", "more than 1 point apart")
SPREAD = Words("a spread at least {} smaller", "a spread less than {} smaller", "a spread at least {} larger")


def tutorial_claims() -> tuple[Claim, ...]:
    """Return the claims about the tutorial's conditions, at its one learning rate."""
    claim = partial(Claim, group=GROUP)
    both = ACTIVATIONS
    return (
        *(
            claim(
                key=f"fewer-steps-{activation}",
                statement=f"With {activation}, batch normalization needs fewer steps to 90%",
                measure=UPDATES.format("vanilla", "batchnorm"),
                condition=tutorial_condition(activation),
                smallest_effect="steps_ratio",
                words=STEPS,
                tables=("accuracy",),
                values=partial(steps.at_the_fixed_rate, activation=activation),
            )
            for activation in both
        ),
        *(
            claim(
                key=f"less-time-{activation}",
                statement=f"With {activation}, batch normalization needs less time to 90%",
                measure="the same as for steps, minus the log ratio of the times of a step, batchnorm over vanilla, at "
                "the higher end of its interval over processes",
                condition=tutorial_condition(activation),
                smallest_effect="steps_ratio",
                words=TIME,
                tables=("accuracy", "step_time"),
                values=partial(steps.time_at_the_fixed_rate, activation=activation),
            )
            for activation in both
        ),
        claim(
            key="learning-rate-1-bad-weights-tanh",
            statement="With tanh and bad weights, batch normalization makes learning rate 1 work",
            measure="final validation accuracy, batchnorm minus vanilla",
            condition=tutorial_condition("tanh", 1, 1),
            smallest_effect="final_accuracy",
            words=HIGHER,
            tables=("runs",),
            values=partial(accuracies.final, activation="tanh", learning_rate=1.0, init_std=1.0),
        ),
        *(
            claim(
                key=f"copes-with-bad-weights-{activation}",
                statement=f"With {activation}, batch normalization copes with bad weights",
                measure="final validation accuracy, batchnorm minus vanilla",
                condition=tutorial_condition(activation, init_std=1),
                smallest_effect="final_accuracy",
                words=HIGHER,
                tables=("runs",),
                values=partial(accuracies.final, activation=activation, learning_rate=0.01, init_std=1.0),
            )
            for activation in both
        ),
        claim(
            key="fewer-saturated-units-tanh",
            statement="With tanh and bad weights, batch normalization saturates fewer units",
            measure="share of hidden outputs beyond 0.99, vanilla minus batchnorm, mean over layers and training",
            condition=tutorial_condition("tanh", init_std=1),
            smallest_effect="saturated_units",
            words=SATURATED,
            tables=("layers",),
            values=layers.saturated,
        ),
        *(
            claim(
                key=key,
                statement=f"With {networks}, accuracy is steadier with batch normalization",
                measure="log ratio of the standard deviations of validation accuracy about a straight line in the last "
                "quarter of the steps, at least 40 evaluations, vanilla over batchnorm",
                condition=tutorial_condition(activation, init_std=init_std),
                smallest_effect="steadiness_ratio",
                words=STEADY,
                tables=("steadiness",),
                values=partial(accuracies.steadier, activation=activation, init_std=init_std),
            )
            for key, networks, activation, init_std in (
                ("steadier-tanh", "tanh", "tanh", 0.1),
                ("steadier-relu", "relu", "relu", 0.1),
                ("steadier-bad-weights-tanh", "tanh and bad weights", "tanh", 1.0),
            )
        ),
        *(
            claim(
                key=f"vanilla-relu-dies-{precision}",
                statement=f"Vanilla relu stays flat because units die, in {precision}",
                measure="whether the first thing that goes wrong is a dead layer, not a number that is not finite",
                condition=f"{tutorial_condition('relu', init_std=1)}, vanilla, {precision}",
                smallest_effect=None,
                words=DIES,
                tables=("precision",),
                values=partial(layers.dies_first, precision=precision),
            )
            for precision in ("float32", "float64")
        ),
        claim(
            key="batch-statistics-spoil-predictions",
            statement="Statistics of the evaluation batch spoil predictions",
            measure="final accuracy with moving averages minus that with the statistics of the evaluation batch of 60",
            condition=f"{tutorial_condition('tanh')}, batchnorm",
            smallest_effect="batch_statistics",
            words=LOST,
            tables=("inference",),
            values=inference.lost_to_batch_statistics,
        ),
        *(
            claim(
                key=f"moving-averages-do-{key}",
                statement=f"Moving averages do as well as exact statistics {when}",
                measure=f"whether accuracy with moving averages is within 1 point of that with exact ones, {when}",
                condition=f"{tutorial_condition('tanh')}, batchnorm",
                smallest_effect=None,
                words=WITHIN_1,
                tables=("inference",),
                values=partial(inference.moving_averages_do, early=key == "early"),
            )
            for key, when in (("early", "after 60 steps"), ("in-the-end", "at the end"))
        ),
        claim(
            key="less-dependence-on-initialization-tanh",
            statement="With tanh, accuracy depends less on the initialization with batch normalization",
            measure="spread of final validation accuracy over init std, vanilla minus batchnorm",
            condition="tanh, learning rate 0.01, init std 0.01 to 1 in half decades",
            smallest_effect="accuracy_spread",
            words=SPREAD,
            tables=("initializations",),
            values=accuracies.spread_over_initializations,
        ),
    )
