"""Other optimizers need only configuration: in a condition, and in the studies of optimizers and weight decay."""

from pathlib import Path
from typing import Any

import pandas as pd

from bnpipe.core.records import read_record
from tests.workplace import Workplace

TANH = {"activation": "tanh", "learning_rate": 0.05, "init_std": 0.1, "steps": 9}
CONDITIONS = {
    "tanh_adam": {**TANH, "learning_rate": 0.001, "optimizer": "adam", "beta2": 0.99, "weight_decay": 0.01},
    "tanh": TANH,
}
OPTIMIZERS: dict[str, Any] = {
    "steps": 401,
    "seeds": 2,
    "tuning_seeds": [500],
    "learning_rates": {
        "sgd": [0.0316, 0.1, 0.316, 1, 3.16],
        "momentum": [0.00316, 0.01, 0.0316, 0.1, 0.316],
        "adam": [0.000316, 0.001, 0.00316, 0.01, 0.0316],
    },
}
EQUILIBRIUM = {"weight_decays": [0, 0.01], "steps": 101, "seeds": 1}
FIGURES = ("tanh_adam/all_seeds", "studies/optimizers", "studies/equilibrium")


def test_optimizers_are_used_by_configuration_alone(tmp_path: Path) -> None:
    workplace = Workplace.create(tmp_path)
    workplace.configure(
        conditions=CONDITIONS,
        hidden_sizes=[20, 20],
        evaluation_interval=20,
        chunk_size=10,
        optimizers=OPTIMIZERS,
        equilibrium=EQUILIBRIUM,
    )
    workplace.run(*(f"results/digits/figures/{name}.svg" for name in FIGURES))
    (path,) = (workplace.results / "runs/tanh_adam/batchnorm").glob("*.safetensors")
    record = read_record(path)
    assert {(own.optimizer, own.beta2, own.weight_decay) for own in record.settings} == {("adam", 0.99, 0.01)}
    assert "torch" in record.origin.versions
    studies = workplace.results / "studies"
    ratios = pd.read_csv(studies / "optimizers/ratios.csv")
    assert ratios["optimizer"].tolist() == ["sgd", "momentum", "adam"]
    assert (ratios["n"] == 2).all()
    seeds = pd.read_csv(studies / "optimizers/seeds.csv")
    assert set(seeds["seed"]) == {2000, 2001}
    equilibrium = pd.read_csv(studies / "equilibrium/equilibrium.csv")
    growth = dict(
        zip(zip(equilibrium["arm"], equilibrium["weight_decay"], strict=True), equilibrium["norm_growth"], strict=True)
    )
    assert growth["batchnorm", 0] > 1 > growth["batchnorm", 0.01]
    # A new rate of Adam gives a new trial of Adam's networks, and of no others.
    rates = {**OPTIMIZERS["learning_rates"], "adam": [0.0001, 0.001, 0.00316, 0.01, 0.0316]}
    workplace.configure(
        conditions=CONDITIONS,
        hidden_sizes=[20, 20],
        evaluation_interval=20,
        chunk_size=10,
        optimizers={**OPTIMIZERS, "learning_rates": rates},
        equilibrium=EQUILIBRIUM,
    )
    planned = workplace.planned("results/digits/figures/studies/optimizers.svg")
    assert (planned["optimizer_trials"], planned["optimizer_tuning"], planned["turns"]) == (2, 2, 0)
