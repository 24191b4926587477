from collections.abc import Callable
from math import inf, log, nan, sqrt
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike
from scipy.special import log_softmax, softmax

from bnpipe.core.settings import Arm
from bnpipe.networks import compiled
from bnpipe.networks.compiled import LINEAR, RELU, SIGMOID, TANH, Array, activate, activate_backward
from tests.networks.transform import Transform

PRECISIONS = [np.float32, np.float64]


def draw(*shape: int, seed: int = 1) -> Array:
    return np.random.default_rng(seed).normal(size=shape)


def activated(code: int, values: ArrayLike, number: type[np.floating] = np.float64) -> Array:
    """Return a nonlinearity of values in a row."""
    row: Array = np.array([values], number)
    activate(code, row)
    return row.ravel()


# Nonlinearities.


def test_tanh_in_single_precision_is_exact_to_six_units_in_the_last_place() -> None:
    tiny = np.logspace(-30, 1, 100_001)
    x = np.concatenate([np.linspace(-12, 12, 1_000_001), tiny, -tiny, [0.0, -0.0]]).astype(np.float32)
    exact = np.tanh(x.astype(np.float64))
    error = np.abs(activated(TANH, x, np.float32) - exact)
    assert (error <= 6 * np.spacing(np.abs(exact).astype(np.float32))).all()


def test_sigmoid_in_single_precision_is_exact_to_two_units_in_the_last_place_of_1() -> None:
    x = np.linspace(-20, 20, 1_000_001).astype(np.float32)
    exact = 1 / (1 + np.exp(-x.astype(np.float64)))
    np.testing.assert_allclose(activated(SIGMOID, x, np.float32), exact, rtol=0, atol=2 * 2**-23)


def test_nonlinearities_in_double_precision() -> None:
    x = np.linspace(-40, 40, 10_001)
    np.testing.assert_allclose(activated(TANH, x), np.tanh(x), rtol=1e-15, atol=0)
    np.testing.assert_allclose(activated(SIGMOID, x), 1 / (1 + np.exp(-x)), rtol=0, atol=4e-16)


@pytest.mark.parametrize("number", PRECISIONS)
def test_relu_cuts_off_what_is_negative(number: type[np.floating]) -> None:
    assert activated(RELU, [-inf, -2.5, -0.0, 0.0, 1e-30, 2.5, inf], number).tolist() == [
        *(0, 0, 0, 0),
        *(number(1e-30), 2.5, inf),
    ]


@pytest.mark.parametrize("number", PRECISIONS)
def test_the_linear_one_changes_nothing(number: type[np.floating]) -> None:
    values = [-inf, -2.5, 0.0, 2.5, inf]
    assert activated(LINEAR, values, number).tolist() == values


@pytest.mark.parametrize("number", PRECISIONS)
def test_far_from_0_nonlinearities_are_at_their_limits(number: type[np.floating]) -> None:
    far = np.array([8.5, 30, 1e30, inf])
    np.testing.assert_allclose(activated(TANH, [*far, *-far], number), [1] * 4 + [-1] * 4, rtol=0, atol=1e-7)
    np.testing.assert_allclose(activated(SIGMOID, [*far[1:], *-far[1:]], number), [1] * 3 + [0] * 3, rtol=0, atol=1e-7)
    assert activated(TANH, [inf, -inf], number).tolist() == [1, -1]
    assert activated(SIGMOID, [inf, -inf], number).tolist() == [1, 0]


@pytest.mark.parametrize("number", PRECISIONS)
@pytest.mark.parametrize("code", [LINEAR, TANH, RELU, SIGMOID])
def test_nan_stays_nan(code: int, number: type[np.floating]) -> None:
    assert np.isnan(activated(code, [1, nan, -1], number)).tolist() == [False, True, False]


SLOPES: dict[int, Callable[[Array], Array]] = {  # by the output
    LINEAR: np.ones_like,
    TANH: lambda y: 1 - y**2,
    RELU: lambda y: (y > 0).astype(y.dtype),
    SIGMOID: lambda y: y * (1 - y),
}


