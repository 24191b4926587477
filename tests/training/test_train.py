from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from bnpipe.core.errors import InputError
from bnpipe.core.records import Arrays, Curves
from bnpipe.core.settings import Arm, BuiltInArm, Runs, Shape, TrainingSettings
from bnpipe.data.packed import Dataset, Images, open_dataset
from bnpipe.data.prepare import prepare
from bnpipe.modules.engine import TorchEngine
from bnpipe.networks.network import CODES
from bnpipe.training.checkpoints import Checkpoints
from bnpipe.training.engines import COMPILED, Engine, engine_on_cpu
from bnpipe.training.train import train_runs
from tests import reference
from tests.conftest import make_runs
from tests.idx_files import REAL_MNIST, needs_real_mnist

ARMS: tuple[Arm, ...] = ("vanilla", "batchnorm")


def plain(images: Images) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.from_numpy(images.shown()), torch.from_numpy(images.labels)


@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.parametrize("activation", sorted(CODES))
@pytest.mark.parametrize("engine", [COMPILED, TorchEngine()], ids=["compiled", "torch"])
def test_follows_the_contract_like_a_plain_implementation(
    dataset: Dataset, arm: Arm, activation: str, engine: Engine
) -> None:
    # Three hidden layers: with nine, rounding differences of relu networks grow too fast to compare.
    runs = make_runs([42, 43], arm=arm, activation=activation, steps=121, hidden_sizes=(100,) * 3)
    curves = train_runs(runs, dataset, engine=engine)
    for run, seed in enumerate((42, 43)):
        images = plain(dataset.train), plain(dataset.validation)
        accuracy, loss = reference.train(seed, activation, arm, 0.01, 0.1, 121, [100] * 3, *images)
        np.testing.assert_allclose(curves.training_loss[run], loss, rtol=1e-3)
        np.testing.assert_allclose(curves.accuracy[run], accuracy, atol=2.5 / 700)  # two images of 700
    assert curves.steps.tolist() == [0, 60, 120]


@pytest.mark.parametrize("engine", [COMPILED, TorchEngine()], ids=["compiled", "torch"])
def test_networks_fit_images_of_any_size_colour_and_number_of_classes(engine: Engine) -> None:
    rng, shape = np.random.default_rng(0), Shape(channels=3, rows=5, columns=7, classes=4)

    def draw(count: int) -> Images:
        return Images(rng.integers(0, 256, (count, 105), np.uint8), rng.integers(0, 4, count), shape)

    train, validation = draw(300), draw(100)
    runs = make_runs([42], steps=61, hidden_sizes=(20, 20), diagnostics=True)
    curves = train_runs(runs, Dataset(train, validation, validation, sha256=""), engine=engine)
    images = plain(train), plain(validation)
    accuracy, loss = reference.train(42, "tanh", "batchnorm", 0.01, 0.1, 61, [20, 20], *images)
    np.testing.assert_allclose(curves.training_loss[0], loss, rtol=1e-4)
    np.testing.assert_allclose(curves.accuracy[0], accuracy, atol=1.5 / 100)  # an image of 100


@pytest.mark.parametrize("hidden", [True, False])
@pytest.mark.parametrize("engine", [COMPILED, TorchEngine()], ids=["compiled", "torch"])
def test_hidden_layers_or_logits_alone_are_normalized_like_a_plain_implementation(
    dataset: Dataset, hidden: bool, engine: Engine
) -> None:
    runs = make_runs([42], steps=121, hidden_sizes=(50, 50), normalize_hidden=hidden, normalize_logits=not hidden)
    curves = train_runs(runs, dataset, engine=engine)
    arm, logits_arm = ("batchnorm", "vanilla") if hidden else ("vanilla", "batchnorm")
    images = plain(dataset.train), plain(dataset.validation)
    accuracy, loss = reference.train(42, "tanh", arm, 0.01, 0.1, 121, [50, 50], *images, logits_arm=logits_arm)
    np.testing.assert_allclose(curves.training_loss[0], loss, rtol=1e-4)
    np.testing.assert_allclose(curves.accuracy[0], accuracy, atol=2.5 / 700)  # two images of 700


