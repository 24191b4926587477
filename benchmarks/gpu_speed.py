"""Measurements of the cost of training on a GPU, see `benchmarks.gpu`. Every number is in a row of a measurement."""

import statistics
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from time import perf_counter
from typing import Any

import torch

from benchmarks.contestants import Contestant
from benchmarks.default_grid import ARMS, CONDITIONS
from benchmarks.gpu_checks import run_eagerly
from benchmarks.gpu_notes import Notes
from benchmarks.gpu_setup import MEGABYTE, Setup
from benchmarks.torch_contestants import finish, make_of_torch
from bnpipe.core.settings import Arm, Runs, TrainingSettings
from bnpipe.modules.engine import TorchEngine, TorchStack
from bnpipe.networks.seeds import BatchOrder, streams_of
from bnpipe.training.train import TrainingRun
from bnpipe.training.trainer import STEPS_AT_ONCE, network_arithmetic

OURS = "bnpipe, PyTorch"  # as in benchmarks.training


def measure_steps(setup: Setup, notes: Notes) -> None:
    """Measure a training step of stacks, of one network of PyTorch's modules, and of the products alone."""
    scale = setup.scale
    for arm in ARMS:
        settings = setup.settings("tanh", arm)
        measure_contestant(setup, notes, "plain", settings, 1)
        for stack in scale.stacks:
            measure_contestant(setup, notes, OURS, settings, stack)
        if arm == ARMS[0]:  # products are the same with every arm
            for stack in scale.stacks:
                measure_contestant(setup, notes, "products", settings, stack)
    for arm in ARMS:
        measure_contestant(setup, notes, OURS, setup.settings("tanh", arm), scale.compared_stack, tf32=True)


def measure_contestant(
    setup: Setup, notes: Notes, what: str, settings: TrainingSettings, stack: int, tf32: bool = False
) -> None:
    """Measure one contestant. If the GPU has too little memory, the row says so."""
    row: dict[str, Any] = {"what": what, "arm": settings.arm, "stack": stack, "tf32": tf32}
    try:
        notes.measure("step", **row, **costs(setup, what, settings, stack, tf32))
    except torch.cuda.OutOfMemoryError:
        notes.measure("step", **row, out_of_memory=True)
    if setup.name == "cuda":
        torch.cuda.empty_cache()


def costs(setup: Setup, what: str, settings: TrainingSettings, stack: int, tf32: bool) -> dict[str, float]:
    """Return the seconds of a step per network, and the peak memory in MB.

    bnpipe's stacks are also measured without the choice of images and their transfer to the GPU: once as a graph, and
    once with every kernel launched by itself.
    """
    device, scale, before = setup.open(tf32), setup.scale, 0
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
    train = setup.dataset.train
    contestant: Contestant
    if tf32:
        contestant = TorchEngine(device).start(Runs.of_seeds(settings, range(stack)), train)
    else:
        contestant = make_of_torch(what, settings, stack, train, setup.name)

    def seconds(take_steps: Callable[[int], object]) -> float:
        take_steps(scale.round_steps)  # warms up
        taken = []
        for _ in range(scale.rounds):
            finish(device)
            start = perf_counter()
            take_steps(scale.round_steps)
            finish(device)
            taken.append((perf_counter() - start) / (scale.round_steps * stack))
        return statistics.median(taken)

    found = {"seconds_per_network_step": seconds(contestant.advance)}
    if device.type == "cuda":
        found["peak_memory_mb"] = (torch.cuda.max_memory_allocated() - before) / MEGABYTE
    if isinstance(contestant, TorchStack):
        found["of_the_graph_alone"] = seconds(repeated(contestant))
        run_eagerly(contestant)
        found["of_the_step_launched_kernel_by_kernel"] = seconds(repeated(contestant))
    return found


def repeated(stack: TorchStack) -> Callable[[int], None]:
    """Return a function that takes steps on the same mini-batch."""
    step = stack._step

    def take_steps(steps: int) -> None:
        for _ in range(steps):
            step()

    return take_steps


