"""What the numbers of a run depend on, apart from its seed and the data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

Arm = Literal["vanilla", "batchnorm"]
Activation = Literal["tanh", "relu"]
VarianceConvention = Literal["biased", "unbiased"]
Device = Literal["cpu", "cuda"]

FIRST_SEED = 42  # the tutorial's; a number of seeds counts from here
IMAGE_SIZE = (28, 28)  # rows and columns; every data set is brought to this size
PIXELS = 28 * 28  # width of the input layer
DIGITS_SPLIT = (1197, 300, 300)  # training, validation and test images of scikit-learn's digits
CLASSES = 10  # width of the output layer


@dataclass(frozen=True)
class TrainingSettings:
    """Everything a stack of runs shares. Two runs with equal settings and seed have equal curves."""

    arm: Arm  # what stands between a product and its nonlinearity
    activation: Activation  # of the hidden layers; the output layer is linear
    learning_rate: float  # of plain gradient descent
    init_std: float  # standard deviation of the normal distribution that weights are drawn from
    steps: int  # mini-batches to train on
    hidden_sizes: tuple[int, ...]  # units of each hidden layer, first layer first
    batch_size: int  # images in a mini-batch
    evaluation_interval: int  # validation accuracy is taken after every step that this divides, 0 included
    epsilon: float  # added to a variance before its square root is taken
    moving_average_weight: float  # of the newest batch; TensorFlow's momentum is 1 minus this
    moving_variance: VarianceConvention  # divisor of the averaged batch variance: m (biased) or m - 1

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> Self:
        """Make settings of what JSON or a job's parameters hold of them: there a tuple is a list."""
        return cls(**{**values, "hidden_sizes": tuple(values["hidden_sizes"])})

    @property
    def layer_sizes(self) -> tuple[int, ...]:
        """Width of every layer of units, from the pixels to the classes."""
        return (PIXELS, *self.hidden_sizes, CLASSES)

    @property
    def evaluated_steps(self) -> range:
        """The steps after which the network is evaluated."""
        return range(0, self.steps, self.evaluation_interval)
