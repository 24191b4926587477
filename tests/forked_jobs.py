"""Runs the scripts of jobs in forks of a process that has imported their libraries. This saves a second per job.

Nothing of bnpipe is imported before the fork. The tests of the Makefile, of clusters and of faults run jobs in
interpreters of their own. ``python -m tests.forked_jobs PATH`` is the server, which listens at a socket until its
standard input ends; `tests.forked_job` sends it a script and ends as the script does.
"""

import atexit
import gc
import json
import multiprocessing
import os
import runpy
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from select import select
from tempfile import TemporaryDirectory
from typing import Any

COMMAND = f"{{py_exec:q}} -IS {str(Path(__file__).with_name('forked_job.py'))!r} {{fname:q}}"  # in Snakemake's format
SOCKET = "BNPIPE_TEST_JOBS"  # environment variable that holds the address of the server
LIBRARIES = (
    *("altair", "jinja2", "numba", "pandas", "pydantic", "safetensors.numpy", "scipy.optimize", "scipy.special"),
    *("sklearn.datasets", "torch"),
    *("matplotlib.figure", "matplotlib.backends.backend_agg", "matplotlib.backends.backend_svg", "snakemake.script"),
)


@cache
def server() -> str:
    """Start the server of this process once, and return the path of its socket."""
    folder = TemporaryDirectory(prefix="bnpipe-jobs-")
    path = f"{folder.name}/socket"
    process = subprocess.Popen(
        [sys.executable, "-m", __name__, path],
        cwd=Path(__file__).parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    atexit.register(folder.cleanup)
    atexit.register(process.wait)
    atexit.register(process.stdin.close)
    return path


def serve(path: str) -> None:
    """Listen until the standard input ends. Run each script that is sent in a process of its own."""
    for name in LIBRARIES:
        import_module(name)
    gc.freeze()  # otherwise the first collection would copy the memory that the processes share
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the processes that wait for jobs
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        print("ready", flush=True)
        while listening in select([listening, sys.stdin], [], [])[0]:
            connection, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                answer(connection)
                os._exit(0)
            connection.close()


def answer(connection: socket.socket) -> None:
    """Receive a script and the surroundings of its process. Send the number of the process, then its exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    message, files, _, _ = socket.recv_fds(connection, 2**20, 3)
    job = multiprocessing.get_context("fork").Process(target=run, args=(json.loads(message), files))
    job.start()
    connection.sendall(f"{job.pid}\n".encode())
    job.join()
    with suppress(BrokenPipeError):
        connection.sendall(f"{job.exitcode}\n".encode())


def run(wanted: dict[str, Any], files: Sequence[int]) -> None:
    """Run a script in this process with the given working folder, environment and three standard files."""
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    sys.stdin = os.fdopen(0, closefd=False)
    os.chdir(wanted["folder"])
    os.environ.clear()
    os.environ.update(wanted["environment"])
    script = wanted["script"]
    sys.argv = [script]
    sys.path[:1] = [str(Path(script).parent), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    serve(sys.argv[1])
