from bnpipe.analysis.registry.tutorial import tutorial_claims


def test_every_claim_is_measured_at_the_tutorials_own_settings() -> None:
    for claim in tutorial_claims():
        assert "learning rate 0.01" in claim.condition or claim.key == "learning-rate-1-bad-weights-tanh"


def test_bad_weights_have_std_1() -> None:
    for claim in tutorial_claims():
        assert ("bad weights" in claim.statement or "relu-dies" in claim.key) == ("init std 1" in claim.condition)
