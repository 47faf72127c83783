"""The codec from image to file and back: every input, batches, captions, models."""

from __future__ import annotations

import io
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

import tacit
from support.codec_files import EXIF, ICC, MAKE, ORIENTATION, SHARED, XMP, Picture, exif, levels, psnr
from support.image_files import profile
from support.pictures import synthetic
from tacit import container
from tacit.codec import Codec
from tacit.errors import InvalidInput, UnknownModel
from tacit.image import ConversionWarning, load
from tacit.image.icc import as_srgb

KEPT_AS = {"RGB": "RGB", "L": "L", "LA": "LA", "RGBA": "RGBA", "P": "RGB", "1": "L", "CMYK": "RGB", "I;16": "L"}


text = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=60)


captions = st.one_of(
    st.none(), st.sampled_from(["", " \n\t", "🐶 puppy 👩‍👩‍👧 ", "ein Boot, das", "犬", "e\u0301"]), text
)


@pytest.mark.slow
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


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_colours_become_srgb_without_their_profile(codec: Codec, picture: Picture, mode: str) -> None:
    image = picture(40, 30, mode)
    image.info["icc_profile"] = profile("GRAY" if mode == "L" else "RGB ", 1.2)
    plain = as_srgb(image)
    assert codec.encode(image, keep_metadata=False) == codec.encode(plain)
    assert codec.encode(image, keep_metadata=False) != codec.encode(Image.fromarray(np.asarray(image)))


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
        sources: list[Any] = [
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
        sources: list[Any] = [data, bytearray(data), memoryview(data), path, str(path), stream, io.BytesIO(data)]
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
    assert np.array_equal(half.latents(data), codec.latents(data))
    assert np.abs(levels(half.decode(data)) - levels(codec.decode(data))).mean() < 1.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "abacus"}, "device abacus"),
        ({"device": "cuda:77"}, "device cuda:77"),
        ({"device": "vulkan"}, "device vulkan: the installed torch does not support it$"),
        ({"threads": 0}, "threads must be at least 1, got 0"),
        ({"threads": 1.5}, "threads must be a whole number, got 1.5"),
        ({"threads": "2"}, "threads must be a whole number, got '2'"),
        ({"precision": "fp8"}, "precision must be fp32, bf16 or auto, got 'fp8'"),
    ],
)
def test_codecs_that_cannot_be(tiny_weights: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message) as caught:
        Codec(tiny_weights, **options)
    assert "\n" not in str(caught.value)


def test_fixed_rate_weights_have_no_quality(taco_fixed_codec: Codec, picture: Picture) -> None:
    image = picture(50, 40)
    result = taco_fixed_codec.encode_result(image, "a dog")
    assert result.quality is None
    assert tacit.info(result.data).quality is None
    assert taco_fixed_codec.decode(result.data).size == (50, 40)
    assert taco_fixed_codec.encode_batch([image], ["a dog"]) == [result.data]
    for target in ({"quality": 50}, {"size": 1000}, {"bpp": 1.0}, {"psnr": 30}):
        with pytest.raises(InvalidInput, match="these weights have one fixed rate: there can be no quality"):
            taco_fixed_codec.encode(image, **target)
    with pytest.raises(InvalidInput, match="one fixed rate"):
        taco_fixed_codec.encode_batch([image], quality=50)


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
        ("x" * 10**6, "got 1000000"),
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


@pytest.mark.slow
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


def test_one_codec_in_many_threads(codec: Codec) -> None:
    images = [synthetic(60 + 5 * i, 50, i) for i in range(8)]
    texts = [None, "a dog", "a red boat", None] * 2
    serial = [codec.encode(i, t) for i, t in zip(images, texts, strict=True)]
    shown = [codec.decode(f) for f in serial]
    fresh = Codec(codec.path, precision="fp32")  # models and text encoder load in the race, too
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(fresh.encode, images, texts)) == serial
        assert list(pool.map(fresh.decode, serial)) == shown
