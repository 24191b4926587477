import pytest

from bnpipe.core.settings import Shape
from bnpipe.networks.sizes import Grid, grids, units, weight_sizes
from tests.conftest import make_settings

MNIST, CIFAR10 = Shape(1, 28, 28, 10), Shape(3, 32, 32, 10)


def test_a_fully_connected_network_goes_from_pixels_to_classes() -> None:
    settings = make_settings(hidden_sizes=(6, 5))
    assert weight_sizes(settings, CIFAR10) == [(3072, 6), (6, 5), (5, 10)]
    assert units(settings, CIFAR10) == [3072, 6, 5, 10]


def test_the_convolutional_network_halves_rows_and_columns_where_channels_grow() -> None:
    settings = make_settings(network="convolutional")
    assert settings.channels == (8, 8, 16, 16, 32, 32)
    sides = [(grid.rows, grid.channels) for grid in grids(settings, MNIST)]
    assert sides == [(28, 1), (14, 8), (14, 8), (7, 16), (7, 16), (4, 32), (4, 32)]
    assert weight_sizes(settings, MNIST) == [
        *[(9, 8), (72, 8), (72, 16), (144, 16), (144, 32), (288, 32)],
        (4 * 4 * 32, 10),
    ]
    assert units(settings, MNIST) == [784, 14 * 14 * 8, 14 * 14 * 8, 7 * 7 * 16, 7 * 7 * 16, 512, 512, 10]


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_the_smallest_images_will_do(rows: int) -> None:
    settings = make_settings(network="convolutional", channels=(4, 8, 2))
    assert grids(settings, Shape(3, rows, 5, 7)) == [
        Grid(rows, 5, 3),
        Grid(-(-rows // 2), 3, 4),
        Grid(1, 2, 8),
        Grid(1, 2, 2),
    ]
    assert weight_sizes(settings, Shape(3, rows, 5, 7))[-1] == (4, 7)