@needs_real_mnist
@pytest.mark.parametrize("arm", ARMS)
def test_follows_the_contract_on_the_real_mnist(tmp_path: Path, arm: Arm) -> None:
    prepare("mnist", [str(REAL_MNIST)], 5000, tmp_path, tmp_path / "packed.safetensors")
    data = open_dataset(tmp_path / "packed.safetensors")
    curves = train_runs(make_runs([42], arm=arm, steps=601), data)
    accuracy, _ = reference.train(42, "tanh", arm, 0.01, 0.1, 601, [100] * 9, plain(data.train), plain(data.validation))
    np.testing.assert_allclose(curves.accuracy[0], accuracy, atol=2.5 / 5000)  # two images of 5,000
    assert curves.accuracy[0, -1] > 0.8


@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.parametrize(("activation", "learning_rate", "init_std"), [("tanh", 1.0, 1.0), ("relu", 0.01, 0.1)])
def test_a_run_has_the_same_bits_alone_and_among_others(
    dataset: Dataset, arm: Arm, activation: str, learning_rate: float, init_std: float
) -> None:
    runs = make_runs(range(42, 49), arm=arm, activation=activation, learning_rate=learning_rate, init_std=init_std)
    stack = train_runs(runs, dataset)
    for run in (0, 3, 6):
        alone = train_runs(runs.take([run]), dataset)
        for name in ("accuracy", "loss", "training_loss", "test_accuracy", "test_loss"):
            np.testing.assert_array_equal(getattr(alone, name)[0], getattr(stack, name)[run], err_msg=name)
    assert not np.array_equal(stack.training_loss[0], stack.training_loss[1])


@pytest.mark.parametrize("changes", [{"batch_size": 33}, {"hidden_sizes": (37, 5)}, {"hidden_sizes": (1, 8)}])
def test_the_same_bits_whatever_the_shapes(dataset: Dataset, changes: dict[str, object]) -> None:
    stack = train_runs(make_runs([42, 43, 44], steps=70, **changes), dataset)
    alone = train_runs(make_runs([43], steps=70, **changes), dataset)
    np.testing.assert_array_equal(alone.training_loss[0], stack.training_loss[1])
    np.testing.assert_array_equal(alone.loss[0], stack.loss[1])
    assert stack.seeds.tolist() == [42, 43, 44]


def test_runs_of_a_job_report_the_mean_of_their_steps(dataset: Dataset) -> None:
    runs = make_runs([42, 43, 44], hidden_sizes=(8,))
    seen: list[tuple[int, int]] = []
    train_runs(runs, dataset, lambda step, accuracy: seen.append((step, len(accuracy))))
    # Of 130 steps of three runs, after 1, 61 and 121 of each; rounded up, counted from 0.
    assert seen == [(0, 1), (20, 1), (40, 1), (43, 1), (63, 1), (83, 1), (86, 1), (106, 1), (126, 1)]


def test_a_run_that_overflows_is_recorded_and_goes_on(dataset: Dataset) -> None:
    curves = train_runs(make_runs([42, 43], arm="vanilla", activation="relu", init_std=1, learning_rate=0.01), dataset)
    assert curves.first_nonfinite_step.tolist() == [1, 1]  # the second step
    assert np.isfinite(curves.training_loss[:, 0]).all()
    assert np.isnan(curves.training_loss[:, 1:]).all()
    class_0 = (dataset.validation.labels == 0).mean()
    assert (curves.accuracy == class_0).all()  # argmax of not-a-number is class 0
    assert curves.accuracy.shape == (2, 3)


