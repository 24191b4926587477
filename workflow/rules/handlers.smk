# What happens around a run. (Snakemake ignores the handlers of a module.)


# Snakemake's plugin for Slurm may wait forever: see `bnpipe.grid.internals.guard_slurm`.
onstart:
    try:
        check_interpreter(workflow)
    except InputError as error:
        sys.exit(error.for_terminal())
    guard_slurm(workflow, say=logger.warning, complain=logger.error)
