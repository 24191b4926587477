# All training depends on the packed file, so it is made anew only if something changes that decides its content. The
# mirrors, which the script reads from the configuration, and the code that retrieves do not decide it. (Marking the
# file `ancient` in the rule `train` does not help: Snakemake 9.27 then overlooks every other reason to run a job.) The
# retrieved files stay beside it and are not declared, because Snakemake deletes declared outputs before a job, valid or
# not.
rule data:
    """Retrieve, check, decode and split the images; pack them into one file that jobs read."""
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
