import numpy as np
import torch

from benchmarks.made_up import SHAPE
from bnpipe.core.settings import OVERFLOW_PLACES, Runs
from bnpipe.data.packed import Dataset
from bnpipe.training.engines import COMPILED
from bnpipe.training.failures import locate_failures
from bnpipe.training.train import train_runs
from tests.conftest import make_runs, make_settings
from tests.reference import batches, build

BAD = make_settings(arm="vanilla", activation="relu", init_std=1.0, steps=5, diagnostics=False)


def test_an_overflow_is_found_where_a_plain_network_has_it(dataset: Dataset) -> None:
    runs = Runs.of_seeds(BAD, [42, 43, 44])
    found = locate_failures(runs, train_runs(runs, dataset), dataset.train, COMPILED)
    for seed, (step, layer, place) in zip(runs.seeds, found.tolist(), strict=True):
        assert OVERFLOW_PLACES[place] == "z"
        assert (step, layer) == first_overflow_of_a_plain_network(seed, dataset)


def first_overflow_of_a_plain_network(seed: int, dataset: Dataset) -> tuple[int, int]:
    stream = np.random.RandomState(seed)
    network = build(stream, list(BAD.layer_sizes(SHAPE)), 1.0, "relu", "vanilla")
    optimizer = torch.optim.SGD(network.parameters(), lr=BAD.learning_rate)
    for step, index in enumerate(batches(stream, len(dataset.train), BAD.batch_size)):
        x = torch.from_numpy(dataset.train.take(index).shown())
        for number, module in enumerate(network):
            x = module(x)
            if not torch.isfinite(x).all():
                return step, number // 2  # products and nonlinearities take turns
        loss = torch.nn.functional.cross_entropy(x, torch.from_numpy(dataset.train.labels[index]))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    raise AssertionError


def test_runs_that_stay_finite_have_no_place(dataset: Dataset) -> None:
    runs = make_runs([42, 42], arm="vanilla", activation="relu", init_std=[0.1, 1.0], steps=5)
    curves = train_runs(runs, dataset)
    found = locate_failures(runs, curves, dataset.train, COMPILED)
    assert found[0].tolist() == [-1, -1, -1]
    assert found[1, 0] == curves.first_nonfinite_step[1] > 0


def test_an_update_that_overflows_is_laid_to_the_weights(dataset: Dataset) -> None:
    # With one layer nothing can overflow but its weights: 1e38 in the first update, more in the second.
    runs = make_runs([42], arm="vanilla", activation="relu", hidden_sizes=(), learning_rate=3e38, steps=4)
    curves = train_runs(runs, dataset)
    ((step, layer, place),) = locate_failures(runs, curves, dataset.train, COMPILED).tolist()
    assert layer == 0
    assert OVERFLOW_PLACES[place] in ("weights", "z", "delta")
    assert step in (curves.first_nonfinite_step[0] - 1, curves.first_nonfinite_step[0])
