rule tables:
    """Collect the records of all runs into tidy tables."""
    input:
        records=all_records,
    output:
        accuracy=table("accuracy"),
        layers=table("layers"),
        runs=table("runs"),
        summary=table("summary"),
        comparison=table("comparison"),
        origins=table("origins"),
    log:
        logs("tables.log"),
    conda:
        "../envs/bnpipe.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        code=code_digest("analysis.tables"),
        conditions=CONDITIONS,
        arms=ARMS,
        seeds=configuration.seeds,
    script:
        "../scripts/tables.py"
