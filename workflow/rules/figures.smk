rule condition_figures:
    """Draw a condition: one seed alone, as the tutorial draws it, all seeds under their mean, and the layers."""
    input:
        # Not the tables, which wait for all conditions and change with each.
        records=condition_records,
    output:
        single_seed=figure("{condition}/single_seed", shows="single seed", group="Conditions", condition="{condition}"),
        all_seeds=figure("{condition}/all_seeds", shows="all seeds", group="Conditions", condition="{condition}"),
        diagnostics=(
            figure("{condition}/diagnostics", shows="diagnostics", group="Conditions", condition="{condition}")
            if configuration.diagnostics
            else []
        ),
    log:
        logs("figures/{condition}.log"),
    priority: 1_000_000_000  # before any training, to be seen early
    conda:
        "../envs/bnpipe.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        code=code_digest("figures.condition"),
        note=figure_note,
        seed=SHOWN_SEED,
        arms=ARMS,
    script:
        "../scripts/condition_figures.py"


rule states_figure:
    """Draw how many runs of each condition and arm are healthy, saturated, dead or overflowed, and where it began."""
    input:
        runs=TABLES["runs"],
    output:
        figure("states", shows="states", group="All conditions"),
    log:
        logs("figures/states.log"),
    conda:
        "../envs/bnpipe.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        code=code_digest("figures.diagnostics"),
        conditions=EXAMINED,
        note=EXAMINED_NOTE,
        arms=ARMS,
    script:
        "../scripts/states_figure.py"


rule overview_figure:
    """Draw the conditions side by side."""
    input:
        tables=[TABLES["accuracy"], TABLES["runs"]],
    output:
        figure("overview", shows="overview", group="All conditions"),
    log:
        logs("figures/overview.log"),
    conda:
        "../envs/bnpipe.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        code=code_digest("figures.curves"),
        conditions=EXAMINED,
        note=EXAMINED_NOTE,
        arms=ARMS,
    script:
        "../scripts/overview_figure.py"
