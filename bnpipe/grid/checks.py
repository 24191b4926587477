"""Checks of the whole configuration: values that are valid by themselves but do not go together."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import get_args

from bnpipe.core.errors import InputError
from bnpipe.core.parts import is_own, part_digest
from bnpipe.core.settings import CONVOLUTIONAL_ARMS, OPTIMIZER_KEYS, Arm, BuiltInArm, Shape, counts
from bnpipe.grid.conditions import Condition
from bnpipe.grid.config import Configuration
from bnpipe.grid.given import Given
from bnpipe.grid.mistakes import KeyPath, locate
from bnpipe.grid.stacks import examinable

MIN_GROUP_FEATURES = 4  # of a group: two features would always be normalized to +1 and -1 and pass no gradient on
# Names that the workflow uses already, for the folder `figures/studies`, the figure `studies/paper.svg`, the rule
# `study_tables`, and so on.
TAKEN = {
    "conditions": ("studies",),
    "studies": (
        *("best_rate", "equilibrium", "figure", "gradient_shift", "input_shift", "optimizers", "paper", "smoothness"),
        "tables",
    ),
}

Mistakes = Iterator[tuple[KeyPath, str]]  # where each is, and what is expected and what is there instead


@dataclass(frozen=True)
class _Trained:
    """A condition, perhaps of a study, with which one run of each arm and seed is trained."""

    group: str  # where the user finds it, such as conditions.tanh
    condition: Condition
    arms: tuple[Arm, ...]
    section: KeyPath  # the keys that lead to it
    swept: Mapping[str, KeyPath]  # the keys that lead to those of its values that are swept
    arms_section: KeyPath  # the keys that lead to its arms

    def place(self, key: str) -> KeyPath:
        """Return the keys that lead to a value that it is trained with: its own, or that of the whole file."""
        is_own = getattr(self.condition, key) is not None
        return self.swept.get(key) or ((*self.section, key) if is_own else (key,))


def check(
    configuration: Configuration, given: Given, images: tuple[int, int] | None, shape: Shape | None
) -> dict[str, str]:
    """Raise InputError with a line for every pair of values that do not go together.

    images: how many the data set's training file holds, and how many of them are for validation. shape: of the data
    set. Either is None if it is not known. A configuration written for MNIST also runs on the digits that replace it,
    which may be too few for a study. For each such study outside the default target, this returns by name the line that
    refuses the study when it is asked for.
    """
    mistakes = [
        *_taken_names(configuration),
        *_equal_cells(configuration),
        *_shared_seeds(configuration),
        *_nothing_to_look_into(configuration),
    ]
    if images and images[1] >= images[0]:
        line = f"expected at most {images[0] - 1} (the data set has {images[0]} training images), got {images[1]}"
        mistakes.append((("validation_images",), line))
    for trained in _all_trained(configuration):
        mistakes += _nothing_normalized(trained)
        mistakes += _without_meaning(trained)
        mistakes += _widths(trained, configuration, shape)
        mistakes += _networks(trained)
        mistakes += _ghosts(trained, configuration)
        mistakes += _own_parts(trained)
        mistakes += _asked_by_experiments(trained)
        if images and images[1] < images[0]:
            mistakes += _sizes(trained, configuration, images[0] - images[1])
    refused, lines = {}, []
    for path, line in dict.fromkeys(mistakes):  # many conditions may share a mistake
        located = f"{locate(path, given.values, given.files)}: {'.'.join(map(str, path))}: {line}"
        if configuration.dataset == "digits" and _asks_for_more_images(configuration, path, line):
            refused[str(path[1])] = located
        else:
            lines.append(located)
    if lines:
        raise InputError("\n".join(lines))
    return refused


def _asks_for_more_images(configuration: Configuration, path: KeyPath, line: str) -> bool:
    """Return whether a mistake is a study outside the default target that asks for more images than there are."""
    is_more = "training_images" in path and line.startswith("expected at most")
    return is_more and path[0] == "studies" and not configuration.studies[str(path[1])].default


def _all_trained(configuration: Configuration) -> Iterator[_Trained]:
    """Yield everything that is trained: conditions, the cells of studies, and the paper's own experiment."""
    for name, condition in configuration.conditions.items():
        yield _Trained(f"conditions.{name}", condition, configuration.arms, ("conditions", name), {}, ("arms",))
    for name, study in configuration.studies.items():
        places = product(
            *([("studies", name, "sweep", key, n) for n in range(len(values))] for key, values in study.sweep.items())
        )
        for cell, of_cell in zip(study.cells, places, strict=True):
            swept = dict(zip(study.sweep, of_cell, strict=True))
            arms, of_arms = study.arms or configuration.arms, ("studies", name, "arms") if study.arms else ("arms",)
            yield _Trained(f"studies.{name}", cell, arms, ("studies", name, "condition"), swept, of_arms)
    if configuration.paper:
        paper = configuration.paper.condition
        yield _Trained("paper", paper, ("vanilla", "batchnorm"), ("paper", "condition"), {}, ())


