rule study_tables:
    """Collect the records of a study into tidy tables, its swept values as columns."""
    input:
        records=study_records,
    output:
        accuracy=results("studies/{study}/accuracy.csv"),
        runs=results("studies/{study}/runs.csv"),
    log:
        logs("studies/{study}/tables.log"),
    conda:
        "../envs/bnpipe.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        code=code_digest("study_tables"),
        swept=swept,
    script:
        "../scripts/study_tables.py"
