# All training waits on the packed file, so only what decides its content makes it anew: not the mirrors, which the
# script reads from the configuration, and not the code that retrieves. (Marking it `ancient` in the rule `train` is no
# way out: Snakemake 9.27 then overlooks whatever else a job would have had to run for.) The retrieved files stay
# beside it, undeclared: Snakemake deletes declared ones before a job, valid or not.
rule data:
    """Retrieve, check, decode and split the images; pack them into one file that jobs map into memory."""
    input:
        own_files=source.files,
    output:
        packed=layout.packed,
    log:
        layout.logs("data.log"),
    conda:
        "../envs/bnpipe.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=growing(30),
    params:
        code=code_digest("data.cifar", "data.digits", "data.idx", "data.packed"),
        dataset=configuration.dataset,
        validation_images=configuration.validation_images,
    script:
        "../scripts/data.py"
