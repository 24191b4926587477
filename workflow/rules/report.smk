# Stands above Snakemake's own report; each figure and table brings a caption of its own.
report: "../report/workflow.rst"


rule report:
    """Render the report, one self-contained page."""
    input:
        tables=list(TABLES.values()),
        studies=study_files(DEFAULT_STUDIES),
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
        code=code_digest("report.report"),
        lineage=lineage,
        configuration=shareable(configuration, source.name),
        conditions=EXAMINED,
        studies=DEFAULT_STUDIES,
        dataset=source.title,
        dataset_name=source.name,
        is_mnist=source.name == "mnist",
        shown_seed=SHOWN_SEED,
    script:
        "../scripts/report.py"


rule provenance:
    """Write down what every result of the default target was made from, by checksums."""
    input:
        packed=PACKED,
        records=all_records,
        records_of_studies=records_of_studies(DEFAULT_STUDIES),
        tables=list(TABLES.values()) + study_files(DEFAULT_STUDIES),
        figures=[results(f"figures/{name}.svg") for name in FIGURES],
        page=results("report.html"),
    output:
        results("provenance.json"),
    log:
        logs("provenance.log"),
    conda:
        "../envs/bnpipe.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=growing(30),
    params:
        code=code_digest("report.provenance"),
        lineage=lineage,
        configuration=shareable(configuration, source.name),
        dataset={"name": source.name, "title": source.title},
    script:
        "../scripts/provenance.py"


use rule provenance as studies_provenance with:
    input:
        packed=PACKED,
        records=records_of_studies(STUDIES),
        tables=[table for tables in ALL_CLAIM_TABLES.values() for table in tables] + study_files(STUDIES) + PAPER_TABLES,
        claims=[results("tables/all_claims.csv"), results("tables/all_evidence.csv")],
        figures=[results(f"figures/{name}.svg") for name in STUDY_FIGURES],
        page=results("studies.html"),
    output:
        results("studies/provenance.json"),
    log:
        logs("studies_provenance.log"),
    params:
        code=code_digest("report.provenance"),
        lineage=lineage,
        configuration=shareable(configuration, source.name),
        dataset={"name": source.name, "title": source.title},