def test_evaluations_are_reported_as_they_come(dataset: Dataset) -> None:
    seen: list[tuple[int, list[float]]] = []
    curves = train_runs(make_runs([42]), dataset, lambda step, accuracy: seen.append((step, accuracy.tolist())))
    assert seen == list(zip([0, 60, 120], curves.accuracy.T.tolist(), strict=True))


def test_the_test_images_are_measured_after_the_last_step(dataset: Dataset) -> None:
    # With the validation images as test images, one more step than an evaluation must give what it gives.
    same = Dataset(dataset.train, dataset.validation, dataset.validation, dataset.sha256)
    curves = train_runs(make_runs([42], steps=61), same)
    assert curves.test_accuracy[0] == curves.accuracy[0, -1]
    assert curves.test_loss[0] == curves.loss[0, -1]


def test_more_images_a_batch_than_there_are_is_one_line(dataset: Dataset) -> None:
    expected = r"^batch_size: expected 1 to 1000 \(the number of training images\), got 2000$"
    with pytest.raises(InputError, match=expected):
        train_runs(make_runs([42], batch_size=2000), dataset)


def test_the_steps_between_two_evaluations_may_be_many(dataset: Dataset) -> None:
    often = train_runs(make_runs([42], steps=250, hidden_sizes=(8,), evaluation_interval=60), dataset)
    once = train_runs(make_runs([42], steps=250, hidden_sizes=(8,), evaluation_interval=10**6), dataset)
    np.testing.assert_array_equal(often.training_loss, once.training_loss)
    np.testing.assert_array_equal(often.test_loss, once.test_loss)


def test_runs_of_other_learning_rates_and_initializations_have_the_same_bits_alone(dataset: Dataset) -> None:
    runs = make_runs([42, 42, 43, 43], learning_rate=[0.01, 0.01, 1.0, 1.0], init_std=[0.1, "he", 0.1, "he"])
    stack = train_runs(runs, dataset)
    for run in range(4):
        alone = train_runs(Runs.of_seeds(runs.each[run], [runs.seeds[run]]), dataset)
        np.testing.assert_array_equal(alone.training_loss[0], stack.training_loss[run])
        np.testing.assert_array_equal(alone.test_loss[0], stack.test_loss[run])


@pytest.mark.parametrize("arm", sorted({*get_args(BuiltInArm)} - {*ARMS}))
def test_the_other_normalizations_learn_and_have_the_same_bits_alone(dataset: Dataset, arm: Arm) -> None:
    runs = make_runs([42, 43, 44], arm=arm, learning_rate=0.1, hidden_sizes=(50,) * 3, normalize_logits=False)
    engine = engine_on_cpu(runs.settings)
    stack = train_runs(runs, dataset, engine=engine)
    alone = train_runs(runs[1:2], dataset, engine=engine)
    np.testing.assert_array_equal(alone.training_loss[0], stack.training_loss[1])
    assert stack.accuracy[:, -1].min() > 0.2  # a tenth is chance


def test_training_on_the_first_images_alone_is_training_on_a_data_set_of_them(dataset: Dataset) -> None:
    few = replace(dataset, train=dataset.train.first(200))
    runs = make_runs([42], evaluate_training=True)
    limited = train_runs(runs.change(training_images=200), dataset)
    np.testing.assert_array_equal(limited.training_loss, train_runs(runs, few).training_loss)
    assert limited.training_set_accuracy is not None
    assert limited.training_set_loss is not None
    assert limited.training_set_accuracy[0, -1] > limited.accuracy[0, -1]  # it has seen them
    assert limited.training_set_loss[0, -1] < limited.loss[0, -1]


def test_black_and_white_images_are_seen_in_training_and_evaluation(dataset: Dataset) -> None:
    train, validation, test = (part.binarized() for part in (dataset.train, dataset.validation, dataset.test))
    black_and_white = Dataset(train, validation, test, "0")
    asked = train_runs(make_runs([42], binarize=True), dataset)
    given = train_runs(make_runs([42]), black_and_white)
    for name in ("training_loss", "loss", "test_loss"):
        np.testing.assert_array_equal(getattr(asked, name), getattr(given, name))
    assert not np.array_equal(given.loss, train_runs(make_runs([42]), dataset).loss)


