"""A copy of the project with a small configuration on scikit-learn's digits, in which tests run the workflow."""

import json
import multiprocessing
import os
import re
import runpy
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import yaml

from tests import forked_jobs

REPOSITORY = Path(__file__).resolve().parents[1]
TIME_LIMIT = 1800  # seconds for a run of the workflow; two quiet cores take less than a tenth
PARTS = ("Snakefile", "bnpipe", "profiles", "workflow")
CONFIGURATION: dict[str, Any] = {
    "dataset": "digits",
    "seeds": 2,
    "conditions": {
        "tanh": {"activation": "tanh", "learning_rate": 0.01, "init_std": 0.1, "steps": 25},
        "relu_bad_init": {"activation": "relu", "learning_rate": 0.01, "init_std": 1, "steps": 25},
    },
    "studies": {
        "precision": {
            "about": "In single and in double precision?",
            "default": True,
            "arms": ["vanilla"],
            "condition": {"activation": "relu", "learning_rate": 0.01, "init_std": 1, "steps": 9},
            "sweep": {"precision": ["float32", "float64"]},
        },
        "learning_rate_and_init": {
            "about": "Which learning rates?",
            "condition": {"activation": "tanh", "learning_rate": 0.01, "init_std": 0.1, "steps": 9},
            "sweep": {"learning_rate": [0.01, 0.1], "init_std": [0.1, 1]},
        },
        "regularization": {
            "about": "Does it regularize?",
            "condition": {
                "activation": "tanh",
                "learning_rate": 0.05,
                "init_std": 0.1,
                "steps": 17,
                "evaluate_training": True,
            },
            "sweep": {"training_images": [200, None], "normalize_logits": [True, False]},
        },
    },
    "paper": {
        "seeds": 2,
        "condition": {
            "activation": "sigmoid",
            "learning_rate": 0.1,
            "init_std": 0.1,
            "steps": 17,
            "hidden_sizes": "3 x 10",
            "binarize": True,
            "normalize_logits": False,
        },
    },
    "hidden_sizes": [20] * 9,
    "evaluation_interval": 8,
    "chunk_size": 2,
    "runs_per_job": 6,
}
FIRST_CHUNK = "seeds-42-2000-5884f2a46b32"  # of the three seeds, the tutorial's and the first fresh one
_TANH, _RELU = ({"activation": name, "learning_rate": 0.01, "init_std": 0.1, "steps": 25} for name in ("tanh", "relu"))
ALL_STUDIES: dict[str, Any] = {
    # Everything that registered claims need. So few steps decide nothing, but every table is made and read.
    "hidden_sizes": [20] * 3,  # reach 90% on the digits within a few hundred steps, so that there are best rates
    "conditions": {
        "tanh": _TANH,  # the first of each nonlinearity is tuned
        "relu": _RELU,
        "tanh_bad_init": {**_TANH, "init_std": 1},
        "tanh_bad_init_high_lr": {**_TANH, "init_std": 1, "learning_rate": 1},
        "relu_bad_init": {**_RELU, "init_std": 1},
    },
    "studies": {
        **CONFIGURATION["studies"],
        "initializations": {
            "about": "How far does accuracy depend on the initialization?",
            "condition": {**_TANH, "steps": 9},
            "sweep": {"learning_rate": [0.01], "init_std": [0.1, 1]},
        },
        "usable_rates": {
            "about": "Over how wide a range of learning rates does each network learn?",
            "condition": {**_TANH, "steps": 9},
            "sweep": {"activation": ["tanh", "relu"], "learning_rate": [0.01, 0.1, 1]},
        },
        "steadiness": {
            "about": "How steady is accuracy?",
            "condition": {**_TANH, "steps": 161, "evaluation_interval": 1},
            "sweep": {"activation": ["tanh", "relu"], "init_std": [0.1]},
        },
        "steadiness_bad_weights": {
            "about": "How steady is it from bad weights?",
            "condition": {**_TANH, "init_std": 1, "steps": 161, "evaluation_interval": 1},
            "sweep": {"activation": ["tanh"], "init_std": [1]},
        },
        "convolutional": {
            "about": "Which verdicts carry over?",
            "condition": {**_TANH, "network": "convolutional", "channels": [4, 8], "steps": 9},
            "sweep": {"init_std": [0.1, 1]},
        },
        "transfers": {
            "about": "Is the first mini-batch enough?",
            "arms": ["vanilla", "batchnorm", "firstbatch", "noisybatchnorm"],
            "condition": {**_TANH, "steps": 17, "stop_at_accuracy": 0.9},
            "sweep": {"activation": ["tanh"]},
        },
    },
    "best_rate": {
        "steps": 401,
        "tuning": {"learning_rates": [0.01, 0.0316, 0.1, 0.316, 1, 3.16, 10, 100], "seeds": [500]},
        "preview": {"learning_rates": [0.0316, 0.1, 0.316, 1, 3.16], "seeds": [500]},
    },
}
# Importing Snakemake takes two seconds. A server process imports it once and then forks.
FORKED = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(["snakemake.cli"])


