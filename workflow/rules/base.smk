# What most jobs share. A rule takes it over with `use rule job as ... with:` and gives its inputs, outputs, log and what
# it calls: the function's arguments are named as the rule's inputs, outputs and parameters.
#
# Not built on it are the rules whose adapter does more than call one function, and the training of a grid: an edit of an
# adapter re-runs every job that uses it, and one of the shared adapter must not train thousands of networks again.
rule job:
    log:
        layout.logs("job.log"),
    conda:
        "../envs/bnpipe.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    script:
        "../scripts/call.py"
