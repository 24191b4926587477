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
