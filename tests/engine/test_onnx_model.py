"""A model on ONNX Runtime gives what the same model on torch gives: integers equal, pixels within a level."""

from __future__ import annotations

import json
import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from support.paths import VECTORS
from support.pictures import synthetic
from support.tiny_models import LONG
from tacit import container, weights
from tacit.codec.synthesis import region_quality
from tacit.container import region_grid
from tacit.engine.bands import checkerboard
from tacit.engine.onnx_model import OnnxModel
from tacit.entropy.streams import Stream
from tacit.errors import CorruptFile
from tacit.models.coding import CodingModel
from tacit.models.coding_order import checkerboard as torch_checkerboard
from tacit.models.freezing import freeze_entropy
from tacit.models.tacit_s import TacitSModel
from tacit.text.caption_tokens import CaptionTokens
from tacit.text.encoders import load_encoder
from tacit.text.tokens import TextTokens

SIZES = [(16, 16), (16, 48), (64, 80), (96, 64)]  # 16x16 pixels are one latent, and no anchor


@pytest.fixture(scope="module", params=["single", "double"])
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[OnnxModel, CodingModel]:
    """The same weights on both engines: frozen for float32 and for float64."""
    path: Path = request.getfixturevalue("uneven_weights")
    if request.param == "double":
        path = in_double(path, tmp_path_factory.mktemp("double"))
    return weights.load_onnx(path, threads=1), weights.load(path)


def in_double(path: Path, folder: Path) -> Path:
    from support.pictures import samples
    from support.tiny_models import tiny_model
    from tacit.exact.arithmetic import DOUBLE

    model: TacitSModel = tiny_model(uneven=True)
    x = samples()
    quality = torch.linspace(0, 100, len(x))
    with torch.no_grad():
        y = model.analysis(x, TextTokens.empty(len(x), 256)) * model.gain(quality)
        entropy = freeze_entropy(model, y, model.hyper_latents(y), quality, DOUBLE)
    weights.save(folder / "double.safetensors", model, entropy, {})
    return folder / "double.safetensors"


def tiles(height: int, width: int, count: int = 2) -> np.ndarray:
    return np.stack([synthetic(width, height, seed=seed) for seed in range(count)])


def quality_map(height: int, width: int, count: int = 2) -> np.ndarray:
    cells = np.random.default_rng(0).integers(0, 10_001, (count, -(-height // 4), -(-width // 4))) / 100
    return cells.repeat(4, axis=1).repeat(4, axis=2)[:, :height, :width].astype(np.float32)


def as_tensor(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("quality", [0.0, 37.5, 100.0, "map"])
def test_integers_are_equal_and_pixels_within_a_level(
    both: tuple[OnnxModel, CodingModel], size: tuple[int, int], quality: Any
) -> None:
    one, other = both
    y = one.analyse(tiles(*size), CaptionTokens.empty(2, 256))
    rows, columns = y.shape[2:]
    own = quality_map(rows, columns) if quality == "map" else quality
    theirs = torch.from_numpy(own) if quality == "map" else quality
    streams, latents = one.compress(y, own)
    expected, integers = other.compress(torch.from_numpy(y), theirs)
    # The gains are floats: a rounding on the edge may fall to the other side, in the encoder alone.
    assert np.abs(latents - integers.numpy()).max() <= 16
    assert np.mean(latents != integers.numpy()) < 1e-3
    for made in (streams, expected):
        decoded = one.decompress(made, rows, columns, own)
        assert np.array_equal(decoded, other.decompress(made, rows, columns, theirs).numpy())
    assert np.array_equal(one.decompress(streams, rows, columns, own), latents)
    pixels = one.levels(latents, own)
    floats = other.synthesise(torch.from_numpy(latents), theirs, clamp=False)
    levels = floats.clamp(0, 1).mul(255).round().byte().permute(0, 2, 3, 1).numpy()
    assert np.abs(pixels.astype(int) - levels).max() <= 1
    assert np.abs(one.synthesise(latents, own) - floats.numpy()).max() < 1e-4
    assert np.allclose(one.bits(y, own).sum(), 8 * sum(len(stream.data) for stream in streams), atol=200)


@pytest.mark.parametrize("caption", [None, "a red boat", LONG])
def test_the_analysis_reads_captions_as_torch_does(both: tuple[OnnxModel, CodingModel], caption: str | None) -> None:
    one, other = both
    words = load_encoder("embedded")
    tokens = words([caption, "two"])
    tokens = CaptionTokens(tokens.embeddings, tokens.mask, tokens.weights * 1.25)
    x = tiles(64, 96)
    expected = other.analyse(as_tensor(x), TextTokens.of(tokens)).numpy()
    found = one.analyse(x, tokens)
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()
    if caption is not None:
        assert np.abs(found - one.analyse(x, CaptionTokens.empty(2, 256))).max() > 1e-3


def test_reaches_are_those_of_the_networks(both: tuple[OnnxModel, CodingModel]) -> None:
    one, other = both
    assert (one.analysis_reach, one.synthesis_reach) == (other.analysis_reach, other.synthesis_reach)


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (4, 4), (5, 3), (6, 7)])
def test_the_checkerboards_agree(size: tuple[int, int]) -> None:
    for own, theirs in zip(checkerboard(*size), torch_checkerboard(*size), strict=True):
        assert own.tolist() == theirs.tolist()


def test_batches_and_threads_change_no_integer(uneven_weights: Path) -> None:
    one, two = (weights.load_onnx(uneven_weights, threads=threads) for threads in (1, 2))
    y = one.analyse(tiles(272, 64, 3), CaptionTokens.empty(3, 256))
    qualities = np.array([10, 60, 95], np.float32)
    streams, latents = one.compress(y, qualities)
    assert np.array_equal(two.decompress(streams, 17, 4, qualities), latents)
    for stream, own, quality in zip(streams, latents, qualities, strict=True):
        assert np.array_equal(two.decompress([stream], 17, 4, float(quality))[0], own)


def test_several_threads_use_one_model(uneven_weights: Path) -> None:
    model = weights.load_onnx(uneven_weights, threads=2)
    y = model.analyse(tiles(272, 64, 1), CaptionTokens.empty(1, 256))
    (stream,), latents = model.compress(y, 60.0)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: model.decompress([stream], 17, 4, 60.0), range(12)))
    assert all(np.array_equal(one, latents) for one in found)


