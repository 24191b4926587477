"""What the numbers of a run depend on, apart from its seed and the data."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Self

BuiltInArm = Literal[
    "vanilla",
    "batchnorm",
    "layernorm",
    "groupnorm",
    "rmsnorm",
    "weightnorm",
    "firstbatch",  # vanilla, from weights that normalize the first mini-batch
    "noisybatchnorm",  # batch normalization, and then a random scale and shift
    "batchrenorm",  # batch normalization, corrected towards the moving averages
    "ghostbatchnorm",  # batch normalization of parts of the mini-batch
]
BuiltInActivation = Literal["tanh", "relu", "sigmoid"]
BuiltInOptimizer = Literal["sgd", "momentum", "adam"]
Arm = str  # a BuiltInArm, or one of your own, module:name (`bnpipe.core.parts`)
Activation = str  # a BuiltInActivation, or one of your own
Optimizer = str  # a BuiltInOptimizer, or one of your own
InitScheme = Literal["xavier", "he"]
VarianceConvention = Literal["biased", "unbiased"]
Position = Literal["before", "after"]
Trained = Literal["all", "transforms"]
Precision = Literal["float32", "float64"]
Architecture = Literal["fully_connected", "convolutional"]
Device = Literal["cpu", "cuda"]

# Built-in arms that the convolutional network has: they take statistics of a channel, or none. The others normalize
# each image over its units, which would be a different normalization at every place of the image, or were written for
# fully connected networks only.
CONVOLUTIONAL_ARMS = ("vanilla", "batchnorm", "weightnorm")

FIRST_SEED = 42  # the tutorial's, which is shown and never counted in a verdict
FRESH_SEED = 2000  # the first fresh seed: nobody had seen runs of such seeds when the claims were registered
EXPLORED_SEEDS = frozenset({*range(42, 52), *range(1000, 1010)})  # their runs had been seen by then
TUNING_SEEDS = frozenset(range(500, 505))  # used to choose the best learning rates
THRESHOLD = 0.9  # validation accuracy; the steps until a run reaches it are counted
DIGITS_SPLIT = (1197, 300, 300)  # training, validation and test images of scikit-learn's digits
OVERFLOW_PLACES = ("z", "output", "loss", "delta", "weights")  # where the first non-finite number may appear
SATURATED = 0.99  # outputs of tanh beyond it, on either side, are called saturated
CHECKPOINT_SECONDS = 60  # between two checkpoints of a training
OPTIMIZER_KEYS: dict[BuiltInOptimizer, tuple[str, ...]] = {  # the settings that only this optimizer uses
    "sgd": (),
    "momentum": ("momentum",),
    "adam": ("beta1", "beta2", "adam_epsilon"),
}


@dataclass(frozen=True)
class Shape:
    """What a data set requires of a network: the size of its images and the number of its classes."""

    channels: int  # 1: grey, 3: red, green and blue
    rows: int
    columns: int
    classes: int

    @classmethod
    def of_images(cls, sizes: Sequence[int], classes: int) -> Self:
        """Return the shape of an array of images. sizes: images, rows, columns and, in colour, channels."""
        rows, columns, channels = (*sizes[1:], 1)[:3]
        return cls(channels, rows, columns, classes)

    @property
    def pixels(self) -> int:
        """How many numbers an image has: the width of the input layer."""
        return self.channels * self.rows * self.columns

    def __str__(self) -> str:
        """Write the size of an image as messages do: 28 x 28, or 32 x 32 x 3 with three channels."""
        return " x ".join(map(str, (self.rows, self.columns, self.channels)[: 2 + (self.channels > 1)]))


@dataclass(frozen=True)
class TrainingSettings:
    """Everything a stack of runs shares. Two runs with equal settings and seed have equal curves."""

    arm: Arm  # what stands between a layer's product and its nonlinearity
    activation: Activation  # of the hidden layers; the output layer is linear
    learning_rate: float  # of the optimizer
    # Standard deviation of the normal distribution of the initial weights; xavier: 1/sqrt(fan_in), he: sqrt(2/fan_in).
    init_std: float | InitScheme
    steps: int  # mini-batches to train on
    hidden_sizes: tuple[int, ...]  # units of each hidden layer, first layer first
    batch_size: int  # images in a mini-batch
    evaluation_interval: int  # validation accuracy is measured after step 0 and every multiple of this
    epsilon: float  # added to a variance before its square root is taken
    moving_average_weight: float  # of the newest batch; TensorFlow's momentum is 1 minus this
    moving_variance: VarianceConvention  # divisor of the averaged batch variance: m (biased) or m - 1
    groups: int = 5  # of features, in group normalization
    ghost_size: int = 15  # images of a mini-batch that ghost batch normalization normalizes together
    renorm_max_scale: float = 3.0  # batch renormalization's r ends up between 1 / this and this
    renorm_max_shift: float = 5.0  # and its d between minus this and this
    renorm_start: int = 500  # steps of plain batch normalization before these limits begin to rise
    renorm_ramp: int = 1000  # steps over which they rise
    normalize_logits: bool = True  # False: only the hidden layers are normalized
    normalize_hidden: bool = True  # False: only the logits are normalized
    position: Position = "before"  # of a normalization: before the nonlinearity or after it
    trained: Trained = "all"  # transforms: only what the transforms learn, which is gamma and beta, or b
    parameter_rate: float = 1.0  # learning rate of what the transforms learn, as a multiple of the weights' rate
    training_images: int | None = None  # how many of the training images to use, from the front; None: all
    binarize: bool = False  # whether a pixel becomes 1 if it is at least half of white, and otherwise 0
    precision: Precision = "float32"  # of all arithmetic
    evaluate_training: bool = False  # whether training images are evaluated too, as many as validation images
    diagnostics: bool = False  # whether the layers are measured at every evaluation
    network: Architecture = "fully_connected"
    channels: tuple[int, ...] = (8, 8, 16, 16, 32, 32)  # of each convolution in order; see `bnpipe.networks.sizes`
    stop_at_accuracy: float | None = None  # a run stops after the first evaluation with this accuracy; None: never
    keep_weights: bool = False  # whether the record holds the trained weights
    optimizer: Optimizer = "sgd"  # sgd: plain gradient descent
    momentum: float = 0.9  # of momentum: the share of the velocity that is kept at each step
    beta1: float = 0.9  # of adam: the share of the moving average of gradients that is kept at each step
    beta2: float = 0.999  # of adam: the same for squared gradients
    adam_epsilon: float = 1e-8  # of adam: added to the root of the average square
    weight_decay: float = 0.0  # times the weights, added to their gradient; what the transforms learn does not decay

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> Self:
        """Make settings from plain values, as JSON or a job's parameters hold them: a tuple is a list there."""
        own: dict[str, Any] = {key: tuple(each) if isinstance(each, list) else each for key, each in values.items()}
        return cls(**own)

    def layer_sizes(self, shape: Shape) -> tuple[int, ...]:
        """Return the width of every layer of a fully connected network, from a data set's pixels to its classes."""
        return (shape.pixels, *self.hidden_sizes, shape.classes)

    @property
    def is_plain_descent(self) -> bool:
        """Whether weights are trained by plain gradient descent without weight decay."""
        return self.optimizer == "sgd" and self.weight_decay == 0

    @property
    def evaluated_steps(self) -> range:
        """The steps after which the network is evaluated."""
        return range(0, self.steps, self.evaluation_interval)


