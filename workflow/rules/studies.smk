rule study_tables:
    """Collect the records of a study into tidy tables, its swept values as columns."""
    input:
        records=study_records,
    output:
        accuracy=study_table("{study}", "accuracy"),
        runs=study_table("{study}", "runs"),
        summary=study_table("{study}", "summary"),
    log:
        logs("studies/{study}/tables.log"),
    conda:
        "../envs/bnpipe.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        code=code_digest("analysis.study_tables"),
        swept=swept,
    script:
        "../scripts/study_tables.py"


rule study_figure:
    """Draw a study in the form that its swept values ask for."""
    input:
        accuracy=results("studies/{study}/accuracy.csv"),
        runs=results("studies/{study}/runs.csv"),
    output:
        figure("studies/{study}", shows="study", group="Studies", study="{study}"),
    log:
        logs("figures/studies_{study}.log"),
    conda:
        "../envs/bnpipe.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        code=code_digest("figures.studies"),
        swept=swept,
        about=study_about,
        note=study_note,
    script:
        "../scripts/study_figure.py"
