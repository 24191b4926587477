import numpy as np

from bnpipe.data.digits import read_digits


def test_first_digit_by_hand() -> None:
    # scikit-learn's first image, a 0, begins with the rows 0 0 5 13 9 1 0 0 and 0 0 13 15 10 15 5 0.
    # In 255ths, v * 255 / 16: 1 -> 16, 5 -> 80, 9 -> 143, 10 -> 159, 13 -> 207, 15 -> 239.
    first = [0] * 8 + [80] * 3 + [207] * 3 + [143] * 3 + [16] * 3 + [0] * 8
    second = [0] * 8 + [207] * 3 + [239] * 3 + [159] * 3 + [239] * 3 + [80] * 3 + [0] * 5
    images, labels = read_digits()
    image = images[0].tolist()
    assert image[:8] == [[0] * 28] * 2 + [first] * 3 + [second] * 3
    assert image[26:] == [[0] * 28] * 2
    assert labels[0] == 0


def test_digits_use_the_whole_range_and_leave_a_margin() -> None:
    images, _ = read_digits()
    assert images.shape == (1797, 28, 28)
    assert (images.min(), images.max()) == (0, 255)
    margin = np.ones((28, 28), bool)
    margin[2:26, 2:26] = False
    assert not images[:, margin].any()
