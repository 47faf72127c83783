"""Devices whose products are not exact are refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tacit.errors import NotExact
from tacit.exact import arithmetic


def test_probe_refuses_a_device_whose_products_are_not_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = torch.addmm

    def emulated(*arguments: Tensor, **options: Any) -> Tensor:
        return genuine(*(a.float() for a in arguments), **options).double()

    monkeypatch.setattr(arithmetic, "_probed", set())
    monkeypatch.setattr(torch, "addmm", emulated)
    with pytest.raises(NotExact, match="not exact"):
        arithmetic.probe(torch.device("cpu"))
    with pytest.raises(NotExact), arithmetic.exact_arithmetic(torch.device("cpu")):
        pass
    monkeypatch.setattr(torch, "addmm", genuine)
    arithmetic.probe(torch.device("cpu"))
    assert arithmetic._probed == {"cpu"}
