"""One file on its way to an image: boxes, damage, forgery, salvage."""

from __future__ import annotations

import io
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

import tacit
from support.codec_files import SHARED, THREE, WIDE, Picture, chunk, levels, rewritten
from support.pictures import synthetic
from tacit import container, weights
from tacit.codec import Codec, DamageWarning
from tacit.container import region_grid
from tacit.entropy.coder import SymbolDecoder, SymbolEncoder
from tacit.entropy.tables import SYMBOL_LIMIT
from tacit.entropy.units import LATENT_STEP
from tacit.errors import CorruptFile, FileError, ImageTooLarge, InvalidInput, MissingWeights, PathError, UnsupportedFile

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
    with pytest.raises(CorruptFile, match="chunk R 2: entropy-coded data must have a multiple of 4 bytes, got 3"):
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


def test_truncation_at_every_length(codec: Codec, small_file: bytes) -> None:
    for length in range(len(small_file)):
        with pytest.raises(FileError) as caught:
            codec.decode(small_file[:length])
        assert "\n" not in str(caught.value)
    for more in (b"\0", b"R", small_file):
        with pytest.raises(FileError):
            codec.decode(small_file + more)


@pytest.mark.slow
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


@pytest.mark.slow
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
    prefix = "chunk R 0: entropy-coded data "  # … must have; cannot have been written; go on after the last symbol
    assert prefix + "m" in seen
    assert seen <= {"image", prefix + "m", prefix + "c", prefix + "g"}


def test_an_escape_beyond_the_limit_is_refused(codec: Codec) -> None:
    """The one value that can be written and that no encoder writes: the networks are not proven for it."""
    models = weights.load(codec.path).entropy.y_models
    for symbol, refused in ((-SYMBOL_LIMIT, False), (SYMBOL_LIMIT, False), (-SYMBOL_LIMIT - 1, True)):
        encoder = SymbolEncoder()
        encoder.put(models, np.zeros(1, np.uint8), np.array([symbol], np.int32))
        decoder = SymbolDecoder(encoder.finish())
        if refused:
            with pytest.raises(CorruptFile, match="a symbol must be at least -1023, got -1024"):
                decoder.get(models, np.zeros(1, np.uint8))
        else:
            assert decoder.get(models, np.zeros(1, np.uint8)) == [symbol]


@pytest.mark.slow
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
    with pytest.raises(UnsupportedFile, match=r"got 4: a newer tacit is needed"):
        codec.decode(small_file[:8] + b"\4" + small_file[9:])


def test_chunks_from_the_future(codec: Codec, small_file: bytes) -> None:
    end_of_header = 9 + 1 + 1 + small_file[10] + 4
    front, rest = small_file[:end_of_header], small_file[end_of_header:]
    assert codec.decode(front + chunk(b"z", b"whatever") + rest) == codec.decode(small_file)
    with pytest.raises(UnsupportedFile, match="chunk Z is unknown"):
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
        message = "chunk R 1: entropy-coded data must"
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


def test_salvage_of_metadata_and_alpha(codec: Codec, small_file: bytes) -> None:
    alpha = container.read(small_file).alpha
    assert alpha is not None
    whole = codec.decode(small_file)
    with pytest.warns(DamageWarning) as caught:
        found = codec.decode(small_file.replace(alpha[:20], alpha[:19] + b"!"), salvage=True)
    assert {str(w.message)[:16] for w in caught} == {"chunk A: checksu", "chunk A: alpha m"}
    assert found.getchannel("A").getextrema() == (255, 255)
    assert found.convert("RGB") == whole.convert("RGB")
    assert found.info == whole.info
    with pytest.warns(DamageWarning, match="chunk c: checksum"):
        found = codec.decode(small_file.replace("🐶".encode(), "🐱".encode()), salvage=True)
    assert found.tobytes() == whole.tobytes()
    assert whole.info.pop("caption") == "a dog 🐶"
    assert found.info == whole.info


def test_warnings_are_those_of_the_caller(codec: Codec, three_regions: bytes) -> None:
    cut = three_regions[: len(three_regions) - 100]
    with pytest.warns(DamageWarning) as caught:
        codec.decode(cut, salvage=True)
    assert {warning.filename for warning in caught} == {__file__}
