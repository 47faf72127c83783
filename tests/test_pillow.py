"""The Pillow plugin: what Pillow's users may expect of a format."""

from __future__ import annotations

import io
import subprocess
import sys
import types
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError

import tacit.pillow
from support.image_files import exif_with
from tacit import container
from tacit.codec import EncodeOptions
from tacit.codec.reduction import reduced_size
from tacit.container import Header, Metadata, region_grid
from tacit.errors import CorruptFile, InvalidInput, MissingWeights, TacitError, UnsupportedFile
from tacit.image import EXIF_PREFIX, ConversionWarning, Raster, encode_alpha, load, to_pil

MODES = ["L", "LA", "RGB", "RGBA"]


EXIF = exif_with(Make="Maker").tobytes()[len(EXIF_PREFIX) :]
METADATA = Metadata(caption="a red boat", icc=b"an ICC profile", exif=EXIF, xmp=b"<x:xmpmeta/>")


def file_of(mode: str = "RGB", size: tuple[int, int] = (5, 3), metadata: Metadata = METADATA) -> bytes:
    """A well-formed file whose regions are not real."""
    alpha = encode_alpha(np.zeros((size[1], size[0]), np.uint8)) if mode.endswith("A") else None
    header = Header(
        width=size[0],
        height=size[1],
        color=mode.startswith("RGB"),
        alpha=alpha is not None,
        quality=50.0,
        model_id=1,
        weights_hash=b"weights.",
    )
    return container.write(header, metadata, alpha, [b"region"] * len(region_grid(*size)))


@pytest.fixture
def codec(monkeypatch: pytest.MonkeyPatch) -> types.SimpleNamespace:
    """A codec in the place of tacit's, that notes how it is called."""

    def decode(data: bytes, **options: Any) -> Image.Image:
        fake.decoded.append((data, options))
        max_side = options.get("max_side")
        header, metadata, _ = container.read_header(data)
        if max_side is not None:
            width, height = reduced_size(header.width, header.height, max_side)
            header = replace(header, width=width, height=height)
        pixels = np.full((header.height, header.width, 3 if header.color else 1), 77, np.uint8)
        alpha = np.full((header.height, header.width), 88, np.uint8) if header.alpha else None
        return to_pil(Raster(pixels, alpha, metadata))

    def encode(image: Raster, caption: str | None = None, **options: Any) -> bytes:
        fake.encoded.append((image, caption, options))
        return file_of(image.mode, (image.width, image.height), image.metadata)

    fake = types.SimpleNamespace(decode=decode, encode=encode, decoded=[], encoded=[])
    monkeypatch.setitem(sys.modules, "tacit.codec", fake)
    return fake


def raising(error: Exception) -> Any:
    def function(*args: object, **options: object) -> None:
        raise error

    return function


# Opening


@pytest.mark.parametrize("mode", MODES)
def test_open_knows_everything_but_the_pixels(mode: str) -> None:
    with Image.open(io.BytesIO(file_of(mode, (2000, 1500)))) as image:
        assert (image.format, image.mode, image.size) == ("TACIT", mode, (2000, 1500))
        assert image.get_format_mimetype() == "image/x-tacit"
        assert image.info == {
            "caption": "a red boat",
            "icc_profile": b"an ICC profile",
            "exif": EXIF_PREFIX + EXIF,
            "xmp": b"<x:xmpmeta/>",
        }
        assert image.getexif()[ExifTags.Base.Make] == "Maker"


def test_open_without_metadata() -> None:
    assert Image.open(io.BytesIO(file_of(metadata=Metadata()))).info == {}


def test_registering_again_changes_nothing() -> None:
    before = list(Image.ID)
    tacit.pillow.register()
    tacit.pillow.register()
    assert before == Image.ID
    assert Image.ID.count("TACIT") == 1
    assert Image.registered_extensions()[".tacit"] == "TACIT"


