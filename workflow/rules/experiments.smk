# Experiments that are more than a grid of conditions. The target `studies` makes those whose tables go into `studies/`.


# Measure the tutorial's networks of noise under three initializations, layer by layer.
use rule job as activations with:
    output:
        activations=table("activations", caption="activations", group="Closer looks"),
        histograms=table("histograms", caption="activations", group="Closer looks"),
    log:
        layout.logs("activations.log"),
    params:
        **calls(
            "experiments.activations.make_activation_tables",
            arms=PAIR,
            seeds=plan.examined_seeds,
            shown_seed=plan.shown_seed,
            epsilon=configuration.normalization.epsilon,
        ),


# Measure the networks of all conditions, and vanilla ones with other initializations, before the first step.
use rule job as initialization with:
    input:
        packed=layout.packed,
    output:
        layers=table("initial_layers", caption="initialization", group="Closer looks"),
        networks=table("initialization", caption="initialization", group="Closer looks"),
    log:
        layout.logs("initialization.log"),
    params:
        **calls(
            "experiments.initialization.make_network_tables",
            settings=plan.initial_settings,
            seeds=plan.examined_seeds,
        ),
        parts=plan.initial_parts,
        expected=plan.expected_data,


# Follow one mini-batch through the transform, step by step.
use rule job as mechanics with:
    input:
        packed=layout.packed,
    output:
        mechanics=table("mechanics", caption="mechanics", group="Closer looks"),
        summary=table("mechanics_summary", caption="mechanics", group="Closer looks"),
    log:
        layout.logs("mechanics.log"),
    params:
        **calls("experiments.mechanics.make_mechanics", settings=plan.first_settings, seed=plan.shown_seed),
        expected=plan.expected_data,


# Train the batch-normalized networks of the first condition and infer with every kind of statistics.
use rule job as inference with:
    input:
        packed=layout.packed,
    output:
        table=table("inference", caption="inference", group="Closer looks"),
    log:
        layout.logs("inference.log"),
    priority: 1_000_000  # among the first to begin, since it is one long job
    resources:
        mem_mb=growing(2000),
        runtime=growing(60),
    params:
        **calls("experiments.inference.make_inference", settings=plan.first_settings, seeds=plan.examined_seeds),
        expected=plan.expected_data,


# At an arm's best rate, measure how a layer's gradient changes when the layers below it are updated.
use rule job as gradient_shift with:
    input:
        packed=layout.packed,
        tuning=layout.study_table("best_rate", "tuning-{condition}-{arm}"),
    output:
        table=study_table("gradient_shift", "{condition}-{arm}", caption="gradient_shift"),
    log:
        layout.logs("studies/gradient_shift/{condition}-{arm}.log"),
    resources:
        mem_mb=growing(2000),
        runtime=growing(60),
    params:
        **calls(
            "experiments.gradient_shift.make_gradient_shift",
            condition="{condition}",
            settings=told(jobs.explained_settings),
            seeds=plan.examined_seeds,
        ),
        expected=plan.expected_data,


# At an arm's best rate, measure how far the inputs of a layer move within 60 steps.
use rule gradient_shift as input_shift with:
    output:
        table=study_table("input_shift", "{condition}-{arm}", caption="input_shift"),
    log:
        layout.logs("studies/input_shift/{condition}-{arm}.log"),
    params:
        **calls(
            "experiments.input_shift.make_input_shift",
            condition="{condition}",
            settings=told(jobs.explained_settings),
            seeds=plan.examined_seeds,
        ),
        expected=plan.expected_data,


# At an arm's best rate, measure how smooth the loss is along its gradient.
use rule gradient_shift as smoothness with:
    output:
        table=study_table("smoothness", "{condition}-{arm}", caption="smoothness"),
    log:
        layout.logs("studies/smoothness/{condition}-{arm}.log"),
    params:
        **calls(
            "experiments.smoothness.make_smoothness",
            condition="{condition}",
            settings=told(jobs.explained_settings),
            seeds=plan.examined_seeds,
        ),
        expected=plan.expected_data,


# Train from weights in two units, with learning rates to match, and compare the weights.
use rule job as scale_equivalence with:
    input:
        packed=layout.packed,
    output:
        table=study_table("scale_equivalence", "scale_equivalence", caption="scale_equivalence"),
    log:
        layout.logs("studies/scale_equivalence.log"),
    params:
        **calls(
            "experiments.scale_equivalence.make_scale_equivalence",
            settings=plan.first_settings,
            seeds=plan.examined_seeds,
        ),
        expected=plan.expected_data,


# Measure the time of a training step of each arm, with no other job beside it.
use rule job as step_time with:
    input:
        packed=layout.packed,
    output:
        table=study_table("step_time", "step_time", caption="step_time"),
    log:
        layout.logs("studies/step_time.log"),
    threads: all_cores(workflow)  # on a cluster, the profile asks for a whole node instead
    params:
        **calls(
            "experiments.step_time.make_step_time",
            settings=[settings for arms in plan.pair_settings.values() for settings in arms.values()],
            seed=plan.shown_seed,
        ),
        expected=plan.expected_data,


# Train the networks of an arm in the paper's own experiment, and follow the input of one of their sigmoids.
use rule job as paper with:
    input:
        packed=layout.packed,
    output:
        accuracy=study_table("paper", "accuracy-{arm}", caption="paper"),
        percentiles=study_table("paper", "percentiles-{arm}", caption="paper"),
    log:
        layout.logs("studies/paper-{arm}.log"),
    resources:
        mem_mb=growing(2000),
        runtime=growing(120),
    params:
        **calls("experiments.paper.make_paper", settings=told(jobs.paper_settings), seeds=plan.paper_seeds),
        expected=plan.expected_data,
