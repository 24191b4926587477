"""Replaces a job's interpreter: sends its script to the server of `tests.forked_jobs` and ends as the script does."""

import json
import os
import signal
import socket
import sys

if __name__ == "__main__":
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(os.environ["BNPIPE_TEST_JOBS"])
        wanted = {"script": sys.argv[1], "folder": os.getcwd(), "environment": dict(os.environ)}  # noqa: PTH109 - pathlib is slow
        socket.send_fds(connection, [json.dumps(wanted).encode()], [0, 1, 2])
        with connection.makefile() as answers:
            job = int(answers.readline())
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, lambda received, _: os.kill(job, received))
            code = int(answers.readline())
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)