def test_opening_and_verifying_import_no_torch(tmp_path: Path) -> None:
    path = tmp_path / "photo.tacit"
    path.write_bytes(file_of())
    code = (
        "import sys, tacit.pillow; from PIL import Image\n"
        "image = Image.open(sys.argv[1]); image.size; image.info; image.getexif(); image.verify()\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == 0


@pytest.mark.parametrize("size", range(17))
def test_what_is_shorter_than_the_signature_or_the_header(size: int) -> None:
    with pytest.raises(UnidentifiedImageError):
        Image.open(io.BytesIO(file_of()[:size]))


@pytest.mark.parametrize(
    ("place", "value", "kind"),
    [(8, 4, UnsupportedFile), (8, 0, CorruptFile), (9, ord("Q"), CorruptFile), (11, 99, CorruptFile)],
)
def test_open_tells_what_is_wrong(place: int, value: int, kind: type[TacitError]) -> None:
    data = bytearray(file_of())
    data[place] = value
    with pytest.raises(UnidentifiedImageError, match=r"cannot read \.tacit file: ") as caught:
        Image.open(io.BytesIO(data))
    assert isinstance(caught.value.__cause__, kind)


def test_direct_use_on_another_format_is_a_syntax_error() -> None:
    with pytest.raises(SyntaxError, match="not a"):
        tacit.pillow.TacitImageFile(io.BytesIO(b"GIF89a" + bytes(20)))


def test_too_many_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 6)
    with pytest.raises(Image.DecompressionBombError):
        Image.open(io.BytesIO(file_of(size=(5, 3))))
    with pytest.warns(Image.DecompressionBombWarning):
        Image.open(io.BytesIO(file_of(size=(5, 2))))


# Loading


@pytest.mark.parametrize("mode", MODES)
def test_load_decodes_once_and_closes_the_file(mode: str, codec: types.SimpleNamespace, tmp_path: Path) -> None:
    path = tmp_path / "photo.tacit"
    path.write_bytes(file_of(mode))
    image = Image.open(path)
    file = image.fp
    assert codec.decoded == []
    image.load()
    image.load()
    ((data, options),) = codec.decoded
    assert data == file_of(mode)
    assert options == {"max_side": None, "salvage": False, "partial": False, "max_pixels": None}
    assert file is not None
    assert file.closed
    assert np.asarray(image).reshape(15, -1)[0].tolist() == [77] * (len(mode) - mode.count("A")) + [88] * mode.count(
        "A"
    )
    assert image.info["caption"] == "a red boat"
    image.putpixel((0, 0), 1 if mode == "L" else (1, 2, 3, 4)[: len(mode)])  # is not shared with anything


def test_callers_stream_stays_open(codec: types.SimpleNamespace) -> None:
    stream = io.BytesIO(file_of())
    Image.open(stream).load()
    assert not stream.closed


def test_pillows_operations_load_by_themselves(codec: types.SimpleNamespace) -> None:
    image = Image.open(io.BytesIO(file_of()))
    assert image.convert("L").getpixel((4, 2)) == 77
    assert Image.open(io.BytesIO(file_of())).resize((2, 2)).size == (2, 2)
    thumbnail = Image.open(io.BytesIO(file_of(size=(100, 50))))
    thumbnail.thumbnail((10, 10))
    assert thumbnail.size == (10, 5)
    assert Image.open(io.BytesIO(file_of())).copy().mode == "RGB"


@pytest.mark.parametrize(
    ("wanted", "side", "size"),
    [
        ((300, 150), None, (403, 201)),
        ((201, 100), 202, (202, 101)),
        ((100, 100), 202, (202, 101)),
        ((100, 25), 101, (101, 50)),
        ((1, 0), 51, (51, 25)),
    ],
)
def test_drafts_are_decoded_smaller(
    codec: types.SimpleNamespace, wanted: tuple[int, int], side: int | None, size: tuple[int, int]
) -> None:
    image = Image.open(io.BytesIO(file_of(size=(403, 201))))
    found = image.draft("RGB", wanted)
    assert found == (None if side is None else ("RGB", (0, 0, *size)))
    assert image.draft(None, (1, 1)) is None or side is None  # once
    image.load()
    assert image.draft(None, (1, 1)) is None  # nothing is left to be decoded
    if side is not None:
        assert image.size == size
        assert codec.decoded[0][1]["max_side"] == side


def test_thumbnails_are_made_of_drafts(codec: types.SimpleNamespace) -> None:
    image = Image.open(io.BytesIO(file_of(size=(800, 600))))
    image.thumbnail((100, 100))
    assert image.size == (100, 75)
    assert codec.decoded[0][1]["max_side"] == 400
    assert image.getpixel((50, 50)) == (77, 77, 77)