@pytest.mark.parametrize("number", PRECISIONS)
@pytest.mark.parametrize("code", SLOPES)
def test_a_gradient_is_multiplied_by_the_slope(code: int, number: type[np.floating]) -> None:
    output = activated(code, np.linspace(-3, 3, 30), number).reshape(5, 6)
    delta = draw(5, 6).astype(number)
    expected = delta * SLOPES[code](output)
    activate_backward(code, output, delta)
    np.testing.assert_allclose(delta, expected, rtol=0, atol=4 * float(np.finfo(number).eps))


@pytest.mark.parametrize("code", [TANH, RELU, SIGMOID])
def test_the_slope_is_that_of_finite_differences(code: int) -> None:
    x = np.array([-3, -1, -0.2, 0.3, 0.9, 4])
    slopes = np.ones((1, 6))
    activate_backward(code, activated(code, x)[np.newaxis], slopes)
    differences = (activated(code, x + 1e-6) - activated(code, x - 1e-6)) / 2e-6
    np.testing.assert_allclose(slopes[0], differences, rtol=1e-8, atol=1e-10)


def test_a_gradient_that_is_nan_passes_a_relu_that_is_nan() -> None:
    delta = np.array([[nan, 1.0, nan]])
    activate_backward(RELU, np.array([[nan, nan, 0.0]]), delta)
    assert np.isnan(delta).tolist() == [[True, False, False]]
    assert delta[0, 1:].tolist() == [1, 0]


# Transforms.


def test_a_bias_adds_and_descends() -> None:
    bias = Transform(2, arm="vanilla")
    delta = np.array([[1.0, -2.0], [3.0, 0.5]])
    assert bias.backward(delta).tolist() == delta.tolist()
    assert bias.learned.beta.tolist() == [-4.0, 1.5]  # 0 minus the sums of the columns
    assert bias.learned.gamma.tolist() == [1, 1]
    assert bias.forward(np.zeros((1, 2))).tolist() == [[-4.0, 1.5]]
    assert bias.infer(np.ones((1, 2))).tolist() == [[-3.0, 2.5]]


def test_sums_over_the_batch_are_added_in_the_order_of_the_images() -> None:
    # In float32 1e8 + 1 is 1e8: only this order leaves 0.
    bias = Transform(37, arm="vanilla", precision="float32")
    bias.backward(np.repeat(np.array([[1e8], [1], [-1e8]], np.float32), 37, axis=1))
    assert bias.learned.beta.tolist() == [0] * 37


def test_batch_normalization_by_hand() -> None:
    # One unit, batch 1, 3: mean 2, biased variance 1; (1 - 2) / sqrt(1 + 0.001) = -0.99950037...
    norm = Transform(1, batch_size=2)
    y = norm.forward(np.array([[1.0], [3.0]]))
    np.testing.assert_allclose(y.ravel(), [-0.9995003746877732, 0.9995003746877732], rtol=1e-14, atol=0)
    # moving averages start at 0 and 1: 0 + 0.01 * (2 - 0) = 0.02 and 1 + 0.01 * (1 - 1) = 1
    assert norm.learned.mean.item() == pytest.approx(0.02, rel=1e-14)
    assert norm.learned.variance.item() == pytest.approx(1.0, rel=1e-14)


def test_unbiased_moving_variance_by_hand() -> None:
    # Batch 1, 3: unbiased variance 2; 1 + 0.01 * (2 - 1) = 1.01
    norm = Transform(1, batch_size=2, moving_variance="unbiased")
    norm.forward(np.array([[1.0], [3.0]]))
    assert norm.learned.variance.item() == pytest.approx(1.01, rel=1e-14)


@pytest.mark.parametrize(("convention", "variance"), [("biased", 8 / 3), ("unbiased", 4.0)])
def test_with_weight_1_the_averages_are_the_statistics_of_the_newest_batch_whatever_its_size(
    convention: str, variance: float
) -> None:
    norm = Transform(2, batch_size=60, moving_average_weight=1.0, moving_variance=convention)
    norm.forward(draw(60, 2))
    norm.forward(np.array([[1.0, 5.0], [3.0, 7.0], [5.0, 9.0]]))
    assert norm.learned.mean.tolist() == pytest.approx([3, 7], rel=1e-14)
    assert norm.learned.variance.tolist() == pytest.approx([variance, variance], rel=1e-14)