def _child(model: OnnxModel, stream: Stream, out: Any) -> None:
    out.put(model.decompress([stream], 17, 4, 60.0))


@pytest.mark.slow
@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork")
def test_a_forked_process_decodes(uneven_weights: Path) -> None:
    model = weights.load_onnx(uneven_weights, threads=2)
    y = model.analyse(tiles(272, 64, 1), CaptionTokens.empty(1, 256))
    (stream,), latents = model.compress(y, 60.0)
    context = multiprocessing.get_context("fork")
    out = context.Queue()
    child = context.Process(target=_child, args=(model, stream, out), daemon=True)
    child.start()
    assert np.array_equal(out.get(timeout=60), latents)
    child.join(60)
    assert child.exitcode == 0


def test_damaged_streams_are_refused(uneven_weights: Path) -> None:
    model = weights.load_onnx(uneven_weights, threads=1)
    y = model.analyse(tiles(64, 64, 1), CaptionTokens.empty(1, 256))
    (stream,), _ = model.compress(y, 60.0)
    for damaged in (b"", stream.data[:-3], stream.data + b"\1\2\3\4" * 4):
        with pytest.raises(CorruptFile):
            model.decompress([Stream(damaged)], 4, 4, 60.0)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(p.parent.name for p in (VECTORS / "golden").glob("*/golden.json")))
def test_shipped_weights_read_the_conformance_vectors(name: str, tmp_path: Path) -> None:
    path = weights.add_graphs(weights.locate(name), tmp_path / "weights.safetensors")
    one, other = weights.load_onnx(path), weights.load(path)
    folder = VECTORS / "golden" / name
    assert json.loads((folder / "golden.json").read_text())
    for source in sorted(folder.glob("*.tacit"))[:6]:
        file = container.read(source.read_bytes())
        for region, data in zip(region_grid(file.header.width, file.header.height), file.regions, strict=True):
            assert data is not None
            stream = Stream(data, file.header.progressive)
            rows, columns = other.latent_size(region.height), other.latent_size(region.width)
            quality: Any = region_quality(file.header, region, rows, columns)
            tensor = torch.from_numpy(quality) if isinstance(quality, np.ndarray) else quality
            expected = other.decompress([stream], rows, columns, tensor).numpy()
            assert np.array_equal(one.decompress([stream], rows, columns, quality), expected)
