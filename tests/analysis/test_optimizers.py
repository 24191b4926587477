from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bnpipe.analysis.optimizers import RATIO_COLUMNS, SEED_COLUMNS, answer, make_ratios, ratios_table, seeds_table
from bnpipe.analysis.words import TIMES
from bnpipe.core.csv_files import read_table, write_table

OPTIMIZERS = ("sgd", "momentum", "adam")
SEEDS = (2000, 2001, 2002)
# Updates of vanilla at the three seeds; those of batchnorm are 100.
VANILLA = {"sgd": (200.0, 400.0, 800.0), "momentum": (100.0, 200.0, 400.0), "adam": (190.0, np.nan, 900.0)}


def trained() -> pd.DataFrame:
    rows = [
        ("tanh", optimizer, arm, seed, updates if arm == "vanilla" else 100.0)
        for optimizer in OPTIMIZERS
        for arm in ("batchnorm", "vanilla")
        for seed, updates in zip(SEEDS, VANILLA[optimizer], strict=True)
    ]
    return pd.DataFrame(rows, columns=["activation", "optimizer", "arm", "seed", "updates_to_90"])


def trials() -> pd.DataFrame:
    rows = [
        (
            "tanh",
            f"tanh-{optimizer}-{arm}",
            optimizer,
            arm,
            rate,
            rate == best,
            arm == "batchnorm" or optimizer == "sgd",
        )
        for optimizer in OPTIMIZERS
        for arm, best in (("vanilla", 0.1), ("batchnorm", 1.0))
        for rate in (0.1, 0.1, 1.0, 1.0)  # two tuning seeds
    ]
    columns = ["activation", "entrant", "optimizer", "arm", "learning_rate", "chosen", "inside"]
    return pd.DataFrame(rows, columns=columns)


def test_networks_are_paired_by_seed() -> None:
    table = seeds_table(trained())
    assert list(table.columns) == SEED_COLUMNS
    assert table["optimizer"].tolist() == [name for name in OPTIMIZERS for _ in SEEDS]
    assert table["ratio"].tolist()[:4] == [2, 4, 8, 1]
    assert np.isnan(table["ratio"][7])


def test_the_ratios_by_hand() -> None:
    table = ratios_table(seeds_table(trained()), trials())
    assert list(table.columns) == RATIO_COLUMNS
    sgd, momentum, adam = table.to_dict("records")
    assert (sgd["vanilla_rate"], sgd["batchnorm_rate"], sgd["inside"], momentum["inside"]) == (0.1, 1.0, True, False)
    assert (sgd["n"], adam["n"]) == (3, 2)
    assert (sgd["vanilla"], sgd["batchnorm"], sgd["ratio"]) == pytest.approx((400, 100, 4))
    # Logarithms are log 4 and log 2 to either side: deviation log 2, and Student's quantile of 2 degrees is 4.3027.
    half = np.exp(4.302653 * np.log(2) / np.sqrt(3))
    assert (sgd["low"], sgd["high"]) == pytest.approx((4 / half, 4 * half), rel=1e-6)
    assert np.isnan([sgd["relative"], sgd["relative_low"]]).all()
    # Each seed's ratio is half of that under plain descent: the interval is a point.
    assert (momentum["relative"], momentum["relative_low"], momentum["relative_high"]) == pytest.approx((0.5, 0.5, 0.5))
    assert adam["relative"] == pytest.approx(np.sqrt(0.95 * 1.125))


def test_the_answer_says_whether_the_lead_shrinks() -> None:
    table = ratios_table(seeds_table(trained()), trials())
    assert answer(table) == (
        "With tanh, the ratio of updates to 90%, vanilla over batchnorm, is 4.00 (0.71 to 22) with sgd, 2.00 (0.36 "
        f"to 11) with momentum and 4.14 (2{TIMES}10⁻⁴ to 8{TIMES}10⁴) with adam. Compared with sgd, this ratio shrinks "
        "to 0.50 times its size with momentum and shows no clear change with adam."
    )
    alone = table.assign(relative_low=1.2, relative_high=1.4, relative=1.3)[1:2]
    assert answer(alone).endswith("Compared with sgd, this ratio grows to 1.30 times its size with momentum.")
    assert "Compared" not in answer(table[:1])
    unknown = ratios_table(seeds_table(trained().assign(updates_to_90=np.nan)), trials())
    assert "is unknown with sgd, unknown with momentum and unknown with adam." in answer(unknown)
    assert answer(unknown).count("shows no clear change") == 2


def test_tables_of_all_networks_become_two(tmp_path: Path) -> None:
    # A curve that passes 90% at step 100 s needs as many updates: those of vanilla take twice the steps of batchnorm.
    optimizers = {
        f"relu-{optimizer}-{arm}": optimizer for optimizer in ("sgd", "adam") for arm in ("vanilla", "batchnorm")
    }
    for name in optimizers:
        _, _, arm = name.split("-")
        keys = {"entrant": name, "activation": "relu", "arm": arm, "init_std": "he", "learning_rate": 0.1}
        steps = (0, 199) if arm == "vanilla" else (0, 99)
        rows = [{**keys, "seed": seed, "step": step, "accuracy": 0.9 * (step > 0)} for seed in SEEDS for step in steps]
        write_table(pd.DataFrame(rows), tmp_path / f"curves-{name}.csv")
        tuning = [{**keys, "seed": 500, "updates_to_90": 99, "chosen": True, "inside": True}]
        write_table(pd.DataFrame(tuning), tmp_path / f"tuning-{name}.csv")
    curves, tunings = ([tmp_path / f"{table}-{name}.csv" for name in optimizers] for table in ("curves", "tuning"))
    make_ratios(curves, tunings, optimizers, tmp_path / "seeds.csv", tmp_path / "ratios.csv")
    assert read_table(tmp_path / "seeds.csv")["ratio"].tolist() == [2] * 6
    assert read_table(tmp_path / "ratios.csv")["optimizer"].tolist() == ["sgd", "adam"]
