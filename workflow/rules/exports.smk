# Results for other programs: figures as PDF and tables as LaTeX for a paper, curves for TensorBoard. They are made only
# if they are asked for.


# Convert a figure.
use rule job as pdf with:
    input:
        picture=layout.results("figures/{picture}.svg"),
    output:
        pdf=layout.results("exports/figures/{picture}.pdf"),
    log:
        layout.logs("exports/figures/{picture}.log"),
    params:
        **calls("report.pdf.make_pdf"),


# Write the tables that the report begins with.
use rule job as latex with:
    input:
        summary=layout.table("summary"),
        comparison=layout.table("comparison"),
        claims=layout.table("claims"),
    output:
        **{f"{name}_tex": layout.results(f"exports/tables/{name}.tex") for name in ("summary", "comparison", "claims")},
    log:
        layout.logs("exports/tables.log"),
    params:
        **calls("report.latex.make_latex", conditions=plan.conditions),


# Write the summary of a study.
use rule job as latex_of_study with:
    input:
        summary=layout.study_table("{study}", "summary"),
    output:
        table=layout.results("exports/tables/studies/{study}.tex"),
    log:
        layout.logs("exports/tables_{study}.log"),
    params:
        **calls("report.latex.make_study_latex", swept=told(jobs.study_sweep)),


# Write every curve as an event file.
use rule job as tensorboard with:
    input:
        accuracy=layout.table("accuracy"),
    output:
        folder=directory(layout.results("exports/tensorboard")),
    log:
        layout.logs("exports/tensorboard.log"),
    params:
        **calls("report.tensorboard.make_events"),


# Write every curve of a study.
use rule tensorboard as tensorboard_of_study with:
    input:
        accuracy=layout.study_table("{study}", "accuracy"),
    output:
        folder=directory(layout.results("exports/tensorboard_{study}")),
    log:
        layout.logs("exports/tensorboard_{study}.log"),


# Export what a paper may need from the default target.
rule exports:
    input:
        [layout.results(f"exports/figures/{name}.pdf") for name in plan.figures],
        rules.latex.output,
        [layout.results(f"exports/tables/studies/{study}.tex") for study in plan.default_studies],
    localrule: True
