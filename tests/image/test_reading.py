"""Reading: every kind of source, what is refused, and what it costs."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image

from support.image_files import exif_with, noise, reopened, saved
from tacit.container import Metadata
from tacit.errors import ImageTooLarge, InvalidInput, PathError
from tacit.image import ConversionWarning, ImageSource, from_pil, load, to_pil
from tacit.training.dataset.image_files import BadImage, decode_image


def test_the_same_raster_from_every_kind_of_source(tmp_path: Path) -> None:
    array = noise(5, 7, 3)
    data = saved(Image.fromarray(array))
    path = tmp_path / "photo.png"
    path.write_bytes(data)
    tensor = torch.from_numpy(array)
    sources: list[ImageSource] = [
        *(str(path), path, data, bytearray(data), memoryview(data), io.BytesIO(data)),
        *(array, np.asfortranarray(array), array.astype(np.float64) / 255, array / np.float16(255)),
        *(tensor, tensor.permute(2, 0, 1), tensor.permute(2, 0, 1) / 255, tensor.requires_grad_(False).double() / 255),
    ]
    for source in sources:
        assert np.array_equal(load(source).pixels, array)
    with path.open("rb") as file:
        assert np.array_equal(load(file).pixels, array)
        assert not file.closed
    raster = load(path)
    assert load(raster) is raster


def test_several_frames_give_the_first() -> None:
    frames = [Image.new("L", (4, 4), level) for level in (10, 20, 30)]
    data = saved(frames[0], "TIFF", save_all=True, append_images=frames[1:])
    with pytest.warns(ConversionWarning, match="one frame of 3"):
        raster = load(data)
    assert raster.pixels[0, 0, 0] == 10


def test_callers_image_is_left_alone() -> None:
    image = reopened(Image.new("RGB", (2, 3)), exif=exif_with(Orientation=6))
    load(image)
    assert image.size == (2, 3)
    assert image.getexif()[ExifTags.Base.Orientation] == 6


def test_other_metadata_is_gone_by_on_request() -> None:
    image = reopened(Image.new("L", (2, 3)), exif=exif_with(Orientation=6))
    raster = from_pil(image, info={})
    assert (raster.width, raster.height) == (2, 3)
    assert raster.metadata == Metadata()
    raster = from_pil(kept_image := to_pil(raster), info={"exif": exif_with(Orientation=6, Make="Maker").tobytes()})
    assert (raster.width, raster.height) == (3, 2)
    kept = to_pil(raster).getexif()
    assert (kept[ExifTags.Base.Orientation], kept[ExifTags.Base.Make]) == (1, "Maker")
    assert kept_image.info == {}


def test_tensor_needing_gradients_and_of_bfloat16() -> None:
    tensor = torch.tensor([[[0.0, 1.0]]] * 3, dtype=torch.bfloat16, requires_grad=True)  # [3, 1, 2]
    assert load(tensor).pixels.tolist() == [[[0, 0, 0], [255, 255, 255]]]


@pytest.mark.parametrize(
    ("shape", "mode"), [((4, 5), "L"), ((4, 5, 1), "L"), ((4, 5, 2), "LA"), ((4, 5, 3), "RGB"), ((4, 5, 4), "RGBA")]
)
def test_channels_of_arrays(shape: tuple[int, ...], mode: str) -> None:
    array = noise(*shape)
    raster = load(array)
    assert (raster.mode, raster.width, raster.height) == (mode, 5, 4)
    assert to_pil(raster).tobytes() == array.tobytes()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (np.zeros((0, 5), np.uint8), "array must have at least 1x1 pixels, got 5x0"),
        (np.zeros((5,), np.uint8), "array must have shape"),
        (np.zeros((3, 5, 9), np.uint8), "shape"),
        (np.zeros((1, 3, 5, 5), np.uint8), "shape"),
        (np.zeros((5, 5), np.int64), "uint16 or floats in .0, 1., got int64"),
        (np.full((5, 5), 37.5), "must have values in .0, 1., got 37.5 to 37.5"),
        (np.full((5, 5), -1.0), "got -1 to"),
        (np.full((5, 5), np.nan), "NaN"),
        (torch.zeros(2, 3, 5, 5), "tensor must have shape"),
        (Image.new("RGB", (0, 5)), "image must have at least 1x1 pixels, got 0x5"),
        (None, "a path, bytes or a binary file, got NoneType"),
        (b"", "image: not an image that Pillow reads"),
        (b"This is text, whatever its name says.", "not an image"),
        (saved(Image.fromarray(noise(64, 64)))[:2000], "damaged image"),
        (saved(Image.fromarray(noise(64, 64)), "WEBP")[:200], "image"),
    ],
)
def test_what_is_no_image_is_refused(source: object, message: str) -> None:
    with pytest.raises(InvalidInput, match=message) as caught:
        load(source)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_unreadable_paths(tmp_path: Path) -> None:
    with pytest.raises(PathError, match=r"missing\.png: No such file"):
        load(tmp_path / "missing.png")
    with pytest.raises(PathError, match="directory"):
        load(tmp_path)


def test_names_of_files_are_in_messages(tmp_path: Path) -> None:
    path = tmp_path / "broken.png"
    path.write_bytes(saved(Image.fromarray(noise(64, 64)))[:2000])
    with pytest.raises(InvalidInput, match=r"broken\.png: damaged"):
        load(path)
    Image.new("CMYK", (1, 1)).save(tmp_path / "print.tif")
    with pytest.warns(ConversionWarning, match=r"print\.tif: CMYK"):
        load(tmp_path / "print.tif")


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damaged_files_are_refused_or_read(data: st.DataObject) -> None:
    form = data.draw(st.sampled_from(["PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP"]))
    stream = bytearray(saved(Image.fromarray(noise(9, 11, 3)), form))
    place = data.draw(st.integers(0, len(stream) - 1))
    if data.draw(st.booleans()):
        del stream[place:]
    else:
        stream[place] ^= data.draw(st.integers(1, 255))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with suppress(InvalidInput):
            load(bytes(stream))


def test_too_many_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)
    data = saved(Image.new("L", (10, 10)))
    with pytest.warns(Image.DecompressionBombWarning):
        assert load(data).width == 10  # Pillow warns from the limit on, and refuses at twice the limit
    larger = saved(Image.new("L", (10, 11)))
    for source in (larger, Image.new("L", (10, 11)), np.zeros((10, 11), np.uint8)):
        with pytest.raises(ImageTooLarge, match="110"):
            load(source)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert load(larger).height == 11


def test_importing_imports_no_torch() -> None:
    code = "import sys, tacit.image; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, env={**os.environ}).returncode == 0


MEMORY = """
import resource, sys
from PIL import Image
import tacit.image
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
tacit.image.load(sys.argv[1] % 1)
before = peak()
raster = tacit.image.load(sys.argv[1] % 4000)
print(peak() - before, raster.pixels.shape[0])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux only")
@pytest.mark.parametrize("mode", ["RGB", "CMYK", "P", "I;16"])
def test_memory_of_a_turned_image(mode: str, tmp_path: Path) -> None:
    for width in (1, 4000):
        image = Image.new(mode, (width, 4000))
        image.save(tmp_path / f"{width}.tif", exif=exif_with(Orientation=6), compression="tiff_lzw")
    command = [sys.executable, "-W", "ignore", "-c", MEMORY, str(tmp_path / "%d.tif")]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    grown, height = map(int, result.stdout.split())
    assert height == 4000
    # 16 megapixels: 61 MiB in Pillow (4 bytes a pixel, less for grey), 46 MiB in the raster. Pillow itself turns a
    # TIFF, which takes a second copy of its own for a moment.
    assert grown < 2 * 61 + 46


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF", "GIF"])
def test_closed_image_is_called_closed(form: str, tmp_path: Path) -> None:
    path = tmp_path / "image"
    path.write_bytes(saved(Image.new("L", (4, 4), 9), form))
    with Image.open(path) as left:
        pass
    with path.open("rb") as file:
        of_closed_file = Image.open(file)
    closed = Image.new("L", (4, 4))
    closed.close()
    for image in (left, of_closed_file, closed):
        with pytest.raises(InvalidInput, match="image must be open, got one that was closed"):
            load(image)
    with Image.open(path) as loaded:
        loaded.load()
    assert load(loaded).pixels[0, 0, 0] == 9


def test_a_file_that_is_a_program_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", lambda *_, **__: pytest.fail("Ghostscript is run"))
    path = tmp_path / "photo.jpg"
    Image.new("RGB", (8, 8)).save(path, "EPS")
    for source in (path, path.read_bytes()):
        with pytest.raises(InvalidInput, match="EPS is not read, because Pillow would run Ghostscript on it"):
            load(source)
    with pytest.raises(BadImage, match="Ghostscript"):
        decode_image(path)
