"""What the workflow makes of the studies of optimizers and weight decay."""

from bnpipe.grid.optimizer_studies import OptimizerStudies
from bnpipe.grid.plan import Plan
from tests.grid.test_stacks import configuration

PLAIN = {"activation": "tanh", "learning_rate": 0.01, "init_std": 0.1, "steps": 9}


def studies(**changes: object) -> OptimizerStudies:
    return Plan(configuration(**changes), "digits", "digits").optimizers


def test_what_is_left_out_makes_nothing() -> None:
    none = studies()
    assert (none.names, none.tables, none.entrants, none.of_entrants("curves")) == ([], [], {}, [])
    assert (none.seeds, none.tuning_seeds, none.weight_decays, none.equilibrium_seeds) == ((), (), (), ())
    assert none.rates("adam") == ()
    assert none.equilibrium_settings("vanilla") is None
    assert studies(equilibrium={}).tables == ["results/digits/studies/equilibrium/equilibrium.csv"]


def test_the_study_of_optimizers_has_tables_of_every_network() -> None:
    made = studies(optimizers={"learning_rates": {"adam": [1, 2, 3, 4, 5]}})
    assert made.names == ["optimizers"]
    assert made.tables == [f"results/digits/studies/optimizers/{name}.csv" for name in ("ratios", "seeds")]
    assert len(made.of_entrants("tuning")) == 12
    assert made.of_entrants("tuning")[5] == "results/digits/studies/optimizers/tuning-tanh-adam-batchnorm.csv"
    assert made.optimizers["relu-momentum-vanilla"] == "momentum"
    assert made.rates("adam") == (1, 2, 3, 4, 5)


def test_seeds_that_had_been_seen_or_choose_rates_are_left_out_if_there_are_others() -> None:
    assert studies(optimizers={"seeds": 2}, seeds=3).seeds == (2000, 2001)
    assert studies(optimizers={"seeds": 9}, seeds=[42, 500, 2005]).seeds == (2005,)
    assert studies(optimizers={"seeds": 2}, seeds=[42, 43, 44]).seeds == (42, 43)


def test_the_study_of_weight_decay_takes_the_first_plain_condition_at_its_own_rate() -> None:
    conditions = {"adam": {**PLAIN, "optimizer": "adam"}, "plain": {**PLAIN, "init_std": "he", "stop_at_accuracy": 0.5}}
    made = studies(conditions=conditions, equilibrium={"learning_rate": 0.3, "steps": 90, "seeds": 1})
    settings = made.equilibrium_settings("batchnorm")
    assert settings is not None
    kept = ("arm", "learning_rate", "steps", "init_std", "optimizer", "diagnostics", "stop_at_accuracy")
    assert [settings[name] for name in kept] == ["batchnorm", 0.3, 90, "he", "sgd", False, None]
    assert made.equilibrium_seeds == (42,)
    assert made.turns == [f"results/digits/studies/equilibrium/along-{arm}.csv" for arm in ("vanilla", "batchnorm")]
