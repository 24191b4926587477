rule inference:
    """Train the batch-normalized networks of the first condition and infer with every kind of statistics."""
    input:
        packed=PACKED,
    output:
        table=table("inference"),
    log:
        logs("inference.log"),
    priority: 1_000_000  # among the first to begin, since it is one long job
    conda:
        "../envs/bnpipe.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(60),
    params:
        code=code_digest("experiments.inference"),
        settings=FIRST_SETTINGS,
        seeds=EXAMINED_SEEDS,
    script:
        "../scripts/inference.py"


rule inference_figure:
    """Draw accuracy under every kind of statistics, along training and against the size of the evaluation batch."""
    input:
        table=TABLES["inference"],
    output:
        figure("inference", shows="inference", group="The transform", condition=FIRST),
    log:
        logs("figures/inference.log"),
    conda:
        "../envs/bnpipe.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        code=code_digest("figures.inference"),
        note=f"{source.title}, {FIRST}, batchnorm",
    script:
        "../scripts/inference_figure.py"
