rule mechanics:
    """Follow one mini-batch through the transform, step by step."""
    input:
        packed=PACKED,
    output:
        mechanics=table("mechanics"),
        summary=table("mechanics_summary"),
    log:
        logs("mechanics.log"),
    conda:
        "../envs/bnpipe.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        code=code_digest("experiments.mechanics"),
        settings=FIRST_SETTINGS,
        seed=SHOWN_SEED,
    script:
        "../scripts/mechanics.py"


rule mechanics_figure:
    """Draw what each step of the transform does to the mini-batch."""
    input:
        mechanics=TABLES["mechanics"],
        summary=TABLES["mechanics_summary"],
    output:
        figure("mechanics", shows="mechanics", group="The transform", condition=FIRST),
    log:
        logs("figures/mechanics.log"),
    conda:
        "../envs/bnpipe.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        code=code_digest("figures.mechanics"),
        note=f"first hidden layer, seed {SHOWN_SEED}, before the first update; {source.title}",
    script:
        "../scripts/mechanics_figure.py"