def test_damage_found_in_loading_is_an_os_error(codec: types.SimpleNamespace) -> None:
    image = Image.open(io.BytesIO(file_of()))
    codec.decode = raising(MissingWeights("weights 00ff of model 1 are not here"))
    with pytest.raises(OSError, match="weights 00ff") as caught:
        image.load()
    assert isinstance(caught.value.__cause__, MissingWeights)


def test_load_truncated_images_salvages(codec: types.SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    Image.open(io.BytesIO(file_of())).load()
    assert codec.decoded[0][1] == {"max_side": None, "salvage": True, "partial": True, "max_pixels": None}


def test_incremental_parser(codec: types.SimpleNamespace) -> None:
    parser = ImageFile.Parser()
    data = file_of("RGBA")
    for place in range(0, len(data), 7):
        parser.feed(data[place : place + 7])
    image = parser.close()
    assert image.size == (5, 3)
    assert image.getpixel((0, 0)) == (77, 77, 77, 88)


# Verifying


def test_verify(tmp_path: Path) -> None:
    path = tmp_path / "photo.tacit"
    path.write_bytes(file_of(size=(2000, 1500)))
    image = Image.open(path)
    file = image.fp
    image.verify()
    assert file is not None
    assert file.closed
    with pytest.raises(RuntimeError, match="directly after open"):
        image.verify()


def test_verify_finds_damage_in_regions() -> None:
    data = bytearray(file_of())
    data[-6] ^= 1
    image = Image.open(io.BytesIO(data))
    with pytest.raises(OSError, match="checksum") as caught:
        image.verify()
    assert isinstance(caught.value.__cause__, CorruptFile)


def test_verify_finds_every_truncation_that_open_does_not() -> None:
    data = file_of()
    opened = 0
    for size in range(17, len(data)):
        try:
            image = Image.open(io.BytesIO(data[:size]))
        except UnidentifiedImageError:
            continue
        opened += 1
        with pytest.raises(OSError, match="broken"):
            image.verify()
    assert opened > 0


# Saving


def test_save_hands_over_what_was_asked(codec: types.SimpleNamespace, tmp_path: Path) -> None:
    path = tmp_path / "photo.tacit"
    options: dict[str, Any] = {"quality": 40.5, "steer": 3, "keep_metadata": False, "store_caption": True}
    metadata: dict[str, Any] = {"exif": exif_with(Make="Other"), "icc_profile": b"profile", "xmp": "<x/>"}
    image = Image.new("RGBA", (5, 3), (1, 2, 3, 4))
    image.save(path, caption="a cat", unknown=1, model="taco", **metadata, **options)
    ((photo, caption, passed),) = codec.encoded
    assert caption == "a cat"
    assert passed == {"options": EncodeOptions(**options), "model": "taco"}
    assert photo.pixels[0, 0].tolist() == [1, 2, 3]
    assert photo.alpha[0, 0] == 4
    assert photo.metadata == Metadata(icc=b"profile", xmp=b"<x/>", exif=exif_with(Make="Other").tobytes()[6:])
    assert path.read_bytes() == file_of("RGBA", (5, 3), photo.metadata)


def test_save_to_a_stream_with_defaults(codec: types.SimpleNamespace) -> None:
    stream = io.BytesIO()
    stream.write(b"before")
    Image.new("L", (5, 3)).save(stream, "TACIT")
    assert codec.encoded[0][1:] == (None, {"options": EncodeOptions()})
    assert codec.encoded[0][0].metadata == Metadata()
    assert stream.getvalue() == b"before" + file_of("L", metadata=Metadata())


def test_icc_and_caption_are_taken_from_info_and_exif_and_xmp_are_not(codec: types.SimpleNamespace) -> None:
    image = to_pil(Raster(np.zeros((3, 5, 3), np.uint8), None, METADATA))
    image.info["icc_profile"] = bytes(16) + b"RGB "
    image.save(io.BytesIO(), "TACIT")
    image.save(io.BytesIO(), "TACIT", icc_profile=None, caption=None)
    (photo, caption, _), (other, other_caption, _) = codec.encoded
    assert (caption, other_caption) == ("a red boat", None)
    assert (photo.metadata, other.metadata) == (Metadata(icc=image.info["icc_profile"]), Metadata())


@pytest.mark.parametrize("exif", [exif_with(Orientation=6), exif_with(Orientation=6).tobytes()])
def test_given_exif_turns_the_pixels_and_its_orientation_becomes_1(exif: Any, codec: types.SimpleNamespace) -> None:
    image = Image.fromarray(np.arange(15, dtype=np.uint8).reshape(3, 5))
    stream = io.BytesIO()
    image.save(stream, "TACIT", exif=exif)
    assert np.array_equal(codec.encoded[0][0].pixels[..., 0], np.rot90(np.asarray(image), -1))
    with Image.open(stream) as back:
        assert back.size == (3, 5)
        assert back.getexif()[ExifTags.Base.Orientation] == 1


def test_given_xmp_turns_the_pixels_too(codec: types.SimpleNamespace) -> None:
    image = Image.new("RGB", (5, 3))
    stream = io.BytesIO()
    image.save(stream, "TACIT", xmp='<a tiff:Orientation="8"/>')
    with Image.open(stream) as back:
        assert back.size == (3, 5)
        assert back.info["xmp"] == b'<a tiff:Orientation="1"/>'


def test_without_exif_the_pixels_stay_as_they_are(codec: types.SimpleNamespace) -> None:
    image = Image.new("RGB", (5, 3))
    image.info["exif"] = exif_with(Orientation=6).tobytes()
    stream = io.BytesIO()
    image.save(stream, "TACIT")
    with Image.open(stream) as back:
        assert back.size == (5, 3)
        assert back.getexif().get(ExifTags.Base.Orientation) is None


def test_cmyk_is_saved_as_rgb_without_its_profile(codec: types.SimpleNamespace) -> None:
    image = Image.new("CMYK", (5, 3))
    image.info["icc_profile"] = b"of CMYK"
    with pytest.warns(ConversionWarning):
        image.save(io.BytesIO(), "TACIT")
    assert codec.encoded[0][0].mode == "RGB"
    assert codec.encoded[0][0].metadata.icc is None


def test_save_errors_are_those_of_pillow(codec: types.SimpleNamespace, tmp_path: Path) -> None:
    image = Image.new("L", (5, 3))
    for wrong in ({"quality": 101}, {"quality": 5, "size": 900}, {"bpp": -1}):
        with pytest.raises(ValueError, match="got"):
            image.save(tmp_path / "a.tacit", **wrong)  # type: ignore[arg-type]
    codec.encode = raising(InvalidInput("no"))
    with pytest.raises(ValueError, match="no"):
        image.save(tmp_path / "a.tacit")
    codec.encode = raising(MissingWeights("no weights"))
    with pytest.raises(OSError, match="no weights") as caught:
        image.save(tmp_path / "a.tacit")
    assert isinstance(caught.value.__cause__, MissingWeights)
    assert list(tmp_path.iterdir()) == []


# With the real codec


@pytest.mark.parametrize("mode", MODES)
def test_round_trip(mode: str, tmp_path: Path) -> None:
    rows, columns = np.mgrid[:40, :56]
    bands = [rows * 4, columns * 3, rows + columns * 2, 255 - rows * 6]
    chosen = {"L": [0], "LA": [0, 3], "RGB": [0, 1, 2], "RGBA": [0, 1, 2, 3]}[mode]
    array = np.stack([bands[band] for band in chosen], -1).clip(0, 255).astype(np.uint8)
    image = Image.fromarray(array[..., 0] if mode == "L" else array)
    path = tmp_path / "photo.tacit"
    image.save(path, quality=80, caption="a gradient", store_caption=True, exif=exif_with(Make="Maker"))
    with Image.open(path) as back:
        back.verify()
    with Image.open(path) as back:
        assert (back.mode, back.size, back.info["caption"]) == (mode, image.size, "a gradient")
        decoded = load(back)
        assert back.getexif()[ExifTags.Base.Make] == "Maker"
    expected = load(image)
    error = np.sqrt(np.mean((decoded.pixels.astype(float) - expected.pixels) ** 2))
    assert error < 16
    if mode.endswith("A"):
        assert decoded.alpha is not None
        assert expected.alpha is not None
        assert np.array_equal(decoded.alpha, expected.alpha)