def test_double_precision_is_the_same_training_with_less_rounding(dataset: Dataset) -> None:
    double, single = (train_runs(make_runs([42], precision=precision), dataset) for precision in ("float64", "float32"))
    assert double.training_loss.dtype == np.float64
    np.testing.assert_allclose(single.training_loss, double.training_loss, rtol=1e-3)
    assert not np.array_equal(single.training_loss, double.training_loss)


class StoppedError(Exception):
    """What a test stops a training with."""


def stop_at(stop: int) -> Callable[[int, NDArray[np.floating]], None]:
    def on_evaluation(step: int, _: NDArray[np.floating]) -> None:
        if step == stop:
            raise StoppedError

    return on_evaluation


def assert_same_bytes(found: Curves, expected: Curves) -> None:
    for field in fields(Curves):
        left, right = getattr(found, field.name), getattr(expected, field.name)
        for name in left if isinstance(left, dict) else [None]:
            one, other = (left, right) if name is None else (left[name], right[name])
            assert (one is None) == (other is None), field.name
            if one is not None:
                assert (one.dtype, one.shape) == (other.dtype, other.shape), field.name
                assert one.tobytes() == other.tobytes(), (field.name, name)
        assert not isinstance(left, dict) or left.keys() == right.keys()


RESUMED: list[dict[str, object]] = [
    {"arm": "vanilla"},
    {"arm": "batchnorm", "diagnostics": True, "evaluate_training": True},
    {"arm": "groupnorm", "normalize_logits": False, "position": "after"},
    {"arm": "weightnorm", "precision": "float64"},
    {"arm": "batchnorm", "normalize_hidden": False},
    {"arm": "firstbatch"},
    {"arm": "noisybatchnorm", "diagnostics": True},
    {"arm": "batchrenorm", "renorm_start": 20, "renorm_ramp": 100, "diagnostics": True},
    {"arm": "ghostbatchnorm", "activation": "torch.nn.functional:silu"},
    {
        "arm": "batchnorm",
        "moving_variance": "unbiased",
        "training_images": 100,
        "binarize": True,
        "trained": "transforms",
    },
    {"arm": "vanilla", "activation": "relu", "init_std": 1},  # overflows
    {"arm": "batchnorm", "hidden_sizes": (1, 8)},
]


@pytest.mark.parametrize("changes", RESUMED, ids=lambda changes: " ".join(map(str, changes.values())))
def test_a_training_that_was_stopped_twice_gives_the_same_bytes(
    dataset: Dataset, tmp_path: Path, changes: dict[str, object]
) -> None:
    runs = make_runs(
        [42, 43], **{"hidden_sizes": (20, 20), "keep_weights": True, **changes, "learning_rate": [0.01, 1.0]}
    )
    engine = engine_on_cpu(runs.settings)
    undisturbed = train_runs(runs, dataset, engine=engine)

    def job(stop: int | None) -> Curves:
        checkpoints = Checkpoints(tmp_path / "record.safetensors", {}, seconds=1e-9)
        on_evaluation = stop_at(stop) if stop is not None else lambda *_: None
        return train_runs(runs, dataset, on_evaluation, engine, checkpoints)

    for stop in (0, 60):
        with pytest.raises(StoppedError):
            job(stop)
    assert_same_bytes(job(None), undisturbed)
    assert_same_bytes(job(None), undisturbed)  # from the state after the last step


