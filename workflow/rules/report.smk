# The text above Snakemake's own report; each figure and table has its own caption.
report: "../report/captions/workflow.rst"


rule report:
    """Render the report, one self-contained page."""
    input:
        records=told(jobs.all_records),
        records_of_studies=told(jobs.default_study_records),
        tables=list(plan.tables.values()),
        studies=plan.study_tables(plan.default_studies),
        figures=plan.pictures(plan.figures),
        templates=templates("report"),
        tutorial=str(PAGES / "tutorial.yaml"),
    output:
        page("report"),
    log:
        layout.logs("report.log"),
    conda:
        "../envs/bnpipe.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        code=code_digest("report.report"),
        expected=told(jobs.default_expected),
        lineage=lineage_of_page,
        configuration=shareable(configuration, source.name),
        conditions=plan.examined,
        studies=plan.default_studies,
        dataset=source.title,
        dataset_name=source.name,
        is_mnist=source.name == "mnist",
        shown_seed=plan.shown_seed,
    script:
        "../scripts/report.py"


rule studies_report:
    """Render the page on all studies, with the verdicts on all claims."""
    input:
        records=told(jobs.all_study_records),
        claims=[layout.table("all_claims"), layout.table("all_evidence")],
        paper=plan.paper_tables["accuracy"] if configuration.paper else [],
        studies=plan.study_tables(plan.studies),
        answers=plan.optimizers.tables,
        figures=plan.pictures(plan.study_figures),
        templates=templates("studies"),
        texts=str(PAGES / "experiments.yaml"),
    output:
        page("studies"),
    log:
        layout.logs("studies_report.log"),
    conda:
        "../envs/bnpipe.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        code=code_digest("report.studies"),
        expected=told(jobs.all_studies_expected),
        lineage=lineage_of_page,
        configuration=shareable(configuration, source.name),
        experiments=plan.experiments,
        dataset=source.title,
        is_mnist=source.name == "mnist",
    script:
        "../scripts/studies_report.py"


rule provenance:
    """Write down what every result of the default target was made from, by checksums."""
    input:
        packed=layout.packed,
        records=told(jobs.all_records),
        records_of_studies=told(jobs.default_study_records),
        tables=[*plan.tables.values(), *plan.study_tables(plan.default_studies)],
        figures=plan.pictures(plan.figures),
        page=layout.results("report.html"),
    output:
        layout.results("provenance.json"),
    log:
        layout.logs("provenance.log"),
    conda:
        "../envs/bnpipe.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=growing(30),
    params:
        code=code_digest("report.provenance"),
        expected=told(jobs.default_expected),
        lineage=lineage,
        configuration=shareable(configuration, source.name),
        dataset={"name": source.name, "title": source.title},
    script:
        "../scripts/provenance.py"


# Do the same for the target `studies`.
use rule provenance as studies_provenance with:
    input:
        packed=layout.packed,
        records=told(jobs.all_study_records),
        tables=plan.study_results,
        claims=[layout.table("all_claims"), layout.table("all_evidence")],
        figures=plan.pictures(plan.study_figures),
        page=layout.results("studies.html"),
    output:
        layout.results("studies/provenance.json"),
    log:
        layout.logs("studies_provenance.log"),
    params:
        code=code_digest("report.provenance"),
        expected=told(jobs.all_studies_expected),
        lineage=lineage,
        configuration=shareable(configuration, source.name),
        dataset={"name": source.name, "title": source.title},
