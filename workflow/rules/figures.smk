rule single_seed_figure:
    """Draw one seed of a condition, as the tutorial draws it."""
    input:
        tables=[TABLES["accuracy"], TABLES["runs"]],
        code=code("figures"),
    output:
        figure("{condition}/single_seed", condition="{condition}", shows="single seed"),
    log:
        logs("figures/{condition}/single_seed.log"),
    conda:
        "../envs/bnpipe.yaml"
    params:
        note=figure_note,
        seed=SHOWN_SEED,
        arms=ARMS,
    script:
        "../scripts/single_seed_figure.py"


rule all_seeds_figure:
    """Draw all seeds of a condition under their mean."""
    input:
        tables=[TABLES["accuracy"], TABLES["runs"]],
        code=code("figures"),
    output:
        figure("{condition}/all_seeds", condition="{condition}", shows="all seeds"),
    log:
        logs("figures/{condition}/all_seeds.log"),
    conda:
        "../envs/bnpipe.yaml"
    params:
        note=figure_note,
        arms=ARMS,
    script:
        "../scripts/all_seeds_figure.py"


rule overview_figure:
    """Draw all conditions side by side."""
    input:
        tables=[TABLES["accuracy"], TABLES["runs"]],
        code=code("figures"),
    output:
        figure("overview", condition="all", shows="overview"),
    log:
        logs("figures/overview.log"),
    conda:
        "../envs/bnpipe.yaml"
    params:
        conditions=CONDITIONS,
        note=source.title,
        arms=ARMS,
    script:
        "../scripts/overview_figure.py"