def test_a_training_goes_on_where_it_was_and_not_from_the_start(dataset: Dataset, tmp_path: Path) -> None:
    # The evaluation at 60 is reported before its state is kept; the one of step 0 stands.
    seen: list[int] = []
    with pytest.raises(StoppedError):
        train_runs(make_runs([42]), dataset, stop_at(60), checkpoints=Checkpoints(tmp_path / "r", {}, 1e-9))
    again = Checkpoints(tmp_path / "r", {}, 1e-9)
    train_runs(make_runs([42]), dataset, lambda step, _: seen.append(step), checkpoints=again)
    assert seen == [60, 120]


def test_a_long_way_to_the_next_evaluation_is_kept_in_between(dataset: Dataset, tmp_path: Path) -> None:
    runs = make_runs([42], steps=450, hidden_sizes=(8,), evaluation_interval=10**6)
    done: list[int] = []

    class StoppedHere(Checkpoints):
        def keep(self, runs: slice, state: Callable[[], Arrays]) -> None:
            super().keep(runs, state)
            done.append(len(state()["training_loss"]))
            if len(done) == 3:
                raise StoppedError

    with pytest.raises(StoppedError):
        train_runs(runs, dataset, checkpoints=StoppedHere(tmp_path / "r", {}, 1e-9))
    assert done == [1, 101, 201]
    resumed = train_runs(runs, dataset, checkpoints=Checkpoints(tmp_path / "r", {}, 1e-9))
    assert_same_bytes(resumed, train_runs(runs, dataset))


def test_finished_runs_of_a_job_are_not_trained_again(dataset: Dataset, tmp_path: Path) -> None:
    runs = make_runs([42, 43], hidden_sizes=(8,), steps=70)
    seen: list[int] = []
    checkpoints = Checkpoints(tmp_path / "r", {}, 1e9)

    def stop_in_the_second(step: int, _: NDArray[np.floating]) -> None:
        seen.append(step)
        if seen == [0, 30, 35]:  # of both runs in the mean
            assert not list(tmp_path.iterdir())
            checkpoints.stop()

    with pytest.raises(SystemExit):
        train_runs(runs, dataset, stop_in_the_second, checkpoints=checkpoints)
    again = Checkpoints(tmp_path / "r", {}, 1e9)
    resumed = train_runs(runs, dataset, lambda step, _: seen.append(step), checkpoints=again)
    assert seen[3:] == [65]  # of the second alone
    assert_same_bytes(resumed, train_runs(runs, dataset))


@pytest.mark.parametrize("engine", [COMPILED, TorchEngine()], ids=["compiled", "torch"])
def test_a_run_stops_after_the_evaluation_that_passes_and_its_neighbours_go_on(
    dataset: Dataset, engine: Engine
) -> None:
    runs = make_runs([42, 43, 44], steps=70, hidden_sizes=(20,), evaluation_interval=10, diagnostics=True)
    runs = runs.change(learning_rate=[1.0, 0.01, 0.3], evaluate_training=True)
    whole = train_runs(runs, dataset, engine=engine)
    passed = whole.accuracy >= 0.8
    assert [row.any() for row in passed] == [True, False, True]  # else the level tests nothing
    taken = [10 * int(passed[0].argmax()) + 1, 70, 10 * int(passed[2].argmax()) + 1]
    assert 1 < taken[0] < taken[2] < 70

    stopped = train_runs(runs.change(stop_at_accuracy=0.8), dataset, engine=engine)
    assert stopped.steps_taken.tolist() == taken
    for run, steps in enumerate(taken):
        ended = train_runs(runs.take([run]).change(steps=steps), dataset, engine=engine)
        evaluations = len(ended.steps)
        assert stopped.evaluated[run].sum() == evaluations
        for name in ("test_accuracy", "test_loss"):
            np.testing.assert_allclose(getattr(stopped, name)[run], getattr(ended, name)[0], rtol=1e-6, err_msg=name)
        for name in ("accuracy", "loss", "training_set_loss"):
            values = getattr(stopped, name)[run]
            np.testing.assert_allclose(values[:evaluations], getattr(ended, name)[0], rtol=1e-6, err_msg=name)
            assert np.isnan(values[evaluations:]).all()
        np.testing.assert_allclose(stopped.training_loss[run, :steps], ended.training_loss[0], rtol=1e-5)
        assert np.isnan(stopped.training_loss[run, steps:]).all()
        assert np.isnan(stopped.diagnostics["z_rms"][run, evaluations:]).all()
        assert np.isfinite(stopped.diagnostics["z_rms"][run, :evaluations]).all()
    assert stopped.first_nonfinite_step.tolist() == [-1, -1, -1]  # what is not there did not diverge