def copy_project(folder: Path) -> None:
    """Copy the files of the workflow, without a configuration, into an existing folder.

    This includes compiled code (`*.nbi`, `*.nbc`). numba uses it for the copy, because files keep their times.
    """
    for part in PARTS:
        source = REPOSITORY / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("*.pyc"))
        else:
            shutil.copy(source, folder / part)


class Workplace:
    """A folder that holds a copy of the project with a small configuration."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def create(cls, folder: Path) -> Self:
        """Copy the project into an existing folder."""
        copy_project(folder)
        workplace = cls(folder)
        workplace.configure()
        return workplace

    def copy(self, folder: Path) -> "Workplace":
        """Copy the workplace with its results into another folder. The results stay up to date."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        # Snakemake's metadata hold absolute paths of a page's templates. It would render the page again if they stayed.
        here, there = (json.dumps(f"{place}/").strip('"') for place in (self.folder, folder))
        for path in (folder / ".snakemake/metadata").rglob("*"):
            if path.is_file() and here in (text := path.read_text(encoding="utf-8")):
                path.write_text(text.replace(here, there), encoding="utf-8")
        return Workplace(folder)

    def configure(self, **changes: object) -> None:
        text = yaml.safe_dump({**CONFIGURATION, **changes}, sort_keys=False)
        (self.folder / "config.yaml").write_text(text, encoding="utf-8")

    def snakemake(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run Snakemake in a process of its own, as its command does."""
        command = ["snakemake", "--cores", "2", *arguments]
        with TemporaryDirectory() as kept:
            said, complained = Path(kept, "stdout"), Path(kept, "stderr")
            environment = {**os.environ, "PYTHONPATH": str(self.folder), forked_jobs.SOCKET: forked_jobs.server()}
            process = FORKED.Process(target=_run_snakemake, args=(command, self.folder, environment, said, complained))
            process.start()
            process.join(TIME_LIMIT)
            if process.exitcode is None:
                process.terminate()
                raise subprocess.TimeoutExpired(command, TIME_LIMIT)
            texts = (path.read_text(encoding="utf-8") for path in (said, complained))
            return subprocess.CompletedProcess(command, process.exitcode, *texts)

    def run(self, *arguments: str) -> None:
        done = self.snakemake(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr

    def planned(self, target: str = "all") -> Counter[str]:
        """Return how many jobs of each rule would run now."""
        done = self.snakemake("--dry-run", "--quiet", "host", "--", target)
        assert done.returncode == 0, done.stdout + done.stderr
        jobs = re.findall(r"^(?:local)?rule (\w+):", done.stdout + done.stderr, re.MULTILINE)
        return Counter(job for job in jobs if job != target)

    @property
    def results(self) -> Path:
        return self.folder / "results/digits"

    def contents(self) -> dict[str, bytes]:
        return {
            path.relative_to(self.results).as_posix(): path.read_bytes()
            for path in sorted(self.results.rglob("*"))
            if path.is_file() and path.suffix != ".safetensors"
        }


def _run_snakemake(
    command: Sequence[str], folder: Path, environment: dict[str, str], said: Path, complained: Path
) -> None:
    from snakemake.script import PythonScript  # not at the top, because it takes two seconds: see above

    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for number, path in ((1, said), (2, complained)):
        with path.open("wb") as file:
            os.dup2(file.fileno(), number)
    sys.path.insert(0, str(folder))
    sys.argv = [*command]
    execute = PythonScript._execute_cmd
    PythonScript._execute_cmd = lambda script, _, **values: execute(script, forked_jobs.COMMAND, **values)
    runpy.run_module("snakemake", run_name="__main__", alter_sys=True)
