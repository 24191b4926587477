"""What the how-to says of the workflow: a normalizer of one's own in a grid, the rules in another workflow."""

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pandas as pd

from tests.documents import OWN_NORMALIZER, code_of
from tests.workplace import Workplace

# They are of batch normalization whatever the arms are, so those of the finished workplace stay as they are.
OTHER_FIGURES = ["mechanics", "inference", *(f"initialization/{start}_layers" for start in ("small", "xavier", "unit"))]


def test_a_grid_runs_with_the_normalizer_of_the_how_to(workplace: Workplace) -> None:
    code, names = code_of("how-to.md", OWN_NORMALIZER)
    with (workplace.folder / "bnpipe/modules/norms.py").open("a", encoding="utf-8") as file:
        file.write("\n\n" + code)
    settings = workplace.folder / "bnpipe/core/settings.py"
    text, replaced = re.subn(r"^Arm = .*\n", names, settings.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert replaced == 1
    settings.write_text(text, encoding="utf-8")
    condition = {"activation": "tanh", "learning_rate": 0.05, "init_std": 0.1, "steps": 25}
    arms = ["vanilla", "batchnorm", "meanonly"]
    workplace.configure(arms=arms, seeds=2, conditions={"tanh": condition}, studies={}, paper=None)
    workplace.run("--touch", *(f"results/digits/figures/{name}.svg" for name in OTHER_FIGURES))
    workplace.run("results/digits/report.html")
    runs = pd.read_csv(workplace.results / "tables/runs.csv")
    losses = runs.pivot_table("final_training_loss", "seed", "arm")
    assert set(losses) == set(arms)
    assert losses.notna().all(axis=None)
    assert (losses["meanonly"] != losses["vanilla"]).all()


def test_another_workflow_takes_the_rules_as_the_how_to_says(tmp_path: Path) -> None:
    (snakefile,) = code_of("how-to.md", "As a module of another workflow")
    module = tmp_path / "modules/bnpipe"
    module.mkdir(parents=True)
    own = Workplace.create(module)
    condition = {"activation": "tanh", "learning_rate": 0.05, "init_std": 0.1, "steps": 9}
    own.configure(seeds=2, conditions={"tanh": condition})
    configuration = (module / "config.yaml").read_text(encoding="utf-8")
    (module / "config.yaml").unlink()  # the module is handed its configuration
    (tmp_path / "Snakefile").write_text(snakefile, encoding="utf-8")
    # The other workflow's file is its own affair, a key that stands twice included.
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
