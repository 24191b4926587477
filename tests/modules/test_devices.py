import pytest
import torch

from bnpipe.core.errors import InputError
from bnpipe.modules.devices import captured, describe_device, free_memory, open_gpu
from bnpipe.training.engines import COMPILED

on_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that PyTorch can use")


def test_the_cpu_of_pytorch_is_told_from_that_of_the_compiled_engine() -> None:
    assert describe_device(torch.device("cpu")) == "cpu (PyTorch)" != COMPILED.description


def test_a_gpu_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    expected = r"^device: expected cpu \(PyTorch finds no GPU .*\), got cuda; set device: cpu, or run on a machine "
    with pytest.raises(InputError, match=expected):
        open_gpu(tf32=False)


@pytest.mark.parametrize(("tf32", "precision"), [(False, "ieee"), (True, "tf32")])
def test_opening_a_gpu_makes_it_the_current_one_and_sets_its_arithmetic(
    monkeypatch: pytest.MonkeyPatch, tf32: bool, precision: str
) -> None:
    current: list[int] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    assert open_gpu(tf32, index=1) == torch.device("cuda", 1)
    assert current == [1]
    assert torch.backends.cuda.matmul.fp32_precision == precision
    open_gpu(tf32=False)


@on_a_gpu
@pytest.mark.parametrize(("tf32", "precision"), [(False, "float32"), (True, "TF32")])
def test_a_gpu_multiplies_as_it_is_told(tf32: bool, precision: str) -> None:
    device = open_gpu(tf32)
    assert describe_device(device) == f"cuda ({torch.cuda.get_device_name()}, {precision})"
    one = torch.ones(64, 64, device=device)
    error = ((one * (1 + 2**-12)) @ one - 64 * (1 + 2**-12)).abs().max().item()
    assert (error > 1e-3) == tf32  # TF32 keeps 10 bits of mantissa: 2^-12 is lost
    open_gpu(tf32=False)


@on_a_gpu
def test_a_captured_step_replays_and_leaves_no_trace_of_its_warm_up() -> None:
    counter = torch.zeros(1, device="cuda")

    def step() -> None:
        counter.add_(1)

    replay = captured(step, [counter])
    assert counter.item() == 0
    for _ in range(5):
        replay()
    assert counter.item() == 5


@on_a_gpu
def test_free_memory_counts_what_pytorch_holds_unused() -> None:
    before = free_memory(torch.device("cuda"))
    held = torch.empty(64 * 2**20, dtype=torch.uint8, device="cuda")
    assert before - free_memory(torch.device("cuda")) >= len(held)
    del held
    assert abs(free_memory(torch.device("cuda")) - before) < 2**25
