"""Data-dependent initialization: the arm `firstbatch`, which normalizes the first mini-batch and none after it.

Krähenbühl et al. 2015 (arXiv 1511.06856) and Mishkin & Matas 2016 (arXiv 1511.06422) set the first weights so that
what each layer computes from some images has unit variance. Here they are set so that the network starts as the
batch-normalized network of the same weights does on its first mini-batch; then it trains as vanilla.
"""

from dataclasses import replace

import numpy as np

from bnpipe.core.settings import TrainingSettings
from bnpipe.networks.compiled import Array
from bnpipe.networks.network import Network


def normalize_first_batch(network: Network, settings: TrainingSettings, images: Array) -> None:
    """Set weights and biases so that zW + b of the images has mean 0 and variance 1 in every unit.

    Layer after layer, with z the outputs of the layer below, and mean and biased variance those of zW over the images,

        W becomes W / sqrt(variance + epsilon),   b becomes -mean / sqrt(variance + epsilon),

    so the variance is 1 only up to epsilon, as in batch normalization. Layers that ``settings`` exclude from
    normalization keep their weights and a bias of 0. images: (batch, pixels), float64. Everything is computed in double
    precision and then rounded to the network's precision.
    """
    newest_only = replace(
        settings,
        arm="batchnorm",
        position="before",
        precision="float64",
        moving_average_weight=1.0,  # moving averages are then the statistics of the images
        moving_variance="biased",
    )
    normalized = Network(network.weights, newest_only)
    normalized.forward(images)
    for layer in normalized.averages:
        statistics, weight = normalized.learned[layer], normalized.weights[layer]
        deviation = np.sqrt(statistics.variance + settings.epsilon)
        network.weights[layer][:] = weight / deviation
        network.learned[layer].beta[:] = -statistics.mean / deviation
