rule tables:
    """Collect the records of all runs into tidy tables."""
    input:
        records=expand(
            results("runs/{stack.condition}/{stack.arm}/seeds-{stack.chunk}.safetensors"), stack=STACKS.values()
        ),
        code=code("tables"),
    output:
        accuracy=table("accuracy"),
        runs=table("runs"),
        summary=table("summary"),
        comparison=table("comparison"),
        origins=table("origins"),
    log:
        logs("tables.log"),
    conda:
        "../envs/bnpipe.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        conditions=CONDITIONS,
        arms=ARMS,
        seeds=configuration.seeds,
    script:
        "../scripts/tables.py"