def _sizes(trained: _Trained, configuration: Configuration, training: int) -> Mistakes:
    """Compare the mini-batch with the images to train on; training: how many there are."""
    wanted, batch = trained.condition.training_images, trained.condition.batch_size or configuration.batch_size
    if batch > training:
        yield trained.place("batch_size"), f"{_at_most(training)}, got {batch}"
    if wanted is None:
        return
    if wanted > training:
        yield trained.place("training_images"), f"{_at_most(training)}, got {wanted}; null takes all"
    if wanted < batch <= training:
        line = f"expected at least {batch} (batch_size, since a mini-batch takes no image twice), got {wanted}"
        yield trained.place("training_images"), line


def _at_most(training: int) -> str:
    return f"expected at most {training} (the number of training images)"


def _nothing_normalized(trained: _Trained) -> Mistakes:
    """Check that an arm that normalizes has a layer to normalize."""
    if trained.condition.normalize_hidden or trained.condition.normalize_logits:
        return
    normalizers = [arm for arm in trained.arms if arm != "vanilla"]
    if normalizers:
        yield (
            trained.place("normalize_hidden"),
            f"expected true, since normalize_logits is false and {normalizers[0]} would normalize no layer, got false",
        )


def _without_meaning(trained: _Trained) -> Mistakes:
    """Find keys that are set although they mean nothing to the optimizer or to what is trained."""
    condition = trained.condition
    for optimizer, keys in OPTIMIZER_KEYS.items():
        for key in keys:
            if key in condition.model_fields_set and condition.optimizer in {*OPTIMIZER_KEYS} - {optimizer}:
                yield (
                    trained.place(key),
                    f"expected no {key} with optimizer {condition.optimizer}, which has none, got "
                    f"{getattr(condition, key):g}; delete it, or set optimizer: {optimizer}",
                )
    if condition.weight_decay and condition.trained == "transforms":
        yield (
            trained.place("weight_decay"),
            f"expected 0 with trained: transforms, which trains no weights, got {condition.weight_decay:g}",
        )


def _nothing_to_look_into(configuration: Configuration) -> Mistakes:
    """Check that the experiments have a condition to examine."""
    if not examinable(configuration):
        yield (
            ("conditions",),
            "expected at least one condition that is fully_connected, with tanh, relu or sigmoid, optimizer sgd and "
            "weight_decay 0, for mechanics, inference and other experiments to examine, got none; add one",
        )


def _widths(trained: _Trained, configuration: Configuration, shape: Shape | None) -> Mistakes:
    """Check that group normalization can divide every layer into groups of at least MIN_GROUP_FEATURES."""
    if "groupnorm" not in trained.arms or trained.condition.network == "convolutional":
        return
    groups = configuration.normalization.groups
    widths: set[int] = set()
    if trained.condition.normalize_hidden:
        widths.update(trained.condition.hidden_sizes or configuration.hidden_sizes)
    if trained.condition.normalize_logits and shape:
        widths.add(shape.classes)
    advice = ", or set normalize_logits: false to leave the logits out" if trained.condition.normalize_hidden else ""
    if any(width % groups or width < MIN_GROUP_FEATURES * groups for width in widths):
        yield (
            ("normalization", "groups"),
            f"expected a number that divides every normalized layer of {trained.group} "
            f"({', '.join(map(str, sorted(widths)))} units) into groups of at least {MIN_GROUP_FEATURES}, "
            f"got {groups}; change it{advice}",
        )


def _ghosts(trained: _Trained, configuration: Configuration) -> Mistakes:
    """Check that ghost batch normalization can divide the mini-batch into parts of one size."""
    size, batch = configuration.normalization.ghost_size, trained.condition.batch_size or configuration.batch_size
    if "ghostbatchnorm" in trained.arms and batch % size:
        yield (
            ("normalization", "ghost_size"),
            f"expected a number that divides the batch_size of {trained.group} ({batch}), got {size}; change either",
        )


