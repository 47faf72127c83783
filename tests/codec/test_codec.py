"""The codec from image to file and back: every input, targets, captions, tiles, damage, threads."""

from __future__ import annotations

import dataclasses
import io
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

import tacit
from support.pictures import samples, synthetic
from support.tiny_models import TINY, TINY_TACO, tiny_model, tiny_taco, write_weights
from tacit import cli, container
from tacit.codec import Codec, DamageWarning, EncodeOptions
from tacit.codec.rate_control import PSNR_TOLERANCE, SIZE_TOLERANCE
from tacit.container import Metadata, region_grid
from tacit.entropy.coder import SymbolDecoder, SymbolEncoder
from tacit.entropy.tables import SYMBOL_LIMIT
from tacit.errors import (
    CorruptFile,
    FileError,
    ImageTooLarge,
    InvalidInput,
    MissingWeights,
    PathError,
    TargetNotReached,
    UnknownModel,
    UnsupportedFile,
)
from tacit.image import ConversionWarning, load
from tacit.models.coding import LATENT_STEP, CodingModel
from tacit.models.tacit_s import TacitSModel
from tacit.models.taco import TacoModel
from tacit.text.tokens import TextTokens

Picture = Callable[..., Image.Image]

MAKE, ORIENTATION = 0x010F, 0x0112


def exif(tag: int, value: object) -> bytes:
    """EXIF of one tag, as Pillow's `info` has it."""
    tags = Image.Exif()
    tags[tag] = value
    return tags.tobytes()


