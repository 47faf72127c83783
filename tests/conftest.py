"""Fixtures that tests share: weights and codecs of small models, pictures, the data folder and a chat endpoint."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from support.chat_server import KEY, Server
from support.paths import DATA
from support.pictures import synthetic
from support.ray_head import ray_head
from support.tiny_models import TINY_TACO_FIXED, tiny_model, tiny_taco, write_weights
from tacit.codec import Codec
from tacit.finding.cue_finder import CueFinder, extra_cues
from tacit.finding.found import Found

# A run in the background inherits an ignored SIGINT, and so would the programs that tests interrupt by it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def weights_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the small models' files are; `TACIT_WEIGHTS` may point to it."""
    return tmp_path_factory.mktemp("weights")


@pytest.fixture(scope="session")
def tiny_weights(weights_folder: Path) -> Path:
    """A weights file of the architecture tacit-s, with few channels."""
    return write_weights(weights_folder / "tiny.safetensors", tiny_model())


@pytest.fixture(scope="session")
def uneven_weights(weights_folder: Path) -> Path:
    """The same with all scales, the narrowest of which code nothing."""
    return write_weights(weights_folder / "uneven.safetensors", tiny_model(uneven=True))


@pytest.fixture(scope="session")
def tiny_taco_weights(weights_folder: Path) -> Path:
    """A weights file of the architecture taco, with few channels and a variable rate."""
    return write_weights(weights_folder / "tiny-taco.safetensors", tiny_taco())


@pytest.fixture(scope="session")
def tiny_taco_fixed_weights(weights_folder: Path) -> Path:
    """The same with one fixed rate."""
    return write_weights(weights_folder / "tiny-taco-fixed.safetensors", tiny_taco(TINY_TACO_FIXED))


@pytest.fixture(scope="session")
def codec(tiny_weights: Path) -> Codec:
    """A codec of the small tacit-s, in fp32."""
    return Codec(tiny_weights, precision="fp32")


@pytest.fixture(scope="session")
def uneven_codec(uneven_weights: Path) -> Codec:
    """A codec of the small tacit-s with all scales, in fp32."""
    return Codec(uneven_weights, precision="fp32")


@pytest.fixture(scope="session")
def taco_codec(tiny_taco_weights: Path) -> Codec:
    """A codec of the small taco with a variable rate, in fp32."""
    return Codec(tiny_taco_weights, precision="fp32")


@pytest.fixture(scope="session")
def taco_fixed_codec(tiny_taco_fixed_weights: Path) -> Codec:
    """A codec of the small taco with a fixed rate, in fp32."""
    return Codec(tiny_taco_fixed_weights, precision="fp32")


@pytest.fixture(scope="session")
def shipped_codec() -> Codec:
    """A codec of the weights in the package, in fp32."""
    return Codec(precision="fp32")


_FOUND: dict[object, Found] = {}
_find = CueFinder.__call__


def _find_once(finder: CueFinder, pixels: np.ndarray, caption: str) -> Found:
    cues, installed = tuple(map(type, finder.cues)), tuple(cue.installed() for cue in extra_cues())
    key = finder.name, cues, installed, pixels.shape, pixels.tobytes(), caption
    if key not in _FOUND:
        _FOUND[key] = _find(finder, pixels, caption)
    return _FOUND[key]


@pytest.fixture(autouse=True)
def found_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the package's finder finds in an image is looked for once, for all tests.

    It is the same each time, and its networks take longer than all else in the encoding of a small image by a small
    model. The tests of the finder itself go without.
    """
    monkeypatch.setattr(CueFinder, "__call__", _find_once)


@pytest.fixture
def picture() -> Callable[..., Image.Image]:
    """Makes synthetic pictures: picture(width, height, mode="RGB", seed=0)."""

    def make(width: int, height: int, mode: str = "RGB", seed: int = 0) -> Image.Image:
        image = Image.fromarray(synthetic(width, height, seed))
        if mode in ("LA", "RGBA"):
            alpha = np.broadcast_to(np.linspace(0, 255, width).astype(np.uint8), (height, width))
            image = image.convert(mode)
            image.putalpha(Image.fromarray(np.ascontiguousarray(alpha)))
            return image
        return image.convert(mode)

    return make


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The shared test data: $TACIT_DATA, else shared/data beside the repository; skips where there is none."""
    if not DATA.is_dir():
        pytest.skip("no data folder (set TACIT_DATA)")
    return DATA


@pytest.fixture(scope="session")
def kodak(data_folder: Path) -> list[Path]:
    """The Kodak images, in order; skips where they are not there."""
    found = sorted((data_folder / "kodak").glob("*.png"))
    if not found:
        pytest.skip("no Kodak images in the data folder")
    return found


@pytest.fixture
def chat_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A chat endpoint on loopback, and an environment with a key for it and without a proxy."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server = Server()
    thread = threading.Thread(target=server.http.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.http.shutdown()
    thread.join()
    server.http.server_close()


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CLIP of random weights, as transformers keeps one in a folder; skips without transformers."""
    transformers = pytest.importorskip("transformers", reason="the extra tacit[clip] is not installed")
    from tokenizers.pre_tokenizers import ByteLevel

    folder = tmp_path_factory.mktemp("clip")
    letters = sorted(ByteLevel.alphabet())
    pieces = [*letters, *(c + "</w>" for c in letters), "do", "dog</w>", "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({p: i for i, p in enumerate(pieces)}), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\nd o\ndo g</w>\n", encoding="utf-8")
    config = transformers.CLIPTextConfig(
        vocab_size=len(pieces),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        bos_token_id=len(pieces) - 2,
        eos_token_id=len(pieces) - 1,
        pad_token_id=len(pieces) - 1,
        initializer_factor=20.0,  # so that context shows in the states
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformers.CLIPTextModel(config).save_pretrained(folder)
    transformers.CLIPTokenizerFast.from_pretrained(folder).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def whole_clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CLIP of random weights with both of its networks, in a folder; skips without transformers."""
    transformers = pytest.importorskip("transformers", reason="the extra tacit[clip] is not installed")
    folder = tmp_path_factory.mktemp("whole-clip")
    letters = [c + end for end in ("", "</w>") for c in "abcdefghijklmnopqrstuvwxyz"]
    pieces = [*letters, "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({p: i for i, p in enumerate(pieces)}), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    special = {"bos_token_id": len(pieces) - 2, "eos_token_id": len(pieces) - 1, "pad_token_id": len(pieces) - 1}
    config = transformers.CLIPConfig(
        text_config=sizes | special | {"vocab_size": len(pieces), "max_position_embeddings": 20},
        vision_config=sizes | {"image_size": 32, "patch_size": 8},
        projection_dim=8,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformers.CLIPModel(config).save_pretrained(folder)
    transformers.CLIPTokenizerFast.from_pretrained(folder).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def ray_address(weights_folder: Path) -> Iterator[str]:
    """The address of a Ray cluster with one processor, which all tests that need Ray share; skips without Ray."""
    pytest.importorskip("ray.data")
    with ray_head(weights_folder) as address:
        yield address
