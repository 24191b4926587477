# Draw a condition: one seed alone, as the tutorial draws it, all seeds under their mean, and the layers.
use rule job as condition_figures with:
    input:
        # It reads records, because the tables wait for all conditions and change with each.
        records=told(jobs.condition_records),
    output:
        **{
            kind: figure(
                f"{{condition}}/{kind}",
                shows=kind.replace("_", " "),
                condition="{condition}",
                group="Conditions",
                caption="condition",
            )
            for kind in plan.condition_figures
        },
    log:
        layout.logs("figures/{condition}.log"),
    priority: 1_000_000_000  # before any training, to be seen early
    params:
        **calls(
            "figures.condition.make_condition",
            condition="{condition}",
            note=told(jobs.condition_note),
            seed=plan.shown_seed,
            arms=plan.arms,
        ),
        expected=told(jobs.condition_expected),


# Draw the conditions side by side.
use rule job as overview_figure with:
    input:
        accuracy=layout.table("accuracy"),
        runs=layout.table("runs"),
    output:
        outputs=figure("overview", shows="overview", caption="overview", group="All conditions"),
    log:
        layout.logs("figures/overview.log"),
    params:
        **calls("figures.curves.make_overview", conditions=plan.examined, note=plan.examined_note, arms=plan.arms),


# Draw how many runs of each condition and arm are healthy, saturated, dead or overflowed, and where it began.
use rule job as states_figure with:
    input:
        runs=layout.table("runs"),
    output:
        outputs=figure("states", shows="states", caption="states", group="All conditions"),
    log:
        layout.logs("figures/states.log"),
    params:
        **calls("figures.diagnostics.make_states", conditions=plan.examined, note=plan.examined_note, arms=plan.arms),


# Draw every claim with its seeds beside the smallest effect that would matter.
use rule job as claims_figure with:
    input:
        claims=layout.table("claims"),
        evidence=layout.table("evidence"),
    output:
        outputs=figure("claims", shows="claims", caption="claims", group="All conditions"),
    log:
        layout.logs("figures/claims.log"),
    params:
        **calls("figures.claims.make_claims_figure", note=source.title),


use rule claims_figure as all_claims_figure with:
    input:
        claims=layout.table("all_claims"),
        evidence=layout.table("all_evidence"),
    output:
        outputs=figure("all_claims", shows="claims", caption="claims", group="Studies", study="all"),
    log:
        layout.logs("figures/all_claims.log"),


# Draw the tutorial's networks of noise under one initialization: layers, histograms, growth.
use rule job as activation_figures with:
    input:
        activations=layout.table("activations"),
        histograms=layout.table("histograms"),
    output:
        layers_outputs=figure(
            "initialization/{start}_layers",
            shows="layers",
            caption="activations",
            group="Initialization",
            networks="{start}",
        ),
        histograms_outputs=figure(
            "initialization/{start}_histograms",
            shows="histograms",
            caption="activations",
            group="Initialization",
            networks="{start}",
        ),
        growth_outputs=figure(
            "initialization/{start}_growth",
            shows="growth of noise",
            caption="activations",
            group="Initialization",
            networks="{start}",
        ),
    log:
        layout.logs("figures/initialization_{start}.log"),
    wildcard_constraints:
        start="|".join(INITIALIZATIONS),
    params:
        **calls("figures.activations.make_activation_figures", initialization="{start}", arms=PAIR),


# Draw how signal and gradient grow from layer to layer before the first step, against theory.
use rule job as growth_figure with:
    input:
        layers=layout.table("initial_layers"),
    output:
        outputs=figure(
            "initialization/growth",
            shows="growth",
            caption="initialization",
            group="Initialization",
            networks="those trained",
        ),
    log:
        layout.logs("figures/growth.log"),
    params:
        **calls("figures.initialization.make_growth", conditions=plan.measured, note=plan.examined_note, arms=plan.arms),


# Draw what each step of the transform does to the mini-batch.
use rule job as mechanics_figure with:
    input:
        mechanics=layout.table("mechanics"),
        summary=layout.table("mechanics_summary"),
    output:
        outputs=figure("mechanics", shows="mechanics", caption="mechanics", group="The transform", condition=plan.first),
    log:
        layout.logs("figures/mechanics.log"),
    params:
        **calls(
            "figures.mechanics.make_mechanics_figure",
            note=f"first hidden layer, seed {plan.shown_seed}, before the first update; {source.title}",
        ),


# Draw accuracy under every kind of statistics, along training and against the size of the evaluation batch.
use rule job as inference_figure with:
    input:
        inference=layout.table("inference"),
    output:
        outputs=figure("inference", shows="inference", caption="inference", group="The transform", condition=plan.first),
    log:
        layout.logs("figures/inference.log"),
    params:
        **calls("figures.inference.make_inference_figure", note=f"{source.title}, {plan.first}, batchnorm"),


# Draw a study in the form that suits its swept values.
use rule job as study_figure with:
    input:
        accuracy=layout.study_table("{study}", "accuracy"),
        runs=layout.study_table("{study}", "runs"),
    output:
        outputs=figure("studies/{study}", shows="study", caption="study", group="Studies", study="{study}"),
    log:
        layout.logs("figures/studies_{study}.log"),
    params:
        **calls(
            "figures.studies.make_study",
            swept=told(jobs.study_sweep),
            about=told(jobs.study_about),
            note=told(jobs.study_note),
        ),


# Draw how gradients change when the layers below are updated.
use rule job as gradient_shift_figure with:
    input:
        tables=plan.fair.explanation_tables["gradient_shift"],
    output:
        outputs=figure(
            "studies/gradient_shift",
            shows="gradient shift",
            caption="gradient_shift",
            group="Studies",
            study="gradient_shift",
        ),
    log:
        layout.logs("figures/studies_gradient_shift.log"),
    params:
        **calls(
            "figures.explanations.make_explanation_figure",
            name="gradient_shift",
            conditions=list(plan.fair.explained_settings),
            note=source.title,
            arms=PAIR,
        ),


# Draw how far the inputs of layers move in training.
use rule job as input_shift_figure with:
    input:
        tables=plan.fair.explanation_tables["input_shift"],
    output:
        outputs=figure(
            "studies/input_shift",
            shows="input shift",
            caption="input_shift",
            group="Studies",
            study="input_shift",
        ),
    log:
        layout.logs("figures/studies_input_shift.log"),
    params:
        **calls(
            "figures.explanations.make_explanation_figure",
            name="input_shift",
            conditions=list(plan.fair.explained_settings),
            note=source.title,
            arms=PAIR,
        ),


# Draw how smooth the loss is along the gradient.
use rule job as smoothness_figure with:
    input:
        tables=plan.fair.explanation_tables["smoothness"],
    output:
        outputs=figure(
            "studies/smoothness",
            shows="smoothness",
            caption="smoothness",
            group="Studies",
            study="smoothness",
        ),
    log:
        layout.logs("figures/studies_smoothness.log"),
    params:
        **calls(
            "figures.explanations.make_explanation_figure",
            name="smoothness",
            conditions=list(plan.fair.explained_settings),
            note=source.title,
            arms=PAIR,
        ),


# Draw the paper's figure 1: accuracy, and percentiles of the input of a sigmoid without and with normalization.
use rule job as paper_figure with:
    input:
        **plan.paper_tables,
    output:
        outputs=figure("studies/paper", shows="paper", caption="paper", group="Studies", study="paper"),
    log:
        layout.logs("figures/studies_paper.log"),
    params:
        **calls("figures.paper.make_paper_figure", note=source.title),