def test_inference_by_hand() -> None:
    norm = Transform(2, np.array([2.0, 1.0]), np.array([0.5, -1.0]), epsilon=0.25)
    norm.learned.mean[:] = [3, 0]
    norm.learned.variance[:] = [2, 0.75]
    # 2 * (6 - 3) / sqrt(2.25) + 0.5 and (4 - 0) / sqrt(1) - 1
    np.testing.assert_allclose(norm.infer(np.array([[6.0, 4.0]])), [[4.5, 3.0]], rtol=1e-15)
    assert [norm.learned.mean.tolist(), norm.learned.variance.tolist()] == [[3, 0], [2, 0.75]]


def test_identity_with_gamma_the_standard_deviation_and_beta_the_mean() -> None:
    z = 2 * draw(60, 7) + 1
    norm = Transform(7, np.sqrt(z.var(axis=0) + 1e-3), z.mean(axis=0))
    np.testing.assert_allclose(norm.forward(z), z, rtol=0, atol=1e-13)


@pytest.mark.parametrize("rate", [1.0, 0.5])
def test_parameters_descend_by_their_share_of_the_rate(rate: float) -> None:
    z, delta, gamma, beta = draw(6, 4), draw(6, 4, seed=2), draw(4, seed=3), draw(4, seed=4)
    for arm in ("batchnorm", "layernorm", "groupnorm", "rmsnorm", "weightnorm"):
        norm = Transform(4, gamma, beta, arm=arm, groups=2, parameter_rate=rate)
        x_hat = (norm.forward(z) - beta) / gamma
        norm.backward(delta)
        np.testing.assert_allclose(norm.learned.beta, beta - rate * delta.sum(axis=0), rtol=1e-12)
        np.testing.assert_allclose(norm.learned.gamma, gamma - rate * (delta * x_hat).sum(axis=0), rtol=1e-12)


ROWS = np.array([[1.0, 3.0, 2.0, 6.0], [1.0, -1.0, 5.0, 1.0]])  # two images of four units
NORMALIZED: dict[Arm, list[list[float]]] = {
    # means 3 and 1.5, mean squared deviations (4 + 0 + 1 + 9) / 4 and (0.25 + 6.25 + 12.25 + 0.25) / 4
    "layernorm": [
        [-2 / sqrt(3.5), 0, -1 / sqrt(3.5), 3 / sqrt(3.5)],
        [-0.5 / sqrt(4.75), -2.5 / sqrt(4.75), 3.5 / sqrt(4.75), -0.5 / sqrt(4.75)],
    ],
    "groupnorm": [[-1, 1, -1, 1], [1, -1, 1, -1]],  # two values lie one standard deviation from their mean
    # mean squares (1 + 9 + 4 + 36) / 4 and (1 + 1 + 25 + 1) / 4
    "rmsnorm": [(ROWS[0] / sqrt(12.5)).tolist(), (ROWS[1] / sqrt(7)).tolist()],
}


@pytest.mark.parametrize("arm", NORMALIZED)
def test_normalizations_of_each_image_by_hand_the_same_in_both_modes(arm: Arm) -> None:
    gamma, beta = np.array([1.0, 2.0, 0.5, -1.0]), np.array([0.0, 1.0, -1.0, 3.0])
    norm = Transform(4, gamma, beta, arm=arm, groups=2, epsilon=0)
    expected = np.array(NORMALIZED[arm]) * gamma + beta
    np.testing.assert_allclose(norm.forward(ROWS), expected, rtol=0, atol=1e-14)
    np.testing.assert_allclose(norm.infer(ROWS), expected, rtol=0, atol=1e-14)
    np.testing.assert_allclose(norm.infer(ROWS[1:]), expected[1:], rtol=0, atol=1e-14)


def test_weight_normalization_by_hand() -> None:
    weight = np.array([[3.0, 0.0], [4.0, 2.0]])  # norms 5 and 2
    norm = Transform(2, np.array([10.0, 1.0]), np.array([1.0, 0.0]), weight, arm="weightnorm")
    z = np.array([[1.0, 4.0], [-2.0, 0.0]])
    np.testing.assert_allclose(norm.forward(z), [[3, 2], [-3, 0]], rtol=1e-14)
    np.testing.assert_allclose(norm.infer(z), [[3, 2], [-3, 0]], rtol=1e-14)
    slope_z = norm.backward(np.array([[1.0, 1.0], [0.0, 1.0]]))
    np.testing.assert_allclose(slope_z, [[2, 0.5], [0, 0.5]], rtol=1e-14)  # gamma / norm
    # Slopes of gamma, sums of delta * z / norm: 1 / 5 and 2. Weights grow by gamma / norm^2 times them.
    np.testing.assert_allclose(norm.kept.growth, [10 / 25 / 5, 2 / 4], rtol=1e-14)


