import math

import pytest
import torch

from bnpipe.modules.noise import normal, random_bits, two_uniforms


def test_bits_are_those_of_splitmix64() -> None:
    # The known first outputs for the seed 1234567, as unsigned numbers, and the first for seed 0.
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    bits = random_bits(torch.tensor(1234567), torch.arange(4))
    assert [value % 2**64 for value in bits.tolist()] == expected
    assert random_bits(torch.tensor(0), torch.tensor(0)).item() % 2**64 == 0xE220A8397B1DCDAF


def test_keys_and_places_are_broadcast() -> None:
    keys, places = torch.tensor([[3], [5]]), torch.arange(4)
    bits = random_bits(keys, places)
    assert (bits.shape, bits.dtype) == ((2, 4), torch.int64)
    assert bits[1, 2] == random_bits(torch.tensor(5), torch.tensor(2))


def test_halves_become_numbers_between_0_and_1() -> None:
    # Upper half 0 and lower 2^32 - 1; upper 2^31, where the sign is negative, and lower 1.
    bits = torch.tensor([2**32 - 1, -(2**63) + 1])
    upper, lower = two_uniforms(bits)
    assert upper.tolist() == [0.5 / 2**32, (2**31 + 0.5) / 2**32]
    assert lower.tolist() == [(2**32 - 0.5) / 2**32, 1.5 / 2**32]


def test_uniform_numbers_become_normal_ones() -> None:
    # Of a standard normal distribution 84.134...% are below 1, and half below 0.
    below_1 = (1 + math.erf(1 / math.sqrt(2))) / 2
    assert normal(torch.tensor([0.5, below_1, 1 - below_1], dtype=torch.float64)).tolist() == pytest.approx(
        [0, 1, -1], abs=1e-14
    )
    ends = normal(torch.tensor([0.5 / 2**32, 1 - 0.5 / 2**32], dtype=torch.float64))
    assert ends.isfinite().all()
    assert ends[1].item() == pytest.approx(6.3, abs=0.1)
