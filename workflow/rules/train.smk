rule train:
    """Train one stack: the runs of a condition and an arm whose seeds share a chunk."""
    # A packed file made anew is no reason to train again; what decides its content is: own files, the code that
    # decodes, and the split.
    input:
        packed=ancient(PACKED),
        own_files=source.files,
        code=code("runs", "data.digits", "data.idx"),
    output:
        record=results("runs/{condition}/{arm}/seeds-{chunk}.safetensors"),
    log:
        logs("train/{condition}/{arm}/seeds-{chunk}.log"),
    benchmark:
        logs("train/{condition}/{arm}/seeds-{chunk}.benchmark.tsv")
    priority: longest_first
    conda:
        "../envs/bnpipe.yaml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=120,
    params:
        settings=stack_settings,
        seeds=stack_seeds,
        dataset=source.name,
        validation_images=configuration.validation_images,
    script:
        "../scripts/train.py"
