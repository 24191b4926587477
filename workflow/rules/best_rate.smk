# The fair comparison: every network is tuned by the same protocol, then trained at its own best learning rate.


# Try a network with every learning rate of a grid and every tuning seed.
use rule job as trials with:
    input:
        packed=layout.packed,
    output:
        curves=study_table("best_rate", "{grid}_curves-{entrant}", caption="best_rate"),
    log:
        layout.logs("studies/best_rate/{grid}_curves-{entrant}.log"),
    resources:
        mem_mb=growing(2000),
        runtime=growing(60),
    params:
        **calls(
            "experiments.best_rate.make_trials",
            entrant="{entrant}",
            settings=told(jobs.entrant_settings),
            learning_rates=told(jobs.tuning_rates),
            seeds=told(jobs.tuning_seeds),
        ),
        expected=plan.expected_data,


# Choose the best learning rate of a network.
use rule job as tuning with:
    input:
        curves=layout.study_table("best_rate", "{grid}_curves-{entrant}"),
    output:
        table=study_table("best_rate", "{grid}-{entrant}", caption="best_rate"),
    log:
        layout.logs("studies/best_rate/{grid}-{entrant}.log"),
    params:
        **calls("analysis.best_rates.make_tuning", steps=plan.fair.steps),


# Train a network at its best learning rate, with a chunk of the seeds.
use rule job as tuned_runs with:
    input:
        packed=layout.packed,
        tuning=layout.study_table("best_rate", "tuning-{entrant}"),
    output:
        curves=study_table("best_rate", "curves-{entrant}-seeds-{chunk}", caption="best_rate"),
        finals=study_table("best_rate", "finals-{entrant}-seeds-{chunk}", caption="best_rate"),
    log:
        layout.logs("studies/best_rate/tuned-{entrant}-seeds-{chunk}.log"),
    resources:
        mem_mb=growing(2000),
        runtime=growing(60),
    params:
        **calls(
            "experiments.best_rate.make_tuned_runs",
            entrant="{entrant}",
            settings=told(jobs.entrant_settings),
            steps=told(jobs.entrant_steps),
            seeds=told(jobs.chunk_seeds),
        ),
        expected=plan.expected_data,


# Draw steps to 90% against learning rate, every network at every rate.
use rule job as best_rate_figure with:
    input:
        tunings=plan.fair.tunings("tuning"),
        curves=plan.fair.tuned("curves"),
    output:
        outputs=figure("studies/best_rate", shows="best rate", caption="best_rate", group="Studies", study="best_rate"),
    log:
        layout.logs("figures/studies_best_rate.log"),
    params:
        **calls("figures.best_rate.make_best_rate", **plan.fair.figure_settings, note=plan.title),


# Draw the same from the coarser trials of the default target.
use rule best_rate_figure as best_rate_preview_figure with:
    input:
        tunings=plan.fair.tunings("preview"),
    output:
        outputs=figure("best_rate", shows="best rate", caption="best_rate", group="All conditions"),
    log:
        layout.logs("figures/best_rate.log"),
