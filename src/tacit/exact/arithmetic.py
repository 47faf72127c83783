"""Exact arithmetic: the bound below which integers in float64 are exact, and the state in which they are computed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from tacit.errors import NotExact

EXACT_LIMIT = 2**53  # every integer below this is a float64


@contextmanager
def exact_arithmetic(device: torch.device) -> Iterator[None]:
    """Compute without autograd and autocast, the only global states that could reach a float64 product.

    Raises:
        NotExact: The device's float64 products are not exact.
    """
    probe(device)
    with torch.inference_mode(), torch.autocast(device.type, enabled=False):
        yield


_probed: set[str] = set()  # devices that have passed


def probe(device: torch.device) -> None:
    """Check, once for each device, that float64 products are exact; emulated ones need not be.

    Raises:
        NotExact: A product of integers below the bound came out wrong.
    """
    if str(device) in _probed:
        return
    generator = torch.Generator("cpu").manual_seed(0)
    a = torch.randint(-(2**20), 2**20, (64, 512), generator=generator, device="cpu")
    b = torch.randint(-(2**15), 2**15, (512, 64), generator=generator, device="cpu")
    expected = a @ b
    with torch.inference_mode(), torch.autocast(device.type, enabled=False):
        computed = torch.addmm(
            torch.zeros(64, dtype=torch.float64, device=device), a.double().to(device), b.double().to(device)
        )
    if not torch.equal(computed.cpu().long(), expected):
        raise NotExact(f"device {device}: float64 matrix products are not exact for integers below 2^53")
    _probed.add(str(device))
