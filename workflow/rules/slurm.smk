# Snakemake's plugin for Slurm waits forever for a job that Slurm has forgotten, and for all of them after its last
# query has failed: a thread beside it ends such a run. What it takes for a lost node may be none, see NodeNames.
import os
import signal
from threading import Thread
from time import sleep

from snakemake.logging import logger

from bnpipe.grid.slurm import NodeNames, wait_in_vain

GRACE = 300  # seconds for Snakemake to cancel its jobs and to end


def jobs_waited_for():
    return [", ".join(job.output) for job in list(workflow.scheduler.running) if not job.is_local]


def limit_waiting():
    reason = wait_in_vain(Path.cwd(), jobs_waited_for, logger.warning)
    logger.error(f"error: {reason}; run the same command again")
    os.kill(os.getpid(), signal.SIGINT)
    sleep(GRACE)
    os._exit(1)  # the plugin still asks


onstart:
    if workflow.executor_plugin.name == "slurm":
        executor = workflow.scheduler._executor
        executor._failed_nodes = NodeNames(getattr(executor, "_failed_nodes", ()))
        Thread(target=limit_waiting, daemon=True).start()
