rule train:
    """Train one stack: the runs of a condition and an arm whose seeds share a chunk."""
    input:
        packed=PACKED,
    output:
        record=results("runs/{condition}/{arm}/seeds-{chunk}.safetensors"),
    log:
        logs("train/{condition}/{arm}/seeds-{chunk}.log"),
    benchmark:
        logs("train/{condition}/{arm}/seeds-{chunk}.benchmark.tsv")
    priority: steps  # the longest first
    conda:
        "../envs/bnpipe.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=growing(120),
        gpu=int(configuration.device == "cuda"),
    params:
        code=code_digest("training.job"),
        name="{condition}",
        settings=stack_settings,
        seeds=stack_seeds,
        steps=steps,
        dataset=source.name,
        device=configuration.device,
        tf32=configuration.tf32,
    script:
        "../scripts/train.py"


use rule train as train_study with:
    output:
        record=results("studies/{study}/runs/{stack}.safetensors"),
    log:
        logs("studies/{study}/{stack}.log"),
    benchmark:
        logs("studies/{study}/{stack}.benchmark.tsv")
    priority: 0
    params:
        code=code_digest("training.job"),
        name="{study}",
        settings=study_settings,
        seeds=study_seeds,
        steps=study_steps,
        dataset=source.name,
        device=configuration.device,
        tf32=configuration.tf32,
