"""Random numbers that are a function of where they are used, and of nothing else.

A generator hands out its numbers in turn, so a run would get other numbers if other runs trained beside it. Here a
number has an address instead, such as seed, layer, step, unit and image, and is a hash of this address. The hash is
SplitMix64 (Steele, Lea & Flood 2014) in 64-bit whole numbers, which wrap around. It gives the same bits on every
device.
"""

import math

import torch
from torch import Tensor


def _signed(bits: int) -> int:
    """Return 64 bits as PyTorch holds them: a whole number from -2^63 to 2^63 - 1."""
    return bits - 2**64 if bits >= 2**63 else bits


STEP = _signed(0x9E3779B97F4A7C15)  # between the states of SplitMix64
FACTORS = _signed(0xBF58476D1CE4E5B9), _signed(0x94D049BB133111EB)


def random_bits(key: Tensor, place: Tensor) -> Tensor:
    """Return 64 random bits for every key and place.

    They are the output of SplitMix64 with the seed ``key``, where ``place`` is the number of the output, from 0. All
    are int64; key and place are broadcast against each other. The result may be the key for further places.
    """
    bits = key + (place + 1) * STEP
    bits = (bits ^ _shifted(bits, 30)) * FACTORS[0]
    bits = (bits ^ _shifted(bits, 27)) * FACTORS[1]
    return bits ^ _shifted(bits, 31)


def two_uniforms(bits: Tensor) -> tuple[Tensor, Tensor]:
    """Return two independent float64 numbers, uniform between 0 and 1 and never 0 or 1, from each 64 bits (int64)."""
    halves = _shifted(bits, 32), bits & (2**32 - 1)
    first, second = ((half.double() + 0.5) / 2**32 for half in halves)
    return first, second


def normal(uniform: Tensor) -> Tensor:
    """Return a standard normal number for every uniform one between 0 and 1, by the inverse distribution function."""
    return torch.erfinv(2 * uniform - 1) * math.sqrt(2)


def _shifted(bits: Tensor, places: int) -> Tensor:
    """Shift to the right, with zeros coming in from the left even if the sign is negative."""
    shifted: Tensor = (bits >> places) & (2 ** (64 - places) - 1)
    return shifted
