import subprocess
import sys

import numpy as np
import pytest

from bnpipe.core.errors import InputError
from bnpipe.data.packed import Dataset
from bnpipe.training.engines import COMPILED, Single, engine_on_cpu, granted_engine
from tests.conftest import make_runs, make_settings


def test_a_network_of_nothing_but_nan_computes_no_more(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    stack = Single(make_runs([42], arm="vanilla", activation="relu", init_std=1.0), dataset.train)
    stack.advance(60)
    assert not stack.finite()[0]
    monkeypatch.setattr(stack._training, "advance", lambda _: pytest.fail("trained on"))
    losses = stack.advance(7)
    assert losses.shape == (7, 1)
    assert losses.dtype == np.float32
    assert np.isnan(losses).all()


def test_a_network_with_some_nan_trains_on(dataset: Dataset) -> None:
    stack = Single(make_runs([42], arm="vanilla", hidden_sizes=(8,)), dataset.train)
    stack._training.network.weights[-1][:, 3] = np.nan
    assert not stack._is_lost()
    before = stack._training.network.numbers.weights.copy()
    stack.advance(1)
    assert not np.array_equal(stack._training.network.numbers.weights, before, equal_nan=True)


def test_on_a_cpu_the_arms_of_the_configuration_are_compiled() -> None:
    with granted_engine(make_settings(), "cpu", tf32=False, gpus=0) as engine:
        assert engine is COMPILED
    assert engine_on_cpu(make_settings(arm="rmsnorm")) is COMPILED
    assert engine_on_cpu(make_settings(arm="firstbatch")) is COMPILED
    assert engine_on_cpu(make_settings(arm="noisybatchnorm")) is not COMPILED
    assert engine_on_cpu(make_settings(network="convolutional")) is not COMPILED


def test_a_gpu_that_was_not_granted_is_one_line() -> None:
    expected = r"^device: expected cpu \(the job was granted no GPU: .*\), got cuda; set device: cpu, or grant the job "
    with pytest.raises(InputError, match=expected), granted_engine(make_settings(), "cuda", tf32=False, gpus=0):
        pass


def test_a_job_on_a_cpu_does_not_import_pytorch() -> None:
    program = "import sys, bnpipe.training.job; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=100).returncode == 0
