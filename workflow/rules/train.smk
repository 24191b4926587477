rule train:
    """Train one stack: the runs of a condition and an arm whose seeds share a chunk."""
    input:
        packed=layout.packed,
    output:
        record=layout.record_pattern("condition"),
    log:
        layout.training_log_pattern("condition"),
    benchmark:
        layout.training_log_pattern("condition", suffix="benchmark.tsv")
    priority: told(jobs.stack_steps)  # the longest first
    conda:
        "../envs/bnpipe.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=growing(120),
        gpu=int(configuration.device == "cuda"),
    params:
        code=code_digest("training.job"),
        parts=told(jobs.stack_parts),
        expected=plan.expected_data,
        name=told(jobs.group),
        settings=told(jobs.stack_settings),
        seeds=told(jobs.stack_seeds),
        steps=told(jobs.stack_steps),
        dataset=source.name,
        device=configuration.device,
        tf32=configuration.tf32,
    script:
        "../scripts/train.py"


# Train one stack of a study.
use rule train as train_study with:
    output:
        record=layout.record_pattern("study"),
    log:
        layout.training_log_pattern("study"),
    benchmark:
        layout.training_log_pattern("study", suffix="benchmark.tsv")
    priority: 0