def _own_parts(trained: _Trained) -> Mistakes:
    """Check that the user's own parts exist, and that they go with the other settings."""
    activation = trained.condition.activation
    parts: dict[KeyPath, str] = {(*trained.arms_section, place): arm for place, arm in enumerate(trained.arms)}
    parts |= {trained.place(key): getattr(trained.condition, key) for key in ("activation", "optimizer")}
    for path, part in parts.items():
        if is_own(part):
            try:
                part_digest(part)
            except InputError as error:
                yield path, str(error)
    if is_own(activation) and "firstbatch" in trained.arms:
        line = f"expected tanh, relu or sigmoid with the arm firstbatch, got {activation}; leave out one of the two"
        yield trained.place("activation"), line


def _networks(trained: _Trained) -> Mistakes:
    """Check that the settings go with the kind of network."""
    condition = trained.condition
    is_study = trained.group.startswith("studies.")  # which may compare both kinds
    if condition.network == "fully_connected":
        if condition.channels is not None and not is_study:
            line = "expected none with network: fully_connected, got some; set network: convolutional, or hidden_sizes"
            yield trained.place("channels"), line
        return
    if condition.hidden_sizes is not None and not is_study:
        line = "expected none with network: convolutional, got some; set channels instead"
        yield trained.place("hidden_sizes"), line
    if trained.group == "paper":
        line = "expected fully_connected, as in the paper's experiment, got convolutional"
        yield trained.place("network"), line
    others = [arm for arm in trained.arms if arm in get_args(BuiltInArm) and arm not in CONVOLUTIONAL_ARMS]
    if others:
        yield (
            trained.arms_section,
            f"expected {', '.join(CONVOLUTIONAL_ARMS)} with network: convolutional, as in {trained.group}, got "
            f"{others[0]}; leave it out, or compare it in a study of fully connected networks",
        )


def _asked_by_experiments(trained: _Trained) -> Mistakes:
    """Check that a condition is what its experiment needs."""
    if trained.group == "studies.regularization" and not trained.condition.evaluate_training:
        line = "expected true in this study, which compares training and validation loss, got false"
        yield trained.place("evaluate_training"), line
    if trained.group == "paper" and is_own(trained.condition.activation):
        line = f"expected tanh, relu or sigmoid in the paper's experiment, got {trained.condition.activation}; name one"
        yield trained.place("activation"), line
    if trained.group == "paper" and trained.condition.position != "before":
        line = "expected before: the paper's figure shows what normalization hands to the nonlinearity, got after"
        yield trained.place("position"), line
    if trained.group == "paper" and trained.condition.keep_weights:
        yield (
            trained.place("keep_weights"),
            "expected false here, since this experiment writes no run records, got true",
        )
    if trained.group == "paper" and not trained.condition.is_plain_descent:
        key = "weight_decay" if trained.condition.optimizer == "sgd" else "optimizer"
        found = getattr(trained.condition, key)
        yield trained.place(key), f"expected optimizer sgd and weight_decay 0 in the paper's experiment, got {found}"


def _taken_names(configuration: Configuration) -> Mistakes:
    for section, taken in TAKEN.items():
        for name in getattr(configuration, section):
            if name.lower() in taken:
                yield (section, name), f"expected another name than {', '.join(taken)}, got {name}; rename it"


def _shared_seeds(configuration: Configuration) -> Mistakes:
    """Check that no seed both chooses the learning rates and is counted at them, which would bias its verdicts."""
    if configuration.best_rate is None:
        return
    for place, seed in enumerate(configuration.best_rate.tuning.seeds):
        if counts(seed) and seed in configuration.seeds:
            line = f"expected a seed that is not counted at the best rates (seeds), got {seed}"
            yield ("best_rate", "tuning", "seeds", place), line


def _equal_cells(configuration: Configuration) -> Mistakes:
    """Find the studies that would train the same networks twice."""
    for name, study in configuration.studies.items():
        seen = set()
        for cell in study.cells:
            trained_with = tuple(getattr(configuration, key, None) if value is None else value for key, value in cell)
            if trained_with in seen:
                values = ", ".join(f"{key} {getattr(cell, key)}" for key in study.sweep)
                line = f"expected values that differ, got the same twice: {values}; delete one"
                yield ("studies", name, "sweep"), line
            seen.add(trained_with)
