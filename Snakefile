# bnpipe: from config.yaml to results/<dataset>/report.html. `make help` and README.md say how to run it.


include: "workflow/rules/preflight.smk"


configfile: "config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/tables.smk"
include: "workflow/rules/initialization.smk"
include: "workflow/rules/mechanics.smk"
include: "workflow/rules/inference.smk"
include: "workflow/rules/claims.smk"
include: "workflow/rules/studies.smk"
include: "workflow/rules/experiments.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/slurm.smk"


rule all:
    input:
        results("report.html"),
        results("provenance.json"),
        list(TABLES.values()),
        expand(results("figures/{figure}.{format}"), figure=FIGURES, format=["svg", "png"]),
        condition_figures,
