# Stands above Snakemake's own report; each figure and table brings a caption of its own.
report: "../report/workflow.rst"


rule report:
    """Render the report, one self-contained page."""
    input:
        tables=list(TABLES.values()),
        studies=[study_file(name, "summary") for name in DEFAULT_STUDIES],
        figures=[results(f"figures/{name}.svg") for name in FIGURES],
        templates=templates("report"),
        tutorial=str(TEMPLATES / "tutorial.yaml"),
    output:
        report(results("report.html"), caption="../report/page.rst", category="Report", labels={"page": "report"}),
    log:
        logs("report.log"),
    conda:
        "../envs/bnpipe.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        code=code_digest("report"),
        configuration=shareable(configuration, source.name),
        conditions=EXAMINED,
        studies=DEFAULT_STUDIES,
        dataset=source.title,
        dataset_name=source.name,
        is_mnist=source.name == "mnist",
        shown_seed=SHOWN_SEED,
    script:
        "../scripts/report.py"
