"""Where float32 products are not exact float64 stands in, and devices without exact products are refused."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor

from tacit.errors import NotExact
from tacit.exact import arithmetic
from tacit.exact.arithmetic import ARITHMETICS, DOUBLE, SINGLE, Arithmetic, exact_arithmetic

CPU = torch.device("cpu")
GENUINE = torch.addmm


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was found about this device is found anew, in each test."""
    monkeypatch.setattr(arithmetic, "_probed", {})


def types() -> list[torch.dtype]:
    found = []
    for one in (SINGLE, DOUBLE):
        with exact_arithmetic(CPU, one) as dtype:
            found.append(dtype)
    return found


def shortened(bits: int) -> Any:
    """torch.addmm with the factors of float32 products rounded to so many digits, as TF32 (11) and bf16 (8) have."""

    def rounded(x: Tensor) -> Tensor:
        mantissa, exponent = torch.frexp(x)
        return torch.ldexp((mantissa * 2**bits).round() / 2**bits, exponent)

    def product(bias: Tensor, a: Tensor, b: Tensor) -> Tensor:
        if a.dtype == torch.float64:
            return GENUINE(bias, a, b)
        return GENUINE(bias, rounded(a), rounded(b))

    return product


def test_each_arithmetic_has_its_type_on_a_processor() -> None:
    assert types() == [torch.float32, torch.float64]


@pytest.mark.parametrize("bits", [8, 11])
def test_float64_stands_in_where_factors_are_rounded(monkeypatch: pytest.MonkeyPatch, bits: int) -> None:
    monkeypatch.setattr(torch, "addmm", shortened(bits))
    assert types() == [torch.float64, torch.float64]
    monkeypatch.setattr(torch, "addmm", shortened(24))
    arithmetic._probed.clear()
    assert types() == [torch.float32, torch.float64]


@pytest.mark.parametrize("precision", ["high", "medium"])
def test_float64_stands_in_where_the_caller_wants_fast_products(precision: str) -> None:
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision(precision)
        assert types() == [torch.float64, torch.float64]
        assert torch.get_float32_matmul_precision() == precision  # the caller's settings stay
    finally:
        torch.set_float32_matmul_precision(before)
    assert types() == [torch.float32, torch.float64]


def test_a_device_whose_products_are_not_exact_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def emulated(*arguments: Tensor) -> Tensor:
        return GENUINE(*(a.bfloat16().float() for a in arguments)).to(arguments[1].dtype)

    monkeypatch.setattr(torch, "addmm", emulated)
    for one in (SINGLE, DOUBLE):
        message = rf"device cpu: matrix products are not exact for integers below 2\^{one.bits}"
        with pytest.raises(NotExact, match=message), exact_arithmetic(CPU, one):
            pass
    monkeypatch.setattr(torch, "addmm", GENUINE)
    with pytest.raises(NotExact), exact_arithmetic(CPU, SINGLE):  # it is not asked again
        pass


@pytest.mark.parametrize("arithmetic", ARITHMETICS.values())
def test_a_copy_of_an_arithmetic_is_the_same(arithmetic: Arithmetic) -> None:
    """A codec that went to another process computes what this one does."""
    assert pickle.loads(pickle.dumps(arithmetic)) is arithmetic
    assert copy.deepcopy(arithmetic) is arithmetic
