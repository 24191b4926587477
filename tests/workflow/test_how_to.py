"""What the how-to says about the workflow: your own parts in a grid, and the rules in another workflow."""

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pandas as pd

from tests.documents import OWN_PARTS, code_of
from tests.workplace import Workplace

# They are about batch normalization whatever the arms are, so those of the finished workplace need not be made again.
OTHER_FIGURES = ["mechanics", "inference", *(f"initialization/{start}_layers" for start in ("small", "xavier", "unit"))]


def test_a_grid_runs_with_the_parts_of_the_how_to(workplace: Workplace) -> None:
    (code,) = code_of("how-to.md", OWN_PARTS)
    file = workplace.folder / "norms.py"
    file.write_text(code, encoding="utf-8")
    tanh = {"activation": "tanh", "learning_rate": 0.05, "init_std": 0.1, "steps": 25}
    conditions = {"tanh": tanh, "swish": {**tanh, "activation": "norms:swish"}}
    arms = ["vanilla", "batchnorm", "norms:MeanOnly"]
    configuration = {"seeds": 2, "conditions": conditions, "studies": {}, "paper": None}
    workplace.configure(arms=arms, **configuration)
    workplace.run("--touch", *(f"results/digits/figures/{name}.svg" for name in OTHER_FIGURES))
    workplace.run("results/digits/report.html")
    runs = pd.read_csv(workplace.results / "tables/runs.csv")
    losses = runs.pivot_table("final_training_loss", ["condition", "seed"], "arm")
    assert set(losses) == {"vanilla", "batchnorm", "MeanOnly"}
    assert losses.notna().all(axis=None)
    assert (losses["MeanOnly"] != losses["vanilla"]).all()
    assert (losses.xs("swish").to_numpy() != losses.xs("tanh").to_numpy()).all()
    page = (workplace.results / "report.html").read_text(encoding="utf-8")
    assert "vanilla against batchnorm against MeanOnly" in page
    assert "MeanOnly: final validation accuracy" in page

    # A change trains only the networks with these parts again. They are in chunks of two seeds.
    file.write_text(code + "\n# changed\n", encoding="utf-8")
    planned = workplace.planned()
    assert planned["train"] == 2 * (1 + 3)  # MeanOnly with tanh, all arms with swish
    assert {"initialization", "tables", "report"} <= set(planned)
    assert not {"mechanics", "inference", "activations"} & set(planned)
    done = workplace.snakemake(
        "--rerun-triggers", "mtime", "--forcerun", "tables", "--", "results/digits/tables/runs.csv"
    )
    assert "code of norms:" in done.stdout + done.stderr  # a record of the old part does not pass for a new one

    file.write_text("import torch\n", encoding="utf-8")
    done = workplace.snakemake("--dry-run")
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("error: ")]
    assert [re.sub(r":\d+:", ":", line) for line in lines] == [
        f"error: config.yaml: {key}: expected a name that {file} defines (torch), got {name}; define it there, or "
        "correct the name"
        for key, name in (("arms.2", "MeanOnly"), ("conditions.swish.activation", "swish"))
    ]
    assert "Traceback" not in done.stdout + done.stderr


def test_another_workflow_takes_the_rules_as_the_how_to_says(tmp_path: Path) -> None:
    (snakefile,) = code_of("how-to.md", "As a module of another workflow")
    module = tmp_path / "modules/bnpipe"
    module.mkdir(parents=True)
    own = Workplace.create(module)
    condition = {"activation": "tanh", "learning_rate": 0.05, "init_std": 0.1, "steps": 9}
    own.configure(seeds=2, conditions={"tanh": condition})
    configuration = (module / "config.yaml").read_text(encoding="utf-8")
    (module / "config.yaml").unlink()  # the module gets its configuration from the other workflow
    (tmp_path / "Snakefile").write_text(snakefile, encoding="utf-8")
    # bnpipe does not check the other workflow's file, not even for duplicate keys.
    text = f"colour: red\ncolour: blue\nbnpipe:\n{textwrap.indent(configuration, '  ')}"
    (tmp_path / "config.yaml").write_text(text, encoding="utf-8")

    def snakemake(*arguments: str) -> str:
        command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    snakemake()
    assert (tmp_path / "accuracies.csv").read_text(encoding="utf-8").startswith("condition,arm,n,diverged,mean\n")
    for target, rule in (("bnpipe_all", "bnpipe_report"), ("bnpipe_studies", "bnpipe_studies_report")):
        assert re.search(rf"^{rule} +1$", snakemake("--dry-run", target), re.MULTILINE)
    assert sorted(path.name for path in (tmp_path / "normalization").iterdir()) == ["logs", "resources", "results"]
