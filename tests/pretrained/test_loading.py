"""Files of other people's networks: where they are looked for, and those that are missing or others."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from support.pretrained import random_features
from tacit.errors import CorruptWeights, MissingWeights
from tacit.pretrained import loading
from tacit.pretrained.catalogue import PretrainedFile
from tacit.pretrained.feature_distance import load_feature_distance
from tacit.pretrained.lpips import load_lpips


def test_what_is_missing_is_named() -> None:
    sha256 = "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02"
    with pytest.raises(MissingWeights) as caught:
        load_lpips("alex")
    for part in ("alexnet-owt-7be5be79.pth", "244,408,911 bytes", sha256, "https://download.pytorch.org/models/"):
        assert part in str(caught.value)
    with pytest.raises(MissingWeights, match=r"squeezenet1_1_features_keras\.safetensors \(2,894,528 bytes"):
        load_feature_distance()
    with pytest.raises(MissingWeights, match="not at nowhere"):
        load_feature_distance("nowhere")


def test_another_file_under_the_name(tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    save_file(random_features("squeeze")[1], path)
    with pytest.raises(CorruptWeights, match=r"sha256 [0-9a-f]{16}; SqueezeNet 1\.1 of Keras needs"):
        load_feature_distance(path)


def test_where_files_are_looked_for(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(3)}, tmp_path / "a.pth")
    content = (tmp_path / "a.pth").read_bytes()
    wanted = PretrainedFile(
        network="A", file="a.pth", source="there", size=len(content), sha256=hashlib.sha256(content).hexdigest()
    )
    for folder in (tmp_path / "hub" / "hub" / "checkpoints", tmp_path / "weights" / "pretrained"):
        folder.mkdir(parents=True)
        (folder / "a.pth").write_bytes(content)
        assert loading.locate(wanted) == folder / "a.pth"
        assert loading.load(wanted)["a"].tolist() == [1, 1, 1]
