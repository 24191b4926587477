# bnpipe: from config.yaml to results/<dataset>/report.html. `make help` and README.md say how to run it.


include: "workflow/rules/preflight.smk"


configfile: "config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/base.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/tables.smk"
include: "workflow/rules/experiments.smk"
include: "workflow/rules/best_rate.smk"
include: "workflow/rules/optimizers.smk"
include: "workflow/rules/claims.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/exports.smk"
include: "workflow/rules/targets.smk"
include: "workflow/rules/handlers.smk"


rule all:
    input:
        layout.results("report.html"),
        layout.results("provenance.json"),
        list(plan.tables.values()),
        plan.figure_files(plan.figures),
        told(jobs.all_condition_figures),
