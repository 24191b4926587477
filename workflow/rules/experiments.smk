# Studies that are more than a grid of conditions. They stand under `studies` too.


rule covariate_shift:
    """Measure how a layer's gradient changes when the layers below it are updated, along training."""
    input:
        packed=PACKED,
    output:
        table=study_table("covariate_shift", "{condition}-{arm}", caption="covariate_shift"),
    log:
        logs("studies/covariate_shift/{condition}-{arm}.log"),
    conda:
        "../envs/bnpipe.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(60),
    params:
        code=code_digest("experiments.covariate_shift"),
        settings=pair_settings,
        seeds=EXAMINED_SEEDS,
    script:
        "../scripts/covariate_shift.py"


rule covariate_shift_figure:
    """Draw the change of gradients that the layers below bring about."""
    input:
        tables=SHIFT_TABLES,
    output:
        figure("studies/covariate_shift", shows="covariate shift", group="Studies", study="covariate_shift"),
    log:
        logs("figures/studies_covariate_shift.log"),
    conda:
        "../envs/bnpipe.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        code=code_digest("figures.covariate_shift"),
        conditions=list(ONE_OF_EACH),
        note=source.title,
        arms=PAIR,
    script:
        "../scripts/covariate_shift_figure.py"


rule scale_equivalence:
    """Train in two units, learning rate 1 at standard deviation 1 and 0.01 at 0.1, and compare the weights."""
    input:
        packed=PACKED,
    output:
        table=study_table("scale_equivalence", "scale_equivalence"),
    log:
        logs("studies/scale_equivalence.log"),
    conda:
        "../envs/bnpipe.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        code=code_digest("experiments.scale_equivalence"),
        settings=FIRST_SETTINGS,
        seeds=EXAMINED_SEEDS,
    script:
        "../scripts/scale_equivalence.py"


rule step_time:
    """Measure the time of a training step of each arm, with no other job beside it."""
    input:
        packed=PACKED,
    output:
        table=study_table("step_time", "step_time"),
    log:
        logs("studies/step_time.log"),
    conda:
        "../envs/bnpipe.yaml"
    threads: workflow.resource_settings.cores or 1  # none on a cluster; its profile asks for a whole node instead
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        code=code_digest("experiments.step_time"),
        settings=[settings for arms in ONE_OF_EACH.values() for settings in arms.values()],
        seeds=EXAMINED_SEEDS,
    script:
        "../scripts/step_time.py"


rule generalization:
    """Compare training and validation loss of the study on regularization, at equal training loss."""
    input:
        accuracy=study_file("regularization", "accuracy"),
    output:
        table=study_table("regularization", "generalization"),
    log:
        logs("studies/generalization.log"),
    conda:
        "../envs/bnpipe.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        code=code_digest("analysis.generalization"),
        swept=swept_in("regularization"),
    script:
        "../scripts/generalization.py"


rule paper:
    """Train the networks of an arm in the paper's own experiment, and follow the input of one of their sigmoids."""
    input:
        packed=PACKED,
    output:
        accuracy=study_table("paper", "accuracy-{arm}", caption="paper_accuracy"),
        percentiles=study_table("paper", "percentiles-{arm}", caption="paper_percentiles"),
    log:
        logs("studies/paper-{arm}.log"),
    conda:
        "../envs/bnpipe.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(120),
    params:
        code=code_digest("experiments.paper"),
        settings=paper_settings,
        seeds=PAPER_SEEDS,
    script:
        "../scripts/paper.py"


rule paper_figure:
    """Draw the paper's figure 1: accuracy, and percentiles of the input of a sigmoid without and with normalization."""
    input:
        accuracy=expand(results("studies/paper/accuracy-{arm}.csv"), arm=PAIR),
        percentiles=expand(results("studies/paper/percentiles-{arm}.csv"), arm=PAIR),
    output:
        figure("studies/paper", shows="paper", group="Studies", study="paper"),
    log:
        logs("figures/studies_paper.log"),
    conda:
        "../envs/bnpipe.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        code=code_digest("figures.paper"),
        note=source.title,
    script:
        "../scripts/paper_figure.py"


use rule claims as all_claims with:
    input:
        **ALL_CLAIM_TABLES,
    output:
        claims=table("all_claims"),
        evidence=table("all_evidence"),
    log:
        logs("all_claims.log"),
    params:
        code=code_digest("analysis.claims"),
        tables=list(ALL_CLAIM_TABLES),
        conditions=condition_settings,
        smallest_effects=configuration.smallest_effects.model_dump(),


use rule claims_figure as all_claims_figure with:
    input:
        claims=results("tables/all_claims.csv"),
    output:
        figure("all_claims", shows="claims", group="Studies", study="all"),
    log:
        logs("figures/all_claims.log"),


rule studies_report:
    """Render the page on all studies, with the verdicts on all claims."""
    input:
        claims=results("tables/all_claims.csv"),
        studies=study_files(STUDIES),
        figures=[results(f"figures/{name}.svg") for name in STUDY_FIGURES],
        templates=templates("studies"),
    output:
        report(results("studies.html"), caption="../report/studies.rst", category="Report", labels={"page": "studies"}),
    log:
        logs("studies_report.log"),
    conda:
        "../envs/bnpipe.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        code=code_digest("report.studies"),
        lineage=lineage,
        configuration=shareable(configuration, source.name),
        experiments=[{"name": name, **EXPERIMENTS[name]} for name in EXPERIMENTS],
        dataset=source.title,
        is_mnist=source.name == "mnist",
    script:
        "../scripts/studies_report.py"


# Targets: every study by itself, and all of them.

for name in STUDIES:

    rule:
        name:
            f"study_{name}"
        input:
            expand(results("figures/studies/{name}.{format}"), name=name, format=["svg", "png"]),
            expand(results("studies/{name}/{table}.csv"), name=name, table=["accuracy", "runs", "summary"]),
        localrule: True


rule studies:
    input:
        results("studies.html"),
        results("studies/provenance.json"),
        results("tables/all_claims.csv"),
        results("tables/all_evidence.csv"),
        expand(results("figures/{figure}.{format}"), figure=STUDY_FIGURES, format=["svg", "png"]),
    localrule: True