class Together(TorchEngine):
    """Trains all runs side by side, as on a GPU."""

    def most_runs(self, settings: TrainingSettings, shape: Shape, wanted: int) -> int:  # noqa: ARG002
        return wanted


@pytest.mark.parametrize("engine", [COMPILED, TorchEngine(), Together()], ids=["compiled", "torch", "side by side"])
def test_weights_are_those_after_the_last_step_of_each_run(dataset: Dataset, engine: Engine) -> None:
    runs = make_runs([42, 43], steps=31, hidden_sizes=(20,), evaluation_interval=10, keep_weights=True)
    runs = runs.change(learning_rate=[1.0, 0.01], normalize_logits=False)
    stopped = train_runs(runs.change(stop_at_accuracy=0.7), dataset, engine=engine)
    first, second = stopped.steps_taken.tolist()
    assert first < second == 31  # else nothing was stopped
    assert {name: array.shape for name, array in stopped.weights.items()} == {
        "layers.0.weight": (2, 784, 20),
        "layers.1.weight": (2, 20, 10),
        **{f"layers.0.transform.{name}": (2, 1, 20) for name in ("gamma", "beta", "mean", "variance")},
        "layers.1.transform.beta": (2, 1, 10),
    }
    for run, steps in enumerate((first, second)):
        alone = train_runs(runs.take([run]).change(steps=steps), dataset, engine=engine)
        for name, array in stopped.weights.items():
            np.testing.assert_allclose(array[run], alone.weights[name][0], rtol=1e-4, atol=1e-6, err_msg=name)


def test_weights_are_kept_only_if_asked_for(dataset: Dataset) -> None:
    assert train_runs(make_runs([42], steps=2, hidden_sizes=(20,)), dataset).weights == {}


def test_a_stopped_run_is_not_trained_further(dataset: Dataset) -> None:
    seen: list[int] = []
    runs = make_runs([42], steps=5000, hidden_sizes=(20,), learning_rate=0.3, stop_at_accuracy=0.9)
    train_runs(runs, dataset, lambda step, _: seen.append(step))
    assert seen == [0, 60]


@pytest.mark.parametrize("engine", [COMPILED, TorchEngine()], ids=["compiled", "torch"])
def test_runs_that_stop_are_resumed_to_the_same_bytes(dataset: Dataset, tmp_path: Path, engine: Engine) -> None:
    runs = make_runs([42, 44], steps=61, hidden_sizes=(20,), evaluation_interval=10, learning_rate=[1.0, 0.3])
    runs = runs.change(stop_at_accuracy=0.8)
    undisturbed = train_runs(runs, dataset, engine=engine)
    first, second = undisturbed.steps_taken.tolist()
    assert first < second < 61
    for after in range(3, 6):
        seen: list[int] = []

        def stop(step: int, _: NDArray[np.floating], seen: list[int] = seen, after: int = after) -> None:
            seen.append(step)
            if len(seen) == after:
                raise StoppedError

        with pytest.raises(StoppedError):
            train_runs(runs, dataset, stop, engine, Checkpoints(tmp_path / f"{after}", {}, 1e-9))
        resumed = train_runs(runs, dataset, engine=engine, checkpoints=Checkpoints(tmp_path / f"{after}", {}, 1e-9))
        assert_same_bytes(resumed, undisturbed)
