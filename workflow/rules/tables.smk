# Collect the records of all runs into tidy tables.
use rule job as tables with:
    input:
        packed=layout.packed,
        records=told(jobs.all_records),
    output:
        accuracy=table("accuracy", caption="runs", group="Runs"),
        layers=table("layers", caption="runs", group="Runs"),
        runs=table("runs", caption="runs", group="Runs"),
        summary=table("summary", caption="summaries", group="Runs"),
        comparison=table("comparison", caption="summaries", group="Runs"),
        origins=table("origins", caption="origins", group="Runs"),
    log:
        layout.logs("tables.log"),
    params:
        **calls(
            "analysis.tables.make_tables",
            conditions=plan.conditions,
            arms=plan.arms,
            seeds=configuration.seeds,
        ),
        expected=told(jobs.all_expected),


# Collect the records of a study into tidy tables, with its swept values as columns.
use rule job as study_tables with:
    input:
        packed=layout.packed,
        records=told(jobs.study_records),
    output:
        accuracy=study_table("{study}", "accuracy", caption="study"),
        runs=study_table("{study}", "runs", caption="study"),
        summary=study_table("{study}", "summary", caption="study"),
    log:
        layout.logs("studies/{study}/tables.log"),
    params:
        **calls("analysis.study_tables.make_study_tables", swept=told(jobs.study_sweep)),
        expected=told(jobs.study_expected),


# Compare training and validation loss of the study on regularization, at equal training loss.
use rule job as generalization with:
    input:
        accuracy=layout.study_table("regularization", "accuracy"),
    output:
        table=study_table("regularization", "generalization", caption="generalization"),
    log:
        layout.logs("studies/generalization.log"),
    params:
        **calls(
            "analysis.generalization.make_generalization",
            swept=list(configuration.studies["regularization"].sweep) if "regularization" in plan.studies else [],
        ),


# Measure the tutorial's claims on the convolutional networks of the study, beside the verdicts on the default runs.
use rule job as carry_over with:
    input:
        claims=layout.table("claims"),
        accuracy=layout.study_table("convolutional", "accuracy"),
        runs=layout.study_table("convolutional", "runs"),
    output:
        table=study_table("convolutional", "carry_over", caption="carry_over"),
    log:
        layout.logs("studies/carry_over.log"),
    params:
        **calls(
            "analysis.carry_over.make_carry_over",
            condition=told(jobs.convolutional_condition),
            smallest_effects=configuration.smallest_effects.model_dump(),
        ),
