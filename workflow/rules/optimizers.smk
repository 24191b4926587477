# The fair comparison under every optimizer, and the balance of weight decay and batch normalization.


# Try a network with every learning rate of its optimizer.
use rule trials as optimizer_trials with:
    output:
        curves=study_table("optimizers", "trials-{entrant}", caption="optimizers"),
    log:
        layout.logs("studies/optimizers/trials-{entrant}.log"),
    params:
        **calls(
            "experiments.best_rate.make_trials",
            entrant="{entrant}",
            settings=told(jobs.optimizer_settings),
            learning_rates=told(jobs.optimizer_rates),
            seeds=plan.optimizers.tuning_seeds,
        ),
        expected=plan.expected_data,


# Choose its best learning rate.
use rule tuning as optimizer_tuning with:
    input:
        curves=layout.study_table("optimizers", "trials-{entrant}"),
    output:
        table=study_table("optimizers", "tuning-{entrant}", caption="optimizers"),
    log:
        layout.logs("studies/optimizers/tuning-{entrant}.log"),
    params:
        **calls("analysis.best_rates.make_tuning", steps=plan.optimizers.steps),


# Train it at its best learning rate, with seeds that did not choose the rate.
use rule job as optimizer_runs with:
    input:
        packed=layout.packed,
        tuning=layout.study_table("optimizers", "tuning-{entrant}"),
    output:
        curves=study_table("optimizers", "curves-{entrant}", caption="optimizers"),
    log:
        layout.logs("studies/optimizers/curves-{entrant}.log"),
    resources:
        mem_mb=growing(2000),
        runtime=growing(60),
    params:
        **calls(
            "experiments.best_rate.make_tuned_curves",
            entrant="{entrant}",
            settings=told(jobs.optimizer_settings),
            seeds=plan.optimizers.seeds,
        ),
        expected=plan.expected_data,


# Compare vanilla and batchnorm under every optimizer.
use rule job as optimizers with:
    input:
        curves=plan.optimizers.of_entrants("curves"),
        tunings=plan.optimizers.of_entrants("tuning"),
    output:
        seeds=study_table("optimizers", "seeds", caption="optimizers"),
        ratios=study_table("optimizers", "ratios", caption="optimizers"),
    log:
        layout.logs("studies/optimizers/ratios.log"),
    params:
        **calls("analysis.optimizers.make_ratios", optimizers=plan.optimizers.optimizers),


# Draw how many times faster batchnorm is under every optimizer.
use rule job as optimizers_figure with:
    input:
        seeds=layout.study_table("optimizers", "seeds"),
        ratios=layout.study_table("optimizers", "ratios"),
    output:
        outputs=figure(
            "studies/optimizers", shows="optimizers", caption="optimizers", group="Studies", study="optimizers"
        ),
    log:
        layout.logs("figures/studies_optimizers.log"),
    params:
        **calls("figures.optimizers.make_optimizers", note=source.title),


# Train an arm with every weight decay and measure its weights: their norm, and how far a step turns them.
use rule job as turns with:
    input:
        packed=layout.packed,
    output:
        table=study_table("equilibrium", "along-{arm}", caption="equilibrium"),
    log:
        layout.logs("studies/equilibrium/along-{arm}.log"),
    resources:
        mem_mb=growing(2000),
        runtime=growing(60),
    params:
        **calls(
            "experiments.equilibrium.make_equilibrium",
            settings=told(jobs.equilibrium_settings),
            weight_decays=plan.optimizers.weight_decays,
            seeds=plan.optimizers.equilibrium_seeds,
        ),
        expected=plan.expected_data,


# Compare growth and turns with what theory says.
use rule job as equilibrium with:
    input:
        turns=plan.optimizers.turns,
    output:
        table=study_table("equilibrium", "equilibrium", caption="equilibrium"),
    log:
        layout.logs("studies/equilibrium/equilibrium.log"),
    params:
        **calls("analysis.equilibrium.make_equilibrium_table"),


# Draw growth and turns along training.
use rule job as equilibrium_figure with:
    input:
        turns=plan.optimizers.turns,
        table=layout.study_table("equilibrium", "equilibrium"),
    output:
        outputs=figure(
            "studies/equilibrium", shows="weight decay", caption="equilibrium", group="Studies", study="equilibrium"
        ),
    log:
        layout.logs("figures/studies_equilibrium.log"),
    params:
        **calls("figures.equilibrium.make_equilibrium_figure", note=source.title),
