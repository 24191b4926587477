"""The same training written in JAX: the step is vmapped over the runs, and a scan over steps is compiled as a whole."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bnpipe.core.settings import TrainingSettings
from bnpipe.data.packed import Images
from bnpipe.networks.seeds import BatchOrder, initial_weights, streams_of

# Full float32 on a GPU, like the other contestants.
jax.config.update("jax_default_matmul_precision", "highest")

Layer = dict[str, Any]


class JaxScan:
    """A stack of networks. Each call of ``advance`` is one compiled scan over mini-batches."""

    def __init__(self, settings: TrainingSettings, stack: int, images: Images) -> None:
        streams = streams_of(range(stack))
        drawn = [initial_weights(stream, settings.layer_sizes(images.shape), settings.init_std) for stream in streams]
        self._layers = [_layer(np.stack(weights), settings) for weights in zip(*drawn, strict=True)]
        self._batches = BatchOrder(streams, len(images), settings.batch_size)
        pixels, labels = jnp.asarray(images.pixels), jnp.asarray(images.labels)
        step = jax.vmap(_step(settings), in_axes=(0, 1, 1))

        def scan(layers: list[Layer], indices: Any) -> Any:
            def body(layers: list[Layer], batch: Any) -> Any:
                return step(layers, pixels[batch].astype(jnp.float32) / 255, labels[batch])

            return jax.lax.scan(body, layers, indices)

        self._scan = jax.jit(scan, donate_argnums=0)

    def advance(self, steps: int) -> None:
        indices = self._batches.next_batches(steps)
        self._layers, loss = self._scan(self._layers, jnp.asarray(indices))
        loss.block_until_ready()


def _layer(weights: Any, settings: TrainingSettings) -> Layer:
    # Copies throughout: a donated argument must not share memory with another.
    runs, _, features = weights.shape
    zeros, ones = jnp.zeros((runs, features)), jnp.ones((runs, features))
    if settings.arm == "vanilla":
        return {"weight": jnp.array(weights), "bias": zeros}
    return {
        "weight": jnp.array(weights),
        "gamma": ones,
        "beta": zeros,
        "moving": {"mean": zeros.copy(), "variance": ones.copy()},
    }


def _step(settings: TrainingSettings) -> Callable[[list[Layer], Any, Any], tuple[list[Layer], Any]]:
    nonlinearity = {"tanh": jnp.tanh, "relu": jax.nn.relu}[settings.activation]
    weight = settings.moving_average_weight

    def loss_of(layers: list[Layer], images: Any, labels: Any) -> tuple[Any, list[Layer]]:
        h, moving = images, []
        for number, layer in enumerate(layers):
            z = h @ layer["weight"]
            if settings.arm == "vanilla":
                z += layer["bias"]
            else:
                mean, variance = z.mean(axis=0), z.var(axis=0)
                z = layer["gamma"] * (z - mean) * jax.lax.rsqrt(variance + settings.epsilon) + layer["beta"]
                old = layer["moving"]
                moving.append(
                    {
                        "mean": old["mean"] + weight * (mean - old["mean"]),
                        "variance": old["variance"] + weight * (variance - old["variance"]),
                    }
                )
            h = z if number == len(layers) - 1 else nonlinearity(z)
        picked = jnp.take_along_axis(jax.nn.log_softmax(h), labels[:, None], axis=1)
        return -picked.mean(), moving

    def step(layers: list[Layer], images: Any, labels: Any) -> tuple[list[Layer], Any]:
        (loss, moving), gradients = jax.value_and_grad(loss_of, has_aux=True)(layers, images, labels)
        layers = jax.tree.map(lambda value, slope: value - settings.learning_rate * slope, layers, gradients)
        for layer, averages in zip(layers, moving, strict=False):
            layer["moving"] = averages
        return layers, loss

    return step
