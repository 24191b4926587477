# What can be asked for by name: every study by itself, and all of them. The default target is in the Snakefile.

for name in plan.studies:

    rule:
        name:
            f"study_{name}"
        input:
            plan.figure_files([f"studies/{name}"]),
            plan.study_tables([name]),
        localrule: True


rule studies:
    input:
        layout.results("studies.html"),
        layout.results("studies/provenance.json"),
        layout.table("all_claims"),
        layout.table("all_evidence"),
        plan.figure_files(plan.study_figures),
    localrule: True
