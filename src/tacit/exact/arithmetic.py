"""Exact arithmetic: the numbers that hold integers, the bound below which they do, and the state for computing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from tacit.errors import NotExact


@dataclass(frozen=True)
class Arithmetic:
    """Floating-point numbers that hold the integers of a network."""

    bits: int
    """Every integer whose size is below 2^bits is such a number."""

    dtype: torch.dtype
    """The type of tensors of them."""

    @property
    def limit(self) -> int:
        """The bound that every partial sum must stay below."""
        return 1 << self.bits

    def __reduce__(self) -> tuple[object, tuple[int]]:
        """Return how a copy is made, here or in another process: it is the one of `ARITHMETICS`, not another."""
        return _arithmetic, (self.bits,)


SINGLE = Arithmetic(24, torch.float32)
DOUBLE = Arithmetic(53, torch.float64)
ARITHMETICS = {one.bits: one for one in (SINGLE, DOUBLE)}
"""By the bits that a weights file states."""


def _arithmetic(bits: int) -> Arithmetic:
    return ARITHMETICS[bits]


@contextmanager
def exact_arithmetic(device: torch.device, arithmetic: Arithmetic) -> Iterator[torch.dtype]:
    """Compute without autograd and autocast, and give the type in which the networks' integers are to be held.

    It is the arithmetic's own type where products in it are exact, and float64 where they are not: on a device that
    rounds the factors of float32 products, or where the caller has asked for such products (TF32, bf16). Callers'
    settings are read and never changed, as other threads may be computing by them.

    Raises:
        NotExact: The device's products are exact in neither type.
    """
    with torch.inference_mode(), torch.autocast(device.type, enabled=False):
        if arithmetic is SINGLE and not _rounds_factors(device) and _is_exact(device, SINGLE):
            yield torch.float32
        elif _is_exact(device, DOUBLE):
            yield torch.float64
        else:
            raise NotExact(f"device {device}: matrix products are not exact for integers below 2^{arithmetic.bits}")


def _rounds_factors(device: torch.device) -> bool:
    """Return whether the caller has asked for float32 products of fewer digits."""
    backend = torch.backends.cuda if device.type == "cuda" else torch.backends.mkldnn
    return backend.matmul.fp32_precision not in ("none", "ieee")


_probed: dict[tuple[str, int], bool] = {}  # what was found, by device and bits

# Rows, terms and columns of products: a kernel for few rows may be exact where one for many is not.
_SIZES = ((1, 576, 64), (64, 512, 32), (600, 32, 32))


def _is_exact(device: torch.device, arithmetic: Arithmetic) -> bool:
    """Return whether products of integers below the bound are exact; found out once for each device."""
    key = str(device), arithmetic.bits
    if key not in _probed:
        try:
            _probed[key] = all(_probe(device, arithmetic, *size) for size in _SIZES)
        except TypeError:  # some devices have no float64
            _probed[key] = False
    return _probed[key]


def _probe(device: torch.device, arithmetic: Arithmetic, rows: int, inner: int, columns: int) -> bool:
    """Return whether products of random integers are exact, of which some sums need nearly all bits.

    The bits that the two factors may take together are shared between them in several ways, as a factor of few digits
    would survive being rounded.
    """
    generator = torch.Generator("cpu").manual_seed(rows)
    spare = arithmetic.bits - inner.bit_length()
    bias = torch.zeros(columns, dtype=torch.float32, device="cpu").to(device, arithmetic.dtype)
    for bits in (1, spare // 2, spare - 1):
        limits = (1 << bits) - 1, (1 << (spare - bits)) - 1
        a, b = (
            torch.randint(-limit, limit + 1, shape, generator=generator, device="cpu")
            for limit, shape in zip(limits, ((rows, inner), (inner, columns)), strict=True)
        )
        a[0] = b[:, 0].sign() * limits[0]  # one sum in which nothing cancels
        computed = torch.addmm(bias, a.to(device, arithmetic.dtype), b.to(device, arithmetic.dtype))
        if not torch.equal(computed.cpu().long(), a @ b):
            return False
    return True
