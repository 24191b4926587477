from bnpipe.analysis.registry.best_rates import best_rate_claims


def test_rates_are_each_networks_own_except_where_they_are_what_is_measured() -> None:
    for claim in best_rate_claims():
        own = "own best learning rate" in claim.condition
        assert own or claim.tables in (("usable_rates",), ("regularization",))


def test_steps_are_compared_with_vanilla_from_good_weights_too() -> None:
    compared = [claim.measure.partition("validation accuracy, ")[2] for claim in best_rate_claims()]
    for pair in ("tanh-vanilla over", "relu-vanilla over", "relu-vanilla-he over", "tanh-vanilla-xavier over"):
        assert sum(pair in each for each in compared) == 1
