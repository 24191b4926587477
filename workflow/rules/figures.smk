rule condition_figures:
    """Draw a condition: one seed alone, as the tutorial draws it, and all seeds under their mean."""
    input:
        # Not the tables, which wait for all conditions and change with each.
        records=condition_records,
    output:
        single_seed=figure("{condition}/single_seed", condition="{condition}", shows="single seed"),
        all_seeds=figure("{condition}/all_seeds", condition="{condition}", shows="all seeds"),
    log:
        logs("figures/{condition}.log"),
    priority: 1_000_000_000  # before any training, to be seen early
    conda:
        "../envs/bnpipe.yaml"
    params:
        code=code_digest("figures.curves"),
        note=figure_note,
        seed=SHOWN_SEED,
        arms=ARMS,
    script:
        "../scripts/condition_figures.py"


rule diagnostics_figure:
    """Draw what goes on inside the networks of a condition, layer by layer."""
    input:
        records=condition_records,
    output:
        figure("{condition}/diagnostics", condition="{condition}", shows="diagnostics"),
    log:
        logs("figures/{condition}_diagnostics.log"),
    conda:
        "../envs/bnpipe.yaml"
    params:
        code=code_digest("figures.diagnostics"),
        note=figure_note,
        arms=ARMS,
    script:
        "../scripts/diagnostics_figure.py"


rule states_figure:
    """Draw how many runs of each condition and arm are healthy, saturated, dead or overflowed, and where it began."""
    input:
        runs=TABLES["runs"],
    output:
        figure("states", condition="all", shows="states"),
    log:
        logs("figures/states.log"),
    conda:
        "../envs/bnpipe.yaml"
    params:
        code=code_digest("figures.diagnostics"),
        conditions=CONDITIONS,
        note=source.title,
        arms=ARMS,
    script:
        "../scripts/states_figure.py"


rule overview_figure:
    """Draw all conditions side by side."""
    input:
        tables=[TABLES["accuracy"], TABLES["runs"]],
    output:
        figure("overview", condition="all", shows="overview"),
    log:
        logs("figures/overview.log"),
    conda:
        "../envs/bnpipe.yaml"
    params:
        code=code_digest("figures.curves"),
        conditions=CONDITIONS,
        note=source.title,
        arms=ARMS,
    script:
        "../scripts/overview_figure.py"
