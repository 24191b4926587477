rule data:
    """Retrieve, check, decode and split the images; pack them into one file that jobs map into memory."""
    input:
        own_files=source.files,
        code=code("data.prepare"),
    output:
        packed=PACKED,
    log:
        logs("data.log"),
    conda:
        "../envs/bnpipe.yaml"
    resources:
        mem_mb=1000,
        runtime=30,
    # The retrieved files stay beside the packed one. They are not declared: Snakemake would delete valid ones.
    # The mirrors come from the configuration and not as a parameter: another mirror is no reason to train again.
    params:
        dataset=configuration.dataset,
        validation_images=configuration.validation_images,
    script:
        "../scripts/data.py"