def test_epsilon_is_inside_the_root() -> None:
    z = np.array([[0.0, 2.0], [2.0, 0.0]])  # over the batch and over the units: mean 1, variance 1
    for arm in ("batchnorm", "layernorm"):
        np.testing.assert_allclose(Transform(2, arm=arm, epsilon=3).forward(z), [[-0.5, 0.5], [0.5, -0.5]], rtol=1e-15)


# Losses and predictions.


def cross_entropy(logits: Array, labels: list[int], rate: float = 1.0) -> tuple[float, Array]:
    """Return the loss, and rate times its gradient."""
    delta = np.empty_like(logits)
    return compiled._cross_entropy(logits, np.array(labels), logits.dtype.type(rate), delta), delta


def test_cross_entropy_by_hand() -> None:
    # Logits 0, ln 3: probabilities 1/4 and 3/4. Labels 0 and 1: loss (ln 4 + ln 4/3) / 2.
    loss, delta = cross_entropy(np.array([[0.0, log(3)], [0.0, log(3)]]), [0, 1], rate=0.5)
    assert loss == pytest.approx((log(4) + log(4 / 3)) / 2, rel=1e-14)
    expected = 0.5 * np.array([[-3 / 8, 3 / 8], [1 / 8, -1 / 8]])  # rate * (p - one-hot) / 2
    np.testing.assert_allclose(delta, expected, rtol=1e-14)


@pytest.mark.parametrize(("number", "tolerance"), [(np.float32, 1e-6), (np.float64, 1e-14)])
def test_cross_entropy_of_logits_far_apart(number: type[np.floating], tolerance: float) -> None:
    logits, labels = (100 * draw(50, 10)).astype(number), np.arange(50) % 10
    loss, delta = cross_entropy(logits, labels.tolist())
    expected = -log_softmax(logits.astype(np.float64), axis=1)[np.arange(50), labels].mean()
    assert loss == pytest.approx(expected, rel=tolerance)
    slopes = (softmax(logits.astype(np.float64), axis=1) - np.eye(10)[labels]) / 50
    np.testing.assert_allclose(delta, slopes, rtol=0, atol=tolerance)


def test_cross_entropy_of_what_is_not_finite() -> None:
    for bad in (nan, inf):
        for place in range(3):
            logits = np.zeros((2, 3))
            logits[0, place] = bad
            loss, delta = cross_entropy(logits, [0, 0])
            assert np.isnan(loss)
            assert np.isnan(delta).tolist() == [[True] * 3, [False] * 3]
    loss, delta = cross_entropy(np.array([[0.0, -inf]]), [1])  # an impossible class came true
    assert loss == inf
    assert delta.tolist() == [[1, -1]]
    loss, delta = cross_entropy(np.array([[0.0, -inf]]), [0])
    assert loss == 0
    assert delta.tolist() == [[0, 0]]


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ([1, 3, 2], 1),
        ([3, 1, 3], 0),
        ([-inf, -inf], 0),
        ([1, inf, nan, inf, nan], 2),
        ([nan, inf], 0),
        ([nan, nan], 0),
        ([-1, -2, nan], 2),
    ],
)
def test_the_first_highest_value_nan_being_the_highest(values: list[float], place: int) -> None:
    assert compiled._first_highest(np.array(values)) == np.argmax(values) == place


# Compilation.


def test_where_no_folder_can_be_written_functions_are_compiled_without_a_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**options: Any) -> Callable[..., Any]:
        if options.pop("cache", False):
            raise RuntimeError("cannot cache function: no locator available")
        return lambda function: (function, options)

    monkeypatch.setattr(compiled, "njit", refuse)
    assert compiled.compiled(draw) == (draw, {"error_model": "numpy"})
