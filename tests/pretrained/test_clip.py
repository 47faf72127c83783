"""Loading CLIP from a folder and from the Hugging Face cache, and never from anywhere else."""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from tacit.errors import CorruptWeights, MissingExtra, MissingWeights
from tacit.pretrained.clip import DEFAULT, Clip, load_clip


def copied(folder: Path, target: Path) -> Path:
    for path in folder.iterdir():
        shutil.copy(path, target)
    return target


def test_both_networks_embed(whole_clip_folder: Path) -> None:
    clip = Clip(whole_clip_folder)
    assert (clip.side, clip.max_tokens) == (32, 20)
    assert not any(parameter.requires_grad for parameter in clip.parameters())
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)).requires_grad_()
    embedded, texts = clip.image(x), clip.text(["a dog", "dog " * 30])
    for rows in (embedded, texts):
        assert rows.shape == (2, 8)
        assert torch.allclose(rows.norm(dim=1), torch.ones(2))
    embedded.sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0


def test_without_transformers_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtra, match=r"tacit\[clip\]"):
        load_clip()


def test_a_model_that_is_not_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    transformers = pytest.importorskip("transformers")
    with pytest.raises(MissingWeights, match="no such folder"):
        load_clip(tmp_path / "nothing")
    with pytest.raises(MissingWeights, match=r"no config\.json in this folder, which must hold its config"):
        load_clip(tmp_path)

    def nowhere(*_: Any, **options: Any) -> None:
        assert options["local_files_only"]
        raise OSError("not in the cache")

    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", nowhere)
    with pytest.raises(MissingWeights, match=rf"run `hf download {DEFAULT}`.*605,247,071 bytes, sha256 a6308"):
        load_clip()


@pytest.mark.slow
def test_nothing_is_downloaded(tmp_path: Path, clip_folder: Path) -> None:
    """A cached model is found; one that is missing, all or in part, is reported in one line, without a connection."""
    cached = tmp_path / "hub" / "models--somebody--tiny"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text("0123")
    shutil.copytree(clip_folder, cached / "snapshots" / "0123")
    part = tmp_path / "hub" / "models--somebody--other"
    shutil.copytree(cached, part)
    for path in (part / "snapshots" / "0123").glob("*token*"):
        path.unlink()
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    code = (
        "import socket, sys; from tacit import cli; from tacit.text.encoders import load_encoder\n"
        "def refuse(*_): raise AssertionError('a connection')\n"
        "socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse\n"
        "assert load_encoder('clip:somebody/tiny').width == 16\n"
        "for name in ('somebody/other', 'somebody/none'):\n"
        "    status = cli.main(['encode', sys.argv[1], '-c', 'x', '--text-encoder', f'clip-published:{name}'])\n"
        "    assert status == 1\n"
    )
    environment = os.environ | {"HF_HOME": str(tmp_path)}
    for name in ("HF_HUB_CACHE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        environment.pop(name, None)
    ran = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.png")], env=environment, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    lines = ran.stderr.splitlines()
    assert len(lines) == 2
    for line, name in zip(lines, ("other", "none"), strict=True):
        assert re.match(
            rf"tacit: .*a\.png: CLIP somebody/{name} is not on this machine: run `hf download somebody/{name}`, or ",
            line,
        )


@pytest.mark.parametrize("text_only", [True, False])
def test_a_folder_with_a_tensor_missing(tmp_path: Path, whole_clip_folder: Path, text_only: bool) -> None:
    path = copied(whole_clip_folder, tmp_path) / "model.safetensors"
    tensors = load_file(path)
    removed = tensors.pop(next(n for n in tensors if n.endswith("final_layer_norm.weight")))
    assert removed.shape == (16,)
    save_file(tensors, path, {"format": "pt"})
    with pytest.raises(CorruptWeights, match=r"1 tensors missing, the first .*final_layer_norm"):
        load_clip(tmp_path, text_only=text_only)
    path.write_bytes(b"not weights")
    with pytest.raises(CorruptWeights, match="CLIP"):
        load_clip(tmp_path, text_only=text_only)


def test_the_text_network_of_a_whole_model_loads_quietly(
    whole_clip_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import transformers

    messages: list[str] = []
    monkeypatch.setattr(logging.getLogger("transformers"), "handlers", [_Listener(messages)])
    model, tokenizer = load_clip(whole_clip_folder, text_only=True)
    assert messages == []
    # The test would notice a message: transformers itself reports the image network's tensors.
    theirs: Any = transformers.CLIPTextModel.from_pretrained(whole_clip_folder)
    theirs.eval()
    assert any("vision_model" in line for line in messages)
    tokens = tokenizer(["a dog"], return_tensors="pt")
    assert torch.equal(model(**tokens).last_hidden_state, theirs(**tokens).last_hidden_state)


def test_a_tokenizer_of_another_model(tmp_path: Path, whole_clip_folder: Path, clip_folder: Path) -> None:
    copied(whole_clip_folder, tmp_path)
    for path in clip_folder.glob("*token*"):
        shutil.copy(path, tmp_path)
    with pytest.raises(CorruptWeights, match="its tokenizer is not the model's"):
        load_clip(tmp_path)


class _Listener(logging.Handler):
    def __init__(self, messages: list[str]) -> None:
        super().__init__()
        self._messages = messages

    def emit(self, record: logging.LogRecord) -> None:
        self._messages.append(record.getMessage())
