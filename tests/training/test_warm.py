import os
import subprocess
import sys
from pathlib import Path

from tests.workplace import copy_project

PROGRAM = """
import numpy as np
from bnpipe.networks import compiled
from bnpipe.training.warm import compile_all

compile_all("float32", "float64")
for name in ("train", "evaluate", "take_step", "infer", "survey"):
    stats = getattr(compiled, name).stats
    print(name, sum(stats.cache_misses.values()), sum(stats.cache_hits.values()))
"""


def test_what_was_compiled_is_kept_beside_the_code_and_read_by_the_next_process(tmp_path: Path) -> None:
    copy_project(tmp_path)  # with what is compiled already, so that this test need not wait for it
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}

    def run() -> str:
        command = [sys.executable, "-c", PROGRAM]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run()
    assert list((tmp_path / "bnpipe/networks/__pycache__").glob("compiled.train-*.nbc"))
    for line in run().splitlines():
        _, misses, hits = line.split()
        assert (misses, hits) == ("0", "2"), line  # in both precisions