SHARED = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
WIDE = (1100, 70)  # two regions; decoded in tiles that end elsewhere
THREE = (2100, 40)  # three regions of 704, 704 and 692 columns
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'
EXIF = exif(MAKE, "Maker")
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def levels(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(np.int16)


def psnr(a: Image.Image, b: Image.Image) -> float:
    error = np.square(levels(a).astype(np.float64) - levels(b)).mean()
    return float(10 * np.log10(255**2 / error))


def chunk(kind: bytes, payload: bytes) -> bytes:
    """One of less than 128 bytes, framed."""
    framed = kind + bytes([len(payload)]) + payload
    return framed + zlib.crc32(framed).to_bytes(4, "big")


def rewritten(data: bytes, **changes: Any) -> bytes:
    """The same file with other parts, its checksums right."""
    file = container.read(data)
    parts: dict[str, Any] = {
        "header": file.header, "metadata": file.metadata, "alpha": file.alpha, "regions": file.regions,
    } | changes  # fmt: skip
    return container.write(parts["header"], parts["metadata"], parts["alpha"], parts["regions"])


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How many images have been analysed, and how many regions decoded."""
    counts = {"analysed": 0, "decoded": 0}
    analyse, decompress = CodingModel.analyse, CodingModel.decompress

    def counting_analyse(self: CodingModel, x: torch.Tensor, tokens: TextTokens) -> torch.Tensor:
        counts["analysed"] += len(x)
        return analyse(self, x, tokens)

    def counting_decompress(self: CodingModel, streams: list[bytes], *rest: Any) -> torch.Tensor:
        counts["decoded"] += len(streams)
        return decompress(self, streams, *rest)

    monkeypatch.setattr(CodingModel, "analyse", counting_analyse)
    monkeypatch.setattr(CodingModel, "decompress", counting_decompress)
    return counts


# There and back

KEPT_AS = {"RGB": "RGB", "L": "L", "LA": "LA", "RGBA": "RGBA", "P": "RGB", "1": "L", "CMYK": "RGB", "I;16": "L"}
text = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=60)
captions = st.one_of(
    st.none(), st.sampled_from(["", " \n\t", "🐶 puppy 👩‍👩‍👧 ", "ein Boot, das", "犬", "e\u0301"]), text
)


@settings(SHARED, max_examples=120)
@given(
    width=st.integers(1, 150),
    height=st.integers(1, 150),
    mode=st.sampled_from(sorted(KEPT_AS)),
    quality=st.floats(0, 100),
    caption=captions,
    store=st.booleans(),
)
@example(1, 1, "RGBA", 0.0, None, False)
@example(150, 1, "LA", 100.0, "", True)
@example(1, 150, "I;16", 50.0, "🐶", True)
@example(64, 64, "P", 33.333, " a ", True)
def test_every_size_mode_quality_and_caption(
    codec: Codec, width: int, height: int, mode: str, quality: float, caption: str | None, store: bool
) -> None:
    image = Image.fromarray(synthetic(width, height, width))
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    elif mode in ("LA", "RGBA"):
        alpha = np.random.default_rng(height).integers(0, 256, (height, width), dtype=np.uint8)
        image = image.convert(mode)
        image.putalpha(Image.fromarray(alpha))
    else:
        image = image.convert(mode)
    assert image.mode == mode
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConversionWarning)
        result = codec.encode_result(image, caption, quality, store_caption=store)
        shown = Image.fromarray(load(image).pixels.squeeze(2) if KEPT_AS[mode][0] == "L" else load(image).pixels)
    wanted = (caption or "").strip() or None
    assert (result.width, result.height, result.caption) == (width, height, wanted)
    assert result.bpp == 8 * len(result.data) / (width * height)
    assert result.quality == pytest.approx(quality, abs=0.00501)
    decoded = codec.decode(result.data)
    assert (decoded.mode, decoded.size) == (KEPT_AS[mode], image.size)
    assert decoded.info.get("caption") == (wanted if store else None)
    if "A" in mode:
        np.testing.assert_array_equal(decoded.getchannel("A"), image.getchannel("A"))
    if quality > 30 and mode != "1":  # dithered pictures are noise
        bands = decoded.convert(KEPT_AS[mode].removesuffix("A"))
        assert np.abs(levels(bands) - levels(shown)).mean() < 30


def test_the_picture_comes_back_better_with_quality(codec: Codec, picture: Picture) -> None:
    image = picture(150, 100)
    files = [codec.encode(image, quality=q) for q in (0, 25, 50, 75, 100)]
    sizes = [len(f) for f in files]
    found = [psnr(image, codec.decode(f)) for f in files]
    assert sizes == sorted(set(sizes))
    assert found == sorted(found)
    assert found[-1] > 26


def test_metadata_come_back(codec: Codec, picture: Picture) -> None:
    image = picture(20, 10, "RGBA")
    image.info |= {"icc_profile": ICC, "exif": EXIF, "xmp": XMP}
    decoded = codec.decode(codec.encode(image, "a dog", store_caption=True))
    assert decoded.info["icc_profile"] == ICC
    assert decoded.getexif()[MAKE] == "Maker"
    assert decoded.info["xmp"] == XMP
    assert decoded.info["caption"] == "a dog"
    assert not codec.decode(codec.encode(image, "a dog", keep_metadata=False)).info


def test_orientation_is_applied_and_taken_out(codec: Codec, picture: Picture) -> None:
    image = picture(30, 10)
    image.info["exif"] = exif(ORIENTATION, 6)
    decoded = codec.decode(codec.encode(image))
    assert decoded.size == (10, 30)
    assert decoded.getexif().get(ORIENTATION, 1) == 1


def test_every_kind_of_source_gives_the_same_file(codec: Codec, picture: Picture, tmp_path: Path) -> None:
    image = picture(40, 30)
    array = np.asarray(image)
    path = tmp_path / "a.png"
    image.save(path)
    tensor = torch.from_numpy(array.copy())
    with path.open("rb") as stream:
        sources = [
            image, array, tensor, tensor.permute(2, 0, 1), tensor.permute(2, 0, 1).float() / 255, path, str(path),
            path.read_bytes(), bytearray(path.read_bytes()), memoryview(path.read_bytes()), stream, load(image),
        ]  # fmt: skip
        files = {codec.encode(source, "a dog") for source in sources}
    assert len(files) == 1


def test_every_kind_of_file_gives_the_same_image(codec: Codec, picture: Picture, tmp_path: Path) -> None:
    data = codec.encode(picture(40, 30))
    path = tmp_path / "a.tacit"
    path.write_bytes(data)
    with path.open("rb") as stream:
        sources = [data, bytearray(data), memoryview(data), path, str(path), stream, io.BytesIO(data)]
        images = {codec.decode(source).tobytes() for source in sources}
    assert len(images) == 1


def test_the_fixed_part_of_a_file_is_small(codec: Codec, picture: Picture) -> None:
    data = codec.encode(picture(768, 512), quality=0)
    (region,) = container.read(data).regions
    assert region is not None
    assert len(data) - len(region) <= 40


@pytest.mark.parametrize("which", ["codec", "taco_codec"])
def test_batches_give_what_single_calls_give(request: pytest.FixtureRequest, picture: Picture, which: str) -> None:
    codec: Codec = request.getfixturevalue(which)
    shapes = [(40, 30, "RGB"), (40, 30, "L"), (33, 65, "RGBA"), (40, 30, "RGB"), (1100, 20, "RGB")]
    images = [picture(w, h, mode, seed) for seed, (w, h, mode) in enumerate(shapes)]
    texts = ["a dog", None, "two boats on a lake", "", "a cat"]
    together = codec.encode_batch(images, texts, 40.004)
    alone = [codec.encode(i, c, 40.004) for i, c in zip(images, texts, strict=True)]
    decoded = codec.decode_batch(together)
    for image, data, same, file in zip(images, together, decoded, alone, strict=True):
        assert abs(len(data) - len(file)) <= 8  # float noise may move a symbol that lies between two
        assert container.read(data).header == container.read(file).header
        single = codec.decode(data)
        assert (same.mode, same.size) == (image.mode, image.size)
        assert np.abs(levels(same) - levels(single)).max() <= 1
        assert np.abs(levels(single) - levels(codec.decode(file))).mean() < 0.5
    assert codec.encode_batch([]) == []
    assert codec.decode_batch([]) == []


def test_batches_refuse_what_does_not_fit(codec: Codec, picture: Picture) -> None:
    with pytest.raises(InvalidInput, match="one caption for each image, got 1 for 2"):
        codec.encode_batch([picture(4, 4)] * 2, ["a dog"])
    with pytest.raises(InvalidInput, match="got one text"):
        codec.encode_batch([picture(4, 4)] * 2, "ab")


def test_the_module_functions_take_a_model(
    tiny_weights: Path, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = picture(30, 20)
    data = tacit.encode(image, "a dog", 30, model=tiny_weights, store_caption=True)
    monkeypatch.setenv("TACIT_WEIGHTS", str(tiny_weights.parent))
    assert tacit.decode(data).info["caption"] == "a dog"
    assert tacit.decode(data, box=(0, 0, 3, 2)).size == (3, 2)
    assert tacit.encode(image, "a dog", 30, model="tiny", store_caption=True) == data
    with pytest.raises(UnknownModel, match=r"model must be one of .*tiny, or a weights file, got 'tinny'"):
        tacit.encode(image, model="tinny")


def test_the_shipped_model_end_to_end(shipped_codec: Codec, picture: Picture) -> None:
    image = picture(200, 120)
    data = shipped_codec.encode(image, "waves", quality=80)
    assert psnr(image, shipped_codec.decode(data)) > 30
    assert tacit.info(data).model == "tacit-s"


def test_bf16_decodes_what_fp32_encoded(codec: Codec, tiny_weights: Path, picture: Picture) -> None:
    data = codec.encode(picture(100, 70), quality=80)
    half = Codec(tiny_weights, precision="bf16")
    assert torch.equal(half.latents(data), codec.latents(data))
    assert np.abs(levels(half.decode(data)) - levels(codec.decode(data))).mean() < 1.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "abacus"}, "device abacus"),
        ({"device": "cuda:77"}, "device cuda:77"),
        ({"threads": 0}, "threads must be at least 1, got 0"),
        ({"precision": "fp8"}, "precision must be fp32, bf16 or auto, got 'fp8'"),
    ],
)
def test_codecs_that_cannot_be(tiny_weights: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message) as caught:
        Codec(tiny_weights, **options)
    assert "\n" not in str(caught.value)


# Tiles


def deaf(model: TacitSModel | TacoModel) -> TacitSModel | TacoModel:
    """The model without what the Extractor gives, which sees a tile and not the whole."""
    if isinstance(model, TacitSModel):
        injector = model.analysis.inject16
    else:
        injector = [layer for layer in model.analysis.layers if hasattr(layer, "text_proj")][-1]
    injector.gamma.data.zero_()
    return model


def extent(gradient: torch.Tensor) -> tuple[int, int, int, int]:
    """First row and column, last row and column where it is not zero; [1, C, H, W]."""
    places = gradient[0].ne(0).any(dim=0).nonzero()
    return (*places.amin(dim=0).tolist(), *places.amax(dim=0).tolist())


@pytest.mark.parametrize("make", [tiny_model, tiny_taco])
def test_tiles_reach_as_far_as_the_networks_see(make: Callable[[], TacitSModel | TacoModel]) -> None:
    """By the gradient of the middle cell of 16x16 pixels: no further than is said, and nearly as far."""
    model = deaf(make()).double()
    size = 32 * LATENT_STEP
    middle = 16 * LATENT_STEP
    x = torch.rand(1, 3, size, size, dtype=torch.float64, requires_grad=True)
    words = TextTokens(torch.randn(1, 2, 256).double(), torch.ones(1, 2, dtype=torch.bool), torch.ones(1, 2).double())
    model.analysis(x, words)[:, :, 16, 16].square().sum().backward()
    assert x.grad is not None
    top, left, bottom, right = extent(x.grad)
    seen = max(middle - top, middle - left, bottom - middle - 15, right - middle - 15)
    assert seen <= model.analysis.reach < seen + LATENT_STEP

    y = torch.randn(1, model.config.latent, 32, 32, dtype=torch.float64, requires_grad=True)
    cell = slice(middle, middle + LATENT_STEP)
    model.synthesis(y, torch.tensor([50.0]).double())[:, :, cell, cell].square().sum().backward()
    assert y.grad is not None
    top, left, bottom, right = extent(y.grad)
    assert max(16 - top, 16 - left, bottom - 16, right - 16) == model.synthesis.reach


@pytest.mark.parametrize("make", [tiny_model, tiny_taco])
@pytest.mark.parametrize("size", [WIDE, (70, 1100), (1030, 1030)])
def test_tiled_analysis_has_no_seam(
    make: Callable[[], TacitSModel | TacoModel], size: tuple[int, int], tmp_path: Path
) -> None:
    codec = Codec(write_weights(tmp_path / "deaf.safetensors", deaf(make())), precision="fp32")
    model = codec._model(codec.path)
    photo = load(synthetic(*size))
    job = codec._encoding(model, photo, "a dog", EncodeOptions())
    x = torch.from_numpy(photo.pixels).permute(2, 0, 1)[None].float() / 255
    whole = model.analyse(model.pad(x), job.tokens)
    assert len(job.regions) > 1
    for region in job.regions:
        part = job.analyse(region)
        row, column = region.top // LATENT_STEP, region.left // LATENT_STEP
        expected = whole[:, :, row : row + part.shape[2], column : column + part.shape[3]]
        torch.testing.assert_close(part, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("which", ["codec", "taco_codec"])
@pytest.mark.parametrize("size", [WIDE, (70, 1100)])
def test_tiled_synthesis_has_no_seam(request: pytest.FixtureRequest, which: str, size: tuple[int, int]) -> None:
    codec: Codec = request.getfixturevalue(which)
    data = codec.encode(synthetic(*size), quality=60)
    whole = codec._model(codec.path).synthesise(codec.latents(data)[None], 60.0)[0]
    expected = whole[:, : size[1], : size[0]].mul(255).round().permute(1, 2, 0).numpy()
    assert np.abs(levels(codec.decode(data)) - expected).max() <= 1


BOXES = [
    ((0, 0, 1, 1), 1),
    ((0, 0, 100, 70), 1),
    ((570, 10, 590, 20), 2),  # over the border at 576
    ((1099, 69, 1100, 70), 1),
    ((300, 5, 1100, 6), 2),
    ((0, 0, 1100, 70), 2),
]


@pytest.mark.parametrize("which", ["codec", "taco_codec"])
@pytest.mark.parametrize("mode", ["RGB", "LA"])
def test_a_crop_is_the_crop_of_the_whole(
    request: pytest.FixtureRequest, which: str, mode: str, counted: dict[str, int], picture: Picture
) -> None:
    codec: Codec = request.getfixturevalue(which)
    data = codec.encode(picture(*WIDE, mode), quality=70)
    assert [r.left for r in region_grid(*WIDE)] == [0, 576]
    whole = codec.decode(data)
    for box, regions in BOXES:
        counted["decoded"] = 0
        crop = codec.decode(data, box=box)
        assert counted["decoded"] == regions, box
        assert (crop.mode, crop.size) == (mode, (box[2] - box[0], box[3] - box[1]))
        assert np.abs(levels(crop) - levels(whole.crop(box))).max() <= 1


def test_a_crop_needs_only_its_regions(codec: Codec, picture: Picture) -> None:
    data = codec.encode(picture(*THREE))
    regions = container.read(data).regions
    broken = rewritten(data, regions=[regions[0], regions[1], b"odd"])
    assert codec.decode(broken, box=(0, 0, 1000, 40)) == codec.decode(data, box=(0, 0, 1000, 40))
    with pytest.raises(CorruptFile, match="chunk R 2: entropy-coded data of 3 bytes"):
        codec.decode(broken)


@pytest.mark.parametrize(
    "box",
    [
        (0, 0, 0, 0), (5, 0, 5, 10), (5, 5, 4, 6), (-1, 0, 5, 5), (0, 0, 31, 20), (0, 0, 30, 21), (0, 0, 5),
        (0, 0, 5, 5, 5), (0.0, 0, 5, 5), "abcd", 5, (None, 0, 5, 5), (0, 0, 2**40, 5),
    ],
)  # fmt: skip
def test_boxes_that_are_none(codec: Codec, picture: Picture, box: Any) -> None:
    with pytest.raises(InvalidInput, match="box "):
        codec.decode(codec.encode(picture(30, 20)), box=box)


def test_a_box_may_hold_numpys_numbers(codec: Codec, picture: Picture) -> None:
    data = codec.encode(picture(30, 20))
    assert codec.decode(data, box=tuple(np.array([1, 2, 11, 7]))).size == (10, 5)


# Targets


@pytest.mark.parametrize("size", [1500, 2000, 3000, 3600])
def test_a_size_is_reached(codec: Codec, picture: Picture, size: int) -> None:
    image = picture(150, 140, "RGBA")
    result = codec.encode_result(image, "a dog", size=size)
    assert len(result.data) <= size
    assert len(result.data) >= size * (1 - SIZE_TOLERANCE) - 8  # coded in words of 4 bytes
    assert result.quality is not None
    assert result.psnr is None
    assert codec.encode(image, "a dog", result.quality) == result.data


def test_bits_per_pixel_are_reached(codec: Codec, picture: Picture) -> None:
    result = codec.encode_result(picture(150, 140), bpp=1.0)
    assert 0.98 <= result.bpp <= 1.0


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("goal", [22, 24, 25.5])
def test_a_psnr_is_reached(codec: Codec, picture: Picture, mode: str, goal: float) -> None:
    image = picture(100, 90, mode)
    result = codec.encode_result(image, psnr=goal)
    assert result.psnr is not None
    assert result.quality is not None
    assert result.psnr >= goal
    assert result.psnr == pytest.approx(psnr(image, codec.decode(result.data)), abs=1e-6)
    lower = codec.encode(image, quality=max(0, result.quality - 0.5))
    assert result.psnr < goal + 2 * PSNR_TOLERANCE or psnr(image, codec.decode(lower)) < goal or result.quality == 0


@pytest.mark.parametrize("which", ["codec", "uneven_codec", "taco_codec", "taco_fixed_codec"])
@pytest.mark.parametrize(("size", "mode"), [((100, 90), "RGBA"), (WIDE, "RGB"), ((70, 1100), "L")])
def test_the_reconstruction_is_what_is_decoded(
    request: pytest.FixtureRequest, which: str, size: tuple[int, int], mode: str, picture: Picture
) -> None:
    codec: Codec = request.getfixturevalue(which)
    image = picture(*size, mode)
    image.info["exif"] = EXIF
    result = codec.encode_result(image, "a dog", reconstruct=True)
    decoded = codec.decode(result.data)
    assert result.image is not None
    assert (result.image.mode, result.image.size, result.image.info) == (mode, size, decoded.info)
    assert result.image.tobytes() == decoded.tobytes()
    colours = "L" if mode == "L" else "RGB"
    assert result.psnr == pytest.approx(psnr(image.convert(colours), decoded.convert(colours)), abs=1e-6)


@pytest.mark.parametrize("target", [{"size": 1500}, {"bpp": 1.2}, {"psnr": 24}, {"quality": 33.333}])
def test_the_reconstruction_is_that_of_the_target(
    codec: Codec, counted: dict[str, int], picture: Picture, target: dict[str, float]
) -> None:
    image = picture(100, 90)
    result = codec.encode_result(image, **target, reconstruct=True)
    assert counted == {"analysed": 1, "decoded": 0}
    assert result.data == codec.encode(image, **target)
    assert result.image is not None
    assert result.image.tobytes() == codec.decode(result.data).tobytes()
    assert codec.encode_result(image, **target).image is None


def test_several_regions_are_worked_on_at_a_time(
    tiny_weights: Path, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, int]] = []
    compress = CodingModel.compress

    def watched(self: CodingModel, y: torch.Tensor, quality: Any) -> tuple[list[bytes], torch.Tensor]:
        seen.append((threading.current_thread().name, torch.get_num_threads()))
        return compress(self, y, quality)

    monkeypatch.setattr(CodingModel, "compress", watched)
    before = torch.get_num_threads()
    image = picture(*THREE)
    files = [Codec(tiny_weights, threads=n, precision="fp32").encode(image) for n in (1, 2, 8)]
    assert [name.partition("_")[0] for name, _ in seen] == ["MainThread"] * 3 + ["tacit-region"] * 6
    assert [threads for _, threads in seen] == [1] * 3 + [1] * 3 + [2] * 3
    assert torch.get_num_threads() == before
    one, *others = (levels(Codec(tiny_weights, precision="fp32").decode(f)) for f in files)
    for other in others:
        assert np.abs(one - other).mean() < 0.01
    with pytest.raises(InvalidInput):
        Codec(tiny_weights, threads=2).encode(image, quality=101)


def test_a_prepared_image_is_analysed_once(codec: Codec, counted: dict[str, int], picture: Picture) -> None:
    image = picture(*WIDE)
    prepared = codec.prepare(image, "a dog", store_caption=True)
    found = [prepared.encode(q, reconstruct=True) for q in (20, 50.5, 90)]
    found.append(prepared.encode(psnr=24))
    assert counted == {"analysed": 2, "decoded": 0}
    assert prepared.raster.pixels.shape == (WIDE[1], WIDE[0], 3)
    assert [f.data for f in found[:3]] == [codec.encode(image, "a dog", q, store_caption=True) for q in (20, 50.5, 90)]
    assert found[3].psnr is not None
    assert found[3].psnr >= 24
    assert found[3].image is None
    with pytest.raises(InvalidInput, match="got 101"):
        prepared.encode(101)


def test_more_asked_is_more_given(codec: Codec, picture: Picture) -> None:
    image = picture(150, 140)
    by_size = [codec.encode_result(image, size=s).quality or 0 for s in (1200, 1700, 2500, 4000)]
    by_psnr = [codec.encode_result(image, psnr=p).quality or 0 for p in (22, 24, 26)]
    assert by_size == sorted(set(by_size))
    assert by_psnr == sorted(set(by_psnr))


def test_generous_targets_take_the_ends_of_the_range(codec: Codec, picture: Picture) -> None:
    image = picture(60, 40)
    assert codec.encode_result(image, size=10**6).quality == 100
    assert codec.encode_result(image, bpp=100).quality == 100
    assert codec.encode_result(image, psnr=1).quality == 0


@pytest.mark.parametrize(
    ("target", "asked"),
    [
        ({"size": 20}, "a file of 20 bytes"),
        ({"size": 1}, "a file of 1 byte"),
        ({"bpp": 0.001}, "0.001 bpp"),
        ({"bpp": 1e-9}, "1e-09 bpp"),
    ],
)
def test_sizes_out_of_reach(codec: Codec, picture: Picture, target: dict[str, Any], asked: str) -> None:
    image = picture(60, 40)
    least = len(codec.encode(image, quality=0))
    with pytest.raises(TargetNotReached) as caught:
        codec.encode(image, **target)
    bpp = f"{8 * least / (60 * 40):.4g} bpp"
    assert str(caught.value) == f"{asked} cannot be reached: the lowest quality takes {least} bytes ({bpp})"


def test_a_psnr_out_of_reach(codec: Codec, picture: Picture) -> None:
    image = picture(60, 40)
    best = psnr(image, codec.decode(codec.encode(image, quality=100)))
    with pytest.raises(TargetNotReached, match=rf"60 dB cannot be reached: the highest quality gives {best:.2f} dB"):
        codec.encode(image, psnr=60)


def test_a_search_analyses_once(codec: Codec, counted: dict[str, int], picture: Picture) -> None:
    codec.encode(picture(100, 90), "a dog", size=1200)
    assert counted == {"analysed": 1, "decoded": 0}
    codec.encode(picture(*WIDE), bpp=0.8)
    assert counted["analysed"] == 1 + 2
    codec.encode(picture(100, 90), psnr=25)
    assert counted["analysed"] == 1 + 2 + 1


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ({"quality": -0.1}, "quality must be 0 to 100, got -0.1"),
        ({"quality": 100.5}, "quality must be 0 to 100, got 100.5"),
        ({"quality": float("nan")}, "quality must be 0 to 100, got nan"),
        ({"quality": "high"}, "quality must be a number, got 'high'"),
        ({"size": 0}, "size must be a positive number, got 0"),
        ({"size": "60kB"}, "size must be a number, got '60kB'"),
        ({"bpp": -1}, "bpp must be a positive number, got -1"),
        ({"psnr": float("inf")}, "psnr must be a positive number, got inf"),
        ({"quality": 5, "size": 100}, "got quality and size"),
        ({"bpp": 1, "psnr": 30}, "got bpp and psnr"),
    ],
)
def test_targets_that_are_none(codec: Codec, picture: Picture, target: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        codec.encode(picture(4, 4), **target)


# Fixed-rate weights


# -- quality maps -----------------------------------------------------------------------------------------------------


def left_half(width: int, height: int, inside: int, outside: int) -> np.ndarray:
    rows, columns = container.cells(width, height)
    found = np.full((rows, columns), outside)
    found[:, : columns // 2] = inside
    return found


@pytest.mark.parametrize("size", [(200, 130), (1100, 70)])
def test_bits_go_where_the_map_says(codec: Codec, picture: Picture, size: tuple[int, int]) -> None:
    image = picture(*size)
    offsets = left_half(*size, 40, -40)
    data = codec.encode(image, quality=50, quality_map=offsets)
    assert container.read(data).header.quality_map == offsets.astype(np.int8).tobytes()
    decoded, original = levels(codec.decode(data)), levels(image)
    middle = 64 * (offsets.shape[1] // 2)
    for columns, quality in ((slice(0, middle - 64), 90), (slice(middle + 64, None), 10)):
        alone = levels(codec.decode(codec.encode(image, quality=quality)))
        error, expected = (np.square(d[:, columns] - original[:, columns]).mean() for d in (decoded, alone))
        assert error == pytest.approx(expected, rel=0.3)
    bits = codec.bit_map(image, quality=50, quality_map=offsets)
    assert bits[:, : middle // 16].mean() > 2 * bits[:, middle // 16 :].mean()
    assert bits.sum() / 8 == pytest.approx(sum(len(r or b"") for r in container.read(data).regions), abs=20)


def test_a_map_of_zeros_is_no_map(codec: Codec, picture: Picture) -> None:
    image = picture(1100, 70)
    plain, zeros = (codec.encode(image, quality=50, quality_map=m) for m in (None, np.zeros((2, 18))))
    assert container.read(plain).regions == container.read(zeros).regions
    assert np.array_equal(levels(codec.decode(plain)), levels(codec.decode(zeros)))
    assert plain[8] == 1
    assert zeros[8] == 2


def test_maps_everywhere_a_file_goes(codec: Codec, picture: Picture) -> None:
    images = [picture(200, 130), picture(1100, 70), picture(200, 130)]
    maps = [left_half(200, 130, 30, -30), left_half(1100, 70, -100, 100), None]
    files = [codec.encode(i, quality=40, quality_map=m) for i, m in zip(images, maps, strict=True)]
    whole = [levels(codec.decode(f)) for f in files]
    for one, many in zip(whole, codec.decode_batch(files), strict=True):
        assert np.abs(one - levels(many)).max() <= 1
    assert np.abs(levels(codec.decode(files[1], box=(510, 3, 1070, 60))) - whole[1][3:60, 510:1070]).max() <= 1
    result = codec.encode_result(images[0], quality=40, quality_map=maps[0], reconstruct=True)
    assert result.data == files[0]
    assert result.image is not None
    assert np.array_equal(levels(result.image), whole[0])
    for one, file in zip(whole, files, strict=True):
        raw = codec.unclamped(file).permute(1, 2, 0).numpy().clip(0, 1) * 255
        assert np.abs(one - raw).max() < 2
    limit = len(files[0]) - 200
    small = codec.encode_result(images[0], size=limit, quality_map=maps[0])
    assert 0.95 * limit < len(small.data) <= limit
    assert tacit.info(files[0]).format_version == 2
    assert tacit.info(files[0]).quality_map_bytes > 0
    assert tacit.info(files[2]).quality_map_bytes == 0


@pytest.mark.parametrize(
    ("offsets", "said"),
    [
        (np.zeros((2, 3)), "one value for each 64x64 pixels, shape \\[3, 4\\]"),
        (np.full((3, 4), 101), "-100 to 100"),
        (np.full((3, 4), np.nan), "-100 to 100"),
        (np.zeros(12), "shape"),
    ],
)
def test_maps_that_are_none(codec: Codec, picture: Picture, offsets: np.ndarray, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        codec.encode(picture(200, 130), quality_map=offsets)


def test_weights_that_take_no_maps(taco_fixed_codec: Codec, picture: Picture) -> None:
    with pytest.raises(InvalidInput, match="take no quality map"):
        taco_fixed_codec.encode(picture(64, 64), quality_map=np.zeros((1, 1)))


def test_fixed_rate_weights_have_no_quality(taco_fixed_codec: Codec, picture: Picture) -> None:
    image = picture(50, 40)
    result = taco_fixed_codec.encode_result(image, "a dog")
    assert result.quality is None
    assert tacit.info(result.data).quality is None
    assert taco_fixed_codec.decode(result.data).size == (50, 40)
    assert taco_fixed_codec.encode_batch([image], ["a dog"]) == [result.data]
    for target in ({"quality": 50}, {"size": 1000}, {"bpp": 1.0}, {"psnr": 30}):
        with pytest.raises(InvalidInput, match="these weights have one fixed rate: quality, size, bpp and psnr cannot"):
            taco_fixed_codec.encode(image, **target)
    with pytest.raises(InvalidInput, match="one fixed rate"):
        taco_fixed_codec.encode_batch([image], quality=50)


# Where the bits go


@pytest.mark.parametrize("which", ["codec", "uneven_codec", "taco_codec", "taco_fixed_codec", "shipped_codec"])
@pytest.mark.parametrize("size", [(150, 100), WIDE, (3, 1)])
def test_a_bit_map_adds_up_to_the_file(
    request: pytest.FixtureRequest, which: str, size: tuple[int, int], picture: Picture
) -> None:
    codec: Codec = request.getfixturevalue(which)
    image = picture(*size)
    quality = None if which == "taco_fixed_codec" else 77.7
    found = codec.bit_map(image, "a red boat", quality)
    assert (found.shape, found.dtype) == ((-(-size[1] // 16), -(-size[0] // 16)), np.float32)
    assert found.min() >= 0
    regions = container.read(codec.encode(image, "a red boat", quality)).regions
    bits = sum(8 * len(region or b"") for region in regions)
    assert found.sum() <= bits + 1
    assert bits <= found.sum() * 1.001 + 64 * len(regions)


def test_a_bit_map_shows_where(shipped_codec: Codec) -> None:
    """A flat picture with noise in one place has its bits there, in the one that is asked for."""
    pixels = np.full((256, 320, 3), 128, np.uint8)
    pixels[32:96, 192:256] = np.random.default_rng(0).integers(0, 256, (64, 64, 3))
    found = shipped_codec.bit_map(pixels, quality=60)
    inside = found[2:6, 12:16].sum()
    assert inside > 0.8 * found.sum()
    assert shipped_codec.bit_map(pixels).sum() < found.sum() < shipped_codec.bit_map(pixels, quality=80).sum()


# Captions


@pytest.mark.parametrize("which", ["codec", "taco_codec", "taco_fixed_codec"])
def test_the_caption_reaches_the_file(request: pytest.FixtureRequest, which: str, picture: Picture) -> None:
    codec: Codec = request.getfixturevalue(which)
    image = picture(80, 64)
    texts = [None, "a dog", "a red boat on a lake", "an airplane"]
    assert len({codec.encode(image, t) for t in texts}) == len(texts)


def test_no_caption_is_one_thing(tiny_weights: Path, picture: Picture) -> None:
    """Whatever stands for it, and whether or not the text encoder has been loaded."""
    codec = Codec(tiny_weights, precision="fp32")
    image = picture(80, 64)
    before = codec.encode(image)
    assert codec._text_encoder is None
    assert codec.encode(image, "a dog") != before
    assert codec._text_encoder is not None
    assert {codec.encode(image, c) for c in (None, "", "  \n")} == {before}


@pytest.mark.parametrize(
    ("caption", "message"),
    [
        ("a\0b", r"control character .*U\+0000"),
        ("\x1b[31m", "control character"),
        ("x" * 10**6, "1000000 bytes"),
        ("\ud800", "surrogates"),
        (b"a dog", "must be text, got bytes"),
        (["a dog"], "must be text, got list"),
    ],
)
def test_captions_that_are_none(codec: Codec, picture: Picture, caption: Any, message: str) -> None:
    for store in (False, True):
        with pytest.raises(InvalidInput, match=message):
            codec.encode(picture(4, 4), caption, store_caption=store)


def test_a_long_caption_is_used_to_its_end(codec: Codec, picture: Picture) -> None:
    image = picture(150, 100)
    long = "a dog and a cat " * 40
    assert codec.encode(image, long + "airplane", 100) != codec.encode(image, long + "boat", 100)


@pytest.mark.parametrize("which", ["codec", "taco_codec"])
def test_padding_changes_nothing(request: pytest.FixtureRequest, which: str) -> None:
    codec: Codec = request.getfixturevalue(which)
    model = codec._model(codec.path)
    x = samples(64, 1)
    words = torch.randn(1, 5, 256, generator=torch.Generator().manual_seed(0))
    plain = TextTokens(words, torch.ones(1, 5, dtype=torch.bool), torch.ones(1, 5))
    rubbish = torch.cat([words, torch.full((1, 3, 256), 1e4)], dim=1)
    mask = torch.arange(8)[None] < 5
    padded = TextTokens(rubbish, mask, torch.cat([torch.ones(1, 5), torch.full((1, 3), 1.5)], dim=1))
    torch.testing.assert_close(model.analyse(x, padded), model.analyse(x, plain), atol=1e-5, rtol=1e-5)
    seen = TextTokens(rubbish, torch.ones(1, 8, dtype=torch.bool), torch.ones(1, 8))
    assert (model.analyse(x, seen) - model.analyse(x, plain)).abs().max() > 1e-3
    weighted = TextTokens(words, plain.mask, torch.tensor([[1.5, 1, 1, 1, 1]]))
    assert not torch.allclose(model.analyse(x, weighted), model.analyse(x, plain), atol=1e-6)


def text_parameters(model: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    """The parameters of injectors and extractors, and the null token, by name."""
    found = {n: p for n, p in model.named_parameters() if n.endswith("null_token")}
    for prefix, module in model.named_modules():
        if type(module).__name__ in ("Injector", "Extractor"):
            found |= {f"{prefix}.{n}": p for n, p in module.named_parameters()}
    return found


@pytest.mark.parametrize("make", [tiny_model, tiny_taco])
def test_gradients_reach_the_text_path(make: Callable[[], TacitSModel | TacoModel]) -> None:
    model = make().train()
    x = samples(64, 2)
    words = torch.randn(2, 3, 256, generator=torch.Generator().manual_seed(0), requires_grad=True)
    mask = torch.tensor([[True, True, False], [True, True, True]])
    out = model(x, TextTokens(words, mask, torch.ones(2, 3)), torch.tensor([30.0, 70.0]))
    (out.y_bits.sum() + out.z_bits.sum() + 100 * (out.x_hat - x).square().sum()).backward()
    parameters = text_parameters(model)
    assert len(parameters) > 25
    without = [name for name, p in parameters.items() if p.grad is None or not p.grad.any()]
    assert without == []
    assert words.grad is not None
    assert words.grad[mask].abs().sum(dim=1).gt(0).all()
    assert not words.grad[~mask].any()


@pytest.mark.parametrize(("kind", "config"), [(TacitSModel, TINY), (TacoModel, TINY_TACO)], ids=["tacit-s", "taco"])
def test_a_new_model_can_learn_to_read(kind: Any, config: Any) -> None:
    """Gamma starts at zero, and is the first to move."""
    torch.manual_seed(0)
    model = kind(config).train()
    out = model(samples(64, 1), TextTokens.empty(1, 256), torch.tensor([50.0]))
    (out.y_bits.sum() + out.x_hat.square().sum()).backward()
    gammas = {n: p for n, p in text_parameters(model).items() if n.endswith("gamma")}
    assert len(gammas) == 2
    assert all(p.grad is not None and p.grad.any() and not p.any() for p in gammas.values())


def test_decoding_imports_no_text(codec: Codec, tiny_weights: Path, picture: Picture, tmp_path: Path) -> None:
    path = tmp_path / "a.tacit"
    path.write_bytes(codec.encode(picture(30, 20, "RGBA"), "a dog", store_caption=True))
    script = f"""
import sys
from tacit.codec import Codec
codec = Codec({str(tiny_weights)!r})
assert codec.decode({str(path)!r}).info["caption"] == "a dog"
codec.encode({str(tmp_path / "a.png")!r})
codec.decode_batch([{str(path)!r}])
heavy = ("tacit.text.encoders", "tacit.captions", "tokenizers", "transformers", "torchvision")
print([name for name in sys.modules if name.startswith(heavy)])
"""
    picture(8, 8).save(tmp_path / "a.png")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"


# Bad input


@pytest.fixture(scope="module")
def small_file(codec: Codec) -> bytes:
    """A real file with every kind of chunk that one region has."""
    image = Image.fromarray(synthetic(24, 16)).convert("RGBA")
    image.putalpha(Image.fromarray(np.arange(24 * 16, dtype=np.uint8).reshape(16, 24)))
    image.info |= {"icc_profile": ICC, "xmp": XMP, "exif": EXIF}
    return codec.encode(image, "a dog 🐶", store_caption=True)


def test_truncation_at_every_length(codec: Codec, small_file: bytes) -> None:
    for length in range(len(small_file)):
        with pytest.raises(FileError) as caught:
            codec.decode(small_file[:length])
        assert "\n" not in str(caught.value)
    for more in (b"\0", b"R", small_file):
        with pytest.raises(FileError):
            codec.decode(small_file + more)


def test_a_flipped_bit_anywhere(codec: Codec, small_file: bytes) -> None:
    for position in range(len(small_file)):
        for bit in range(8):
            flipped = bytearray(small_file)
            flipped[position] ^= 1 << bit
            with pytest.raises(FileError):
                codec.decode(flipped)


@settings(SHARED, max_examples=100)
@given(st.binary(max_size=300), st.sampled_from([0, 8, 9, 30]))
def test_random_bytes(codec: Codec, small_file: bytes, data: bytes, kept: int) -> None:
    with pytest.raises(FileError):
        codec.decode(small_file[:kept] + data)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"])
def test_other_formats(codec: Codec, picture: Picture, format: str) -> None:
    stream = io.BytesIO()
    picture(8, 8).save(stream, format)
    with pytest.raises(UnsupportedFile, match=r"not a \.tacit file"):
        codec.decode(stream.getvalue())


@pytest.mark.parametrize("which", ["codec", "taco_codec"])
def test_forged_regions_end_in_an_image_or_an_error(request: pytest.FixtureRequest, which: str) -> None:
    """A file whose checksums are right and whose entropy-coded bytes no encoder wrote."""
    codec: Codec = request.getfixturevalue(which)
    real = codec.encode(synthetic(40, 30), quality=30)
    (region,) = container.read(real).regions
    assert region is not None
    seen: set[str] = set()

    @settings(max_examples=80, deadline=None)
    @given(
        st.one_of(
            st.binary(max_size=400),
            st.integers(0, len(region)).map(lambda n: region[:n]),
            st.tuples(st.integers(0, len(region) - 1), st.integers(1, 255)).map(
                lambda t: region[: t[0]] + bytes([region[t[0]] ^ t[1]]) + region[t[0] + 1 :]
            ),
        )
    )
    @example(b"")
    @example(b"\xff" * 4000)
    @example(b"\0" * 4000)
    def forged(payload: bytes) -> None:
        try:
            image = codec.decode(rewritten(real, regions=[payload]))
        except CorruptFile as error:
            seen.add(str(error)[:31])
        else:
            assert (image.mode, image.size) == ("RGB", (40, 30))
            seen.add("image")

    start = time.process_time()
    forged()
    assert time.process_time() - start < 60
    prefix = "chunk R 0: entropy-coded data "  # … of n bytes; cannot have been written; go on after the last symbol
    assert prefix + "o" in seen
    assert seen <= {"image", prefix + "o", prefix + "c", prefix + "g"}


def test_an_escape_beyond_the_limit_is_refused(codec: Codec) -> None:
    """The one value that can be written and that no encoder writes: the networks are not proven for it."""
    models = codec._model(codec.path).entropy.y_models
    for symbol, refused in ((-SYMBOL_LIMIT, False), (SYMBOL_LIMIT, False), (-SYMBOL_LIMIT - 1, True)):
        encoder = SymbolEncoder()
        encoder.put(models, np.zeros(1, np.uint8), np.array([symbol], np.int32))
        decoder = SymbolDecoder(encoder.finish())
        if refused:
            with pytest.raises(CorruptFile, match="symbol -1024, at least -1023"):
                decoder.get(models, np.zeros(1, np.uint8))
        else:
            assert decoder.get(models, np.zeros(1, np.uint8)) == [symbol]


@settings(SHARED, max_examples=60)
@given(st.binary(max_size=200))
@example(b"")
@example(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\x7f\xff\xff\xff\x7f\xff\xff\xff\x08\0\0\0\0")
def test_forged_alpha(codec: Codec, small_file: bytes, payload: bytes) -> None:
    for method in (b"\0", b"\1"):
        try:
            data = rewritten(small_file, alpha=method + payload)
        except InvalidInput:
            continue  # not even the container takes it
        if method == b"\0":
            assert codec.decode(data).getchannel("A").getextrema() == (payload[0], payload[0])
            continue
        with pytest.raises(CorruptFile, match="alpha"):
            codec.decode(data)
        with pytest.warns(DamageWarning, match="alpha"):
            assert codec.decode(data, salvage=True).getchannel("A").getextrema() == (255, 255)


def test_alpha_is_bound_by_the_codecs_limit_and_not_by_pillows(
    codec: Codec, small_file: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert codec.decode(small_file).mode == "RGBA"


@pytest.mark.parametrize("size", [(2**16, 2**15), (2**15, 2**16), (2**31, 1), (2**32 - 1, 2**32 - 1)])
def test_a_header_that_promises_the_world(codec: Codec, small_file: bytes, size: tuple[int, int]) -> None:
    def varint(number: int) -> bytes:
        return bytes([number & 127 | 128]) + varint(number >> 7) if number > 127 else bytes([number])

    header = varint(size[0]) + varint(size[1]) + container.read(small_file).header.to_bytes()[2:]
    data = small_file[:9] + chunk(b"H", header) + chunk(b"R", b"")
    with pytest.raises(ImageTooLarge, match=f"{size[0]}x{size[1]}"):
        codec.decode(data)
    with pytest.raises((ImageTooLarge, CorruptFile)):
        codec.decode(data, max_pixels=None)


def test_the_limit_on_pixels_can_be_set(codec: Codec, small_file: bytes) -> None:
    assert codec.decode(small_file, max_pixels=24 * 16).size == (24, 16)
    assert codec.decode(small_file, max_pixels=None).size == (24, 16)
    with pytest.raises(ImageTooLarge, match=r"at most 383 pixels, got .* = 384"):
        codec.decode(small_file, max_pixels=383)
    with pytest.raises(ImageTooLarge):
        codec.decode_batch([small_file], max_pixels=383)


def test_a_newer_format(codec: Codec, small_file: bytes) -> None:
    with pytest.raises(UnsupportedFile, match=r"version 3.*newer"):
        codec.decode(small_file[:8] + b"\3" + small_file[9:])


def test_chunks_from_the_future(codec: Codec, small_file: bytes) -> None:
    end_of_header = 9 + 1 + 1 + small_file[10] + 4
    front, rest = small_file[:end_of_header], small_file[end_of_header:]
    assert codec.decode(front + chunk(b"z", b"whatever") + rest) == codec.decode(small_file)
    with pytest.raises(UnsupportedFile, match="chunk Z: unknown"):
        codec.decode(front + chunk(b"Z", b"needed") + rest)


def test_missing_weights_are_named(
    codec: Codec, shipped_codec: Codec, small_file: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TACIT_WEIGHTS", str(tmp_path))
    digest = container.read(small_file).header.weights_hash.hex()
    with pytest.raises(MissingWeights, match=f"needs weights {digest}.*put.*{tmp_path}"):
        shipped_codec.decode(small_file)
    assert tacit.info(small_file).model is None
    (tmp_path / "mine.safetensors").write_bytes(codec.path.read_bytes())
    assert Codec(precision="fp32").decode(small_file) == codec.decode(small_file)
    assert tacit.info(small_file).model == "mine"


def test_a_header_that_contradicts_its_weights(codec: Codec, taco_fixed_codec: Codec, small_file: bytes) -> None:
    def changed(data: bytes, **values: Any) -> bytes:
        header = container.read(data).header
        return rewritten(data, header=container.Header(**{**vars(header), **values}))

    with pytest.raises(CorruptFile, match="model 2, but its weights are those of tacit-s"):
        codec.decode(changed(small_file, model_id=2))
    with pytest.raises(CorruptFile, match="one fixed rate, but its weights have many"):
        codec.decode(changed(small_file, quality=None))
    fixed = taco_fixed_codec.encode(synthetic(10, 10))
    with pytest.raises(CorruptFile, match="quality 50, but its weights have one"):
        taco_fixed_codec.decode(changed(fixed, quality=50.0))


def test_paths_that_cannot_be_read(codec: Codec, tmp_path: Path) -> None:
    for path in (tmp_path / "none", str(tmp_path / "none"), tmp_path):
        with pytest.raises(PathError):
            codec.decode(path)
        with pytest.raises(PathError):
            codec.encode(path)
    with pytest.raises(PathError, match="null"):
        codec.decode("a\0b")
    closed = io.BytesIO(b"")
    closed.close()
    with (tmp_path / "out").open("wb") as unreadable:
        for stream in (closed, unreadable):
            with pytest.raises(PathError):
                codec.decode(stream)
    with (tmp_path / "out").open() as not_binary, pytest.raises(InvalidInput, match="a binary file"):
        codec.decode(not_binary)  # type: ignore[arg-type]
    for nothing in (None, 5, [b""]):
        with pytest.raises(InvalidInput):
            codec.decode(nothing)  # type: ignore[arg-type]
        with pytest.raises(InvalidInput):
            codec.encode(nothing)  # type: ignore[arg-type]


# Salvage


@pytest.fixture(scope="module")
def three_regions(codec: Codec) -> bytes:
    return codec.encode(synthetic(*THREE), quality=60)


@pytest.mark.parametrize("how", ["bytes", "forged"])
def test_damage_costs_a_region_and_its_halo(codec: Codec, three_regions: bytes, how: str) -> None:
    file = container.read(three_regions)
    middle = file.regions[1]
    assert middle is not None
    if how == "bytes":
        data = three_regions.replace(middle, middle[:50] + b"damage" + middle[56:])
        message = "chunk R 1: checksum"
    else:
        data = rewritten(three_regions, regions=[file.regions[0], middle[:-1], file.regions[2]])
        message = "chunk R 1: entropy-coded data of"
    with pytest.raises(CorruptFile, match=message):
        codec.decode(data)
    with pytest.warns(DamageWarning, match=message) as caught:
        found = levels(codec.decode(data, salvage=True))
    assert len(caught) == 1
    assert caught[0].filename == __file__
    whole = levels(codec.decode(three_regions))
    halo = codec._model(codec.path).synthesis_reach * LATENT_STEP
    left, right = (r.left for r in region_grid(*THREE)[1:])
    assert np.abs(found[:, : left - halo] - whole[:, : left - halo]).max() <= 1
    assert np.abs(found[:, right + halo :] - whole[:, right + halo :]).max() <= 1
    lost = found[:, left + halo : right - halo]
    assert lost.std() < whole.std() / 3
    assert np.abs(lost.mean() - 128) < 20


def test_salvage_of_a_whole_file_is_decoding(codec: Codec, three_regions: bytes, small_file: bytes) -> None:
    for data in (three_regions, small_file):
        assert codec.decode(data, salvage=True) == codec.decode(data)


def test_salvage_of_a_truncated_file(codec: Codec, three_regions: bytes) -> None:
    cut = three_regions[: len(three_regions) - 100]
    with pytest.warns(DamageWarning, match="chunk R 2"):
        found = codec.decode(cut, salvage=True)
    assert np.abs(levels(found)[:, :1000] - levels(codec.decode(three_regions))[:, :1000]).max() <= 1


def test_salvage_of_nothing_synthesises_each_shape_of_tile_once(
    codec: Codec, three_regions: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = dataclasses.replace(container.read(three_regions).header, width=7000)
    regions = region_grid(header.width, header.height)
    data = container.write(header, Metadata(), None, [b""] * len(regions))
    with pytest.raises(CorruptFile, match="chunk R 0: entropy-coded data of 0 bytes"):
        codec.decode(data)
    model = codec._model(codec.path)
    synthesise, widths = CodingModel.synthesise, []

    def counted(self: CodingModel, latents: torch.Tensor, quality: float | None) -> torch.Tensor:
        widths.append(latents.shape[-1])
        return synthesise(self, latents, quality)

    monkeypatch.setattr(CodingModel, "synthesise", counted)
    with pytest.warns(DamageWarning):
        found = codec.decode(data, salvage=True)
    assert len(widths) == 3  # the first tile, those inside, the last
    zeros = torch.zeros(1, model.config.latent, -(-header.height // 64) * 4, -(-header.width // 64) * 4)
    whole = synthesise(model, zeros.to(torch.int16), header.quality)[0, :, : header.height, : header.width]
    assert np.abs(levels(found) - whole.mul(255).round().permute(1, 2, 0).numpy()).max() <= 1


def test_salvage_of_metadata_and_alpha(codec: Codec, small_file: bytes) -> None:
    alpha = container.read(small_file).alpha
    assert alpha is not None
    whole = codec.decode(small_file)
    with pytest.warns(DamageWarning) as caught:
        found = codec.decode(small_file.replace(alpha[:20], alpha[:19] + b"!"), salvage=True)
    assert {str(w.message)[:16] for w in caught} == {"chunk A: checksu", "chunk A: missing"}
    assert found.getchannel("A").getextrema() == (255, 255)
    assert found.convert("RGB") == whole.convert("RGB")
    assert found.info == whole.info
    with pytest.warns(DamageWarning, match="chunk c: checksum"):
        found = codec.decode(small_file.replace("🐶".encode(), "🐱".encode()), salvage=True)
    assert found.tobytes() == whole.tobytes()
    assert whole.info.pop("caption") == "a dog 🐶"
    assert found.info == whole.info


# Threads


def test_one_codec_in_many_threads(codec: Codec) -> None:
    images = [synthetic(60 + 5 * i, 50, i) for i in range(8)]
    texts = [None, "a dog", "a red boat", None] * 2
    serial = [codec.encode(i, t) for i, t in zip(images, texts, strict=True)]
    shown = [codec.decode(f) for f in serial]
    fresh = Codec(codec.path, precision="fp32")  # models and text encoder load in the race, too
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(fresh.encode, images, texts)) == serial
        assert list(pool.map(fresh.decode, serial)) == shown


def counts_everywhere() -> tuple[int, int]:
    """torch's thread count here, and in a new thread."""
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    return torch.get_num_threads(), found[0]


@pytest.fixture
def torch_threads() -> Iterator[int]:
    """torch set to a count that no codec below uses."""
    before = torch.get_num_threads()
    torch.set_num_threads(5)
    yield 5
    torch.set_num_threads(before)


def test_the_thread_count_is_put_back(
    tiny_weights: Path, torch_threads: int, monkeypatch: pytest.MonkeyPatch, picture: Picture
) -> None:
    codec = Codec(tiny_weights, threads=2, precision="fp32")
    inside: list[int] = []
    analyse = CodingModel.analyse

    def noting(self: CodingModel, *arguments: Any) -> torch.Tensor:
        inside.append(torch.get_num_threads())
        return analyse(self, *arguments)

    monkeypatch.setattr(CodingModel, "analyse", noting)
    data = codec.encode(picture(30, 20))
    assert inside == [2]
    assert counts_everywhere() == (torch_threads, torch_threads)
    forged = rewritten(data, regions=[b"odd"])
    with pytest.raises(CorruptFile):
        codec.decode(forged)
    assert counts_everywhere() == (torch_threads, torch_threads)


def test_overlapping_calls_put_the_thread_count_back(
    tiny_weights: Path, torch_threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A starts, B starts, A ends, B ends: each in its own thread, with its own count."""
    codecs = [Codec(tiny_weights, threads=n, precision="fp32") for n in (2, 3)]
    image = synthetic(16, 16)
    entered = [threading.Event(), threading.Event()]
    leave = [threading.Event(), threading.Event()]
    inside, after = [0, 0], [0, 0]
    analyse = CodingModel.analyse

    def waiting(self: CodingModel, *arguments: Any) -> torch.Tensor:
        number = int(threading.current_thread().name)
        inside[number] = torch.get_num_threads()
        entered[number].set()
        assert leave[number].wait(30)
        return analyse(self, *arguments)

    monkeypatch.setattr(CodingModel, "analyse", waiting)

    def work(number: int) -> None:
        codecs[number].encode(image)
        after[number] = torch.get_num_threads()

    threads = [threading.Thread(target=work, args=(n,), name=str(n)) for n in (0, 1)]
    for number in (0, 1):
        threads[number].start()
        assert entered[number].wait(30)
    for number in (0, 1):
        leave[number].set()
        threads[number].join(30)
    assert inside == [2, 3]
    assert after == [torch_threads, torch_threads]
    assert counts_everywhere() == (torch_threads, torch_threads)


# From the command line, with real weights


def tree(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def run_cli(arguments: Sequence[str | Path], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    status = cli.main([str(a) for a in arguments])
    return status, capsys.readouterr().err


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_full_disk_is_one_line(
    tiny_weights: Path, picture: Picture, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture(30, 20).save(tmp_path / "a.png")
    status, said = run_cli(["encode", tmp_path / "a.png", "-o", "/dev/full", "-f", "-m", tiny_weights], capsys)
    assert status == 1
    assert said == f"tacit: {tmp_path / 'a.png'}: cannot write /dev/full: No space left on device\n"


def test_salvage_and_crop_from_the_command_line(
    codec: Codec, three_regions: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    middle = container.read(three_regions).regions[1]
    assert middle is not None
    (tmp_path / "a.tacit").write_bytes(three_regions.replace(middle, middle[:50] + b"damage" + middle[56:]))
    decode = ["decode", tmp_path / "a.tacit", "-m", codec.path, "-o", tmp_path / "a.png"]
    status, said = run_cli(decode, capsys)
    assert status == 1
    assert "chunk R 1: checksum" in said
    assert tree(tmp_path) == ["a.tacit"]
    status, said = run_cli([*decode, "--salvage"], capsys)
    assert status == 0
    assert "warning: region 1 is lost: chunk R 1: checksum" in said
    status, _ = run_cli(["decode", tmp_path / "a.tacit", "-m", codec.path, "-o", tmp_path / "b.png",
                         "--crop", "5,6,70,30", "--salvage"], capsys)  # fmt: skip
    assert status == 0
    with Image.open(tmp_path / "b.png") as image:
        assert np.abs(levels(image) - levels(codec.decode(three_regions, box=(5, 6, 75, 36)))).max() <= 1


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_leaves_no_half_file(codec: Codec, picture: Picture, tmp_path: Path, jobs: str) -> None:
    (tmp_path / "in").mkdir()
    for n in range(60):
        picture(300, 200, seed=n % 5).save(tmp_path / "in" / f"{n:02}.png")
    command = [sys.executable, "-m", "tacit", "encode", "in", "-o", "out", "-j", jobs, "-m", str(codec.path)]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("out/*.tacit")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    written = tree(tmp_path / "out")
    assert process.returncode == 130, said
    assert 0 < len(written) < 60
    assert f"interrupted: {len(written)} of 60 files done" in said
    for name in written:
        assert name.endswith(".tacit")
        assert codec.decode(tmp_path / "out" / name).size == (300, 200)


def test_results_are_what_they_say(codec: Codec, picture: Picture) -> None:
    result = codec.encode_result(picture(30, 20), "a dog")
    assert (result.quality, result.psnr, result.caption) == (50, None, "a dog")
    assert Metadata() == container.read(result.data).metadata
