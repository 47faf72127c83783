"""Inception against another implementation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from support.pretrained import inception_tensors
from tacit.errors import CorruptWeights
from tacit.pretrained.inception import InceptionFeatures, load_inception


def test_inception_is_that_of_torch_fidelity(tmp_path: Path) -> None:
    tensors = inception_tensors()
    network = InceptionFeatures(tensors | {"fc.weight": torch.zeros(1)})
    x = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 3, 96, 80), dtype=np.uint8))
    found = network(x.float())
    assert found.shape == (2, 2048)
    # What torch-fidelity 0.4.0 ("inception-v3-compat", 2048) gives for these weights and images.
    expected = [0.04482, 0.023371, 1.101959, 0.056633, 0.000593]
    assert found[1, [0, 500, 1000, 1500, 2047]].tolist() == pytest.approx(expected, abs=1e-5)
    assert found.mean().item() == pytest.approx(0.2297246, abs=1e-5)
    assert found.std().item() == pytest.approx(0.2994166, abs=1e-5)
    tensors.pop("Mixed_7c.branch_pool.conv.weight")
    with pytest.raises(CorruptWeights, match="not the weights of Inception v3"):
        InceptionFeatures(tensors)
    path = tmp_path / "other.pth"
    path.write_bytes(b"other")
    with pytest.raises(CorruptWeights, match="5 bytes"):
        load_inception(path)
