# What happens around a run. (In a module Snakemake leaves handlers out.)


# Snakemake's plugin for Slurm may wait forever: see `bnpipe.grid.internals.guard_slurm`.
onstart:
    try:
        check_interpreter(workflow)
    except InputError as error:
        sys.exit(error.for_terminal())
    guard_slurm(workflow, say=logger.warning, complain=logger.error)