def measure_order(setup: Setup, notes: Notes) -> None:
    """Measure the choice of the mini-batches of an epoch, which the CPU makes for one seed after the other.

    This includes the shuffle at the start of an epoch. `measure_steps` takes too few steps to reach another shuffle.
    """
    images, seeds = len(setup.dataset.train), setup.scale.seeds
    batch_size = setup.settings("tanh", ARMS[0]).batch_size
    start = perf_counter()
    order = BatchOrder(streams_of(range(seeds)), images, batch_size)
    steps = 0
    while steps + STEPS_AT_ONCE <= images // batch_size or not steps:
        order.next_batches(STEPS_AT_ONCE)
        steps += STEPS_AT_ONCE
    seconds = (perf_counter() - start) / (steps * seeds)
    notes.measure("order of images", seeds=seeds, images=images, seconds_per_network_step=seconds)


def measure_grid(setup: Setup, notes: Notes) -> None:
    """Measure the default grid with many seeds, without diagnostics."""
    train_grid(setup, notes, diagnostics=False)


def measure_grid_with_diagnostics(setup: Setup, notes: Notes) -> None:
    """Measure the default grid with many seeds and with diagnostics, as in `config.yaml`."""
    train_grid(setup, notes, diagnostics=True)


def train_grid(setup: Setup, notes: Notes, diagnostics: bool) -> None:
    """Train every condition and arm in a stack of its own, as jobs do. If time is short, train the beginning of each.

    The total is then extrapolated. Steps that were left out count as much as the steps after the first evaluation, and
    networks that did not fit into the stack count as much as those that did.
    """
    jobs = list(product(CONDITIONS, ARMS))
    name = "grid with diagnostics" if diagnostics else "grid"
    total, taken, whole = 0.0, 0.0, True
    for number, (condition, arm) in enumerate(jobs):
        budget = (notes.seconds_left() - 5) / (len(jobs) - number)
        row = train_job(setup, condition, arm, diagnostics, budget)
        notes.measure(name, condition=condition, arm=arm, **row)
        total += row["seconds_of_all_steps_and_networks"]
        taken += row["seconds"]
        whole &= row["is_whole"]
    runs = len(jobs) * setup.scale.seeds
    notes.measure(f"{name}, all", runs=runs, seconds=total, is_measured_whole=whole, seconds_measured=taken)


def train_job(setup: Setup, condition: str, arm: Arm, diagnostics: bool, budget: float) -> dict[str, Any]:
    """Train the networks of one job for the seconds of the budget, but at least up to the second evaluation."""
    start = perf_counter()
    engine, seeds = TorchEngine(setup.open()), setup.scale.seeds
    settings = replace(setup.settings(condition, arm), diagnostics=diagnostics)
    runs = Runs.of_seeds(settings, range(42, 42 + seeds))[
        : engine.most_runs(settings, setup.dataset.train.shape, seeds)
    ]
    with network_arithmetic():
        training = TrainingRun(runs, setup.dataset, engine)
        training.advance(_ignore)  # up to the first evaluation
        begun, first = perf_counter(), training.steps_done
        least = first + settings.evaluation_interval
        while not training.is_finished and (perf_counter() - start < budget or training.steps_done < least):
            training.advance(_ignore)
        ended = perf_counter()
        accuracy = training.curves().test_accuracy
    done, curves = training.steps_done, perf_counter() - ended
    seconds_of_a_step = (ended - begun) / (done - first)
    estimate = (begun - start + seconds_of_a_step * (settings.steps - first) + curves) * seeds / len(runs)
    return {
        "networks": len(runs),
        "steps": settings.steps,
        "steps_taken": done,
        "is_whole": training.is_finished and len(runs) == seeds,
        "seconds": ended - start + curves,
        "seconds_of_all_steps_and_networks": estimate,
        "mean_test_accuracy": float(accuracy.mean()),
    }


def _ignore(*_: object) -> None:
    """Do nothing after an evaluation."""
