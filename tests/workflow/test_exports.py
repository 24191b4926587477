"""Results for other programs: what is asked for is made, and nothing else."""

from collections import Counter

import pandas as pd
import torch

import bnpipe
from bnpipe.data.packed import open_dataset
from bnpipe.report.tensorboard import FILE
from tests.workplace import CONFIGURATION, FIRST_CHUNK, Workplace


def test_figures_tables_and_curves_are_exported_and_no_more_is_made(workplace: Workplace) -> None:
    figures = [path for path in workplace.results.rglob("*.svg") if path.parent.name != "studies"]
    assert workplace.planned("exports") == Counter(pdf=len(figures) + 1, latex=1, latex_of_study=1)
    before = workplace.contents()
    wanted = ("figures/tanh/all_seeds.pdf", "tables/claims.tex", "tables/studies/precision.tex", "tensorboard")
    workplace.run(*(f"results/digits/exports/{name}" for name in wanted))
    made = workplace.contents()
    own = "exports/tensorboard/.snakemake_timestamp"  # written by Snakemake
    exported = {name.removeprefix("exports/") for name in made.keys() - before.keys() - {own}}
    assert {name: made[name] for name in before} == before
    curves = {
        f"tensorboard/{condition}/{arm}/seed-{seed}/{FILE}"
        for condition in ("tanh", "relu_bad_init")
        for arm in ("vanilla", "batchnorm")
        for seed in (42, 2000, 2001)
    }
    assert exported == {*wanted[:3], "tables/summary.tex", "tables/comparison.tex", *curves}
    assert workplace.planned("exports")["latex"] == 0


def test_a_condition_that_keeps_its_weights_is_trained_again_and_alone(workplace: Workplace) -> None:
    before = workplace.contents()
    tanh = {**CONFIGURATION["conditions"]["tanh"], "keep_weights": True}
    workplace.configure(conditions={**CONFIGURATION["conditions"], "tanh": tanh})
    runs = "results/digits/tables/runs.csv"
    assert workplace.planned(runs) == Counter(train=2 * 2, tables=1)  # arms, chunks
    workplace.run(runs)
    for name in ("accuracy", "runs", "summary", "comparison"):
        assert workplace.contents()[f"tables/{name}.csv"] == before[f"tables/{name}.csv"]
    table = pd.read_csv(workplace.folder / runs)
    test = open_dataset(workplace.folder / "resources/digits/packed.safetensors").test
    of_tanh = table[(table["condition"] == "tanh") & table["record"].str.contains(FIRST_CHUNK)]
    assert len(of_tanh) == 2 * 2  # arms, seeds of the chunk
    for record, seed, accuracy in zip(of_tanh["record"], of_tanh["seed"], of_tanh["test_accuracy"], strict=True):
        network = bnpipe.to_torch_module(workplace.results / record, seed)
        with torch.no_grad():
            right = network(torch.from_numpy(test.shown())).argmax(dim=1).numpy() == test.labels
        assert f"{right.mean():.9g}" == f"{accuracy:.9g}"