@dataclass(frozen=True)
class Runs:
    """The runs of a job: networks of one shape that are trained side by side, each from its own seed.

    Only the learning rate and the initialization may differ between them: these do not change shapes, and the
    arithmetic of a run does not depend on the runs beside it. Raises ValueError if the tuples differ in length.
    """

    settings: TrainingSettings  # what all share, with the learning rate and the initialization of the first run
    learning_rates: tuple[float, ...]  # of each run
    init_stds: tuple[float | InitScheme, ...]  # of each run
    seeds: tuple[int, ...]  # of each run

    def __post_init__(self) -> None:
        counts = len(self.learning_rates), len(self.init_stds), len(self.seeds)
        if len(set(counts)) > 1:
            raise ValueError("got {} learning rates and {} initializations for {} seeds".format(*counts))

    @classmethod
    def of_seeds(cls, settings: TrainingSettings, seeds: Sequence[int]) -> Self:
        """Return one run for each seed, all with the same settings."""
        return cls.from_plain(asdict(settings), seeds)

    @classmethod
    def from_plain(cls, values: Mapping[str, Any], seeds: Sequence[int]) -> Self:
        """Make the runs of a job from the parameters that it is given.

        values: the fields of TrainingSettings. `learning_rate` and `init_std` are one value for all runs, or a list of
        one value for each run. seeds: one for each run. Raises ValueError if a list has another length.
        """
        rates, stds = (_repeated(values[name], len(seeds)) for name in ("learning_rate", "init_std"))
        settings = TrainingSettings.from_plain({**values, "learning_rate": rates[0], "init_std": stds[0]})
        return cls(settings, rates, stds, tuple(seeds))

    def to_plain(self) -> dict[str, Any]:
        """Return the settings as plain values; those that may differ are tuples with one value for each run."""
        return {**asdict(self.settings), "learning_rate": self.learning_rates, "init_std": self.init_stds}

    def __len__(self) -> int:
        return len(self.seeds)

    def __getitem__(self, part: slice) -> Self:
        """Return the runs of a slice, which must not be empty."""
        return self.take(range(len(self))[part])

    def take(self, places: Iterable[int]) -> Self:
        """Return the runs at these places, in this order; at least one place is needed."""
        rates, stds, seeds = zip(
            *((self.learning_rates[place], self.init_stds[place], self.seeds[place]) for place in places), strict=True
        )
        return self.from_plain({**self.to_plain(), "learning_rate": rates, "init_std": stds}, seeds)

    def change(self, **settings: Any) -> Self:
        """Return the same runs with some settings changed; what may differ between runs is given as in `from_plain`."""
        return self.from_plain({**self.to_plain(), **settings}, self.seeds)

    @property
    def each(self) -> tuple[TrainingSettings, ...]:
        """The settings of each run."""
        pairs = zip(self.learning_rates, self.init_stds, strict=True)
        return tuple(replace(self.settings, learning_rate=rate, init_std=std) for rate, std in pairs)


def counts(seed: int) -> bool:
    """Return whether a seed counts in verdicts: explored seeds suggested the claims, tuning seeds chose settings."""
    return seed not in EXPLORED_SEEDS | TUNING_SEEDS


def _repeated(value: Any, runs: int) -> tuple[Any, ...]:
    """Return one value for each run, given these values or one value for all runs."""
    return tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else (value,) * runs
