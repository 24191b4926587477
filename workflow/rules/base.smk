# What most jobs share. A rule inherits it with `use rule job as ... with:` and adds its inputs, outputs, log and the
# function that it calls. The function's arguments are named like the rule's inputs, outputs and parameters.
#
# Two kinds of rules are not built on it: those whose adapter does more than call one function, and the training of a
# grid. An edit of an adapter re-runs every job that uses it, and an edit of the shared adapter must not train thousands
# of networks again.
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
