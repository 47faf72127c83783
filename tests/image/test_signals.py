"""What a file says of its samples is followed, or named in one warning."""

from __future__ import annotations

import base64
import io
import struct
import warnings
import zlib
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import ExifTags, Image, TiffImagePlugin

from support.image_files import SRGB, noise, png, profile, reopened, saved, xmp_with
from tacit.image import ConversionWarning, Raster, from_pil, load, pil_info
from tacit.image.boxes import heif_signals
from tacit.image.export import to_bytes
from tacit.image.jpeg_xl import jpeg_xl_bits
from tacit.image.signals import file_signals

ROWS = noise(4, 4, 3).tobytes()
GREYS = bytes(range(0, 256, 16))
SRGB_CHRM = struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
P3_CHRM = struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
# 8x8 pixels each. AVIF of 10 bits, JPEG 2000 and JPEG XL of 16 bits, JPEG XL of 8.
AVIF_10 = base64.b64decode(
    "AAAAIGZ0eXBhdmlmAAAAAGF2aWZtaWYxbWlhZk1BMUEAAADrbWV0YQAAAAAAAAAhaGRscgAAAAAAAAAAcGljdAAAAAAAAAAAAAAAAAAAAAAOcGl0"
    "bQAAAAAAAQAAAB5pbG9jAAAAAEQAAAEAAQAAAAEAAAETAAAAJQAAAChpaW5mAAAAAAABAAAAGmluZmUCAAAAAAEAAGF2MDFDb2xvcgAAAABqaXBy"
    "cAAAAEtpcGNvAAAAFGlzcGUAAAAAAAAACAAAAAgAAAAQcGl4aQAAAAADCgoKAAAADGF2MUOBIEAAAAAAE2NvbHJuY2x4AAEADQAGgAAAABdpcG1h"
    "AAAAAAAAAAEAAQQBAoMEAAAALW1kYXQSAAoIOAi/bwENBpAyFxXCYySgAPIAAACQQ3Cr3EITPH/BpvNA"
)
JPEG_2000_16 = base64.b64decode(
    "AAAADGpQICANCocKAAAAFGZ0eXBqcDIgAAAAAGpwMiAAAAAtanAyaAAAABZpaGRyAAAACAAAAAgAAw8HAAAAAAAPY29scgEAAAAAABAAAAClanAy"
    "Y/9P/1EALwAAAAAACAAAAAgAAAAAAAAAAAAAAAgAAAAIAAAAAAAAAAAAAw8BAQ8BAQ8BAf9SAAwAAAABAQAEBAAB/1wABECA/2QAJQABQ3JlYXRl"
    "ZCBieSBPcGVuSlBFRyB2ZXJzaW9uIDIuNS40/5AACgAAAAAALQAB/5PD/wAMABQAXK+CPUgAAYSEvr5mAABhIRqhQwkJf4CA/9k="
)
JPEG_XL_16 = base64.b64decode(
    "AAAADEpYTCANCocKAAAAFGZ0eXBqeGwgAAAAAGp4bCAAAAAJanhsbAoAAAAmanhsY/8KQfADULQICAQBAEAASxiLFYBlqP8BMEQ3NQHEAQ=="
)
JPEG_XL_8 = base64.b64decode("/wpBQCQIAAEAUABLGIsVABSIMca7AziKUlQAsM+EAA==")


def gamma(value: float) -> tuple[bytes, bytes]:
    return b"gAMA", round(100000 * value).to_bytes(4)


def cicp(primaries: int, transfer: int, matrix: int = 0, full: int = 1) -> tuple[bytes, bytes]:
    return b"cICP", bytes((primaries, transfer, matrix, full))


def iccp(data: bytes) -> tuple[bytes, bytes]:
    return b"iCCP", b"test\0\0" + zlib.compress(data)


def png_with(*chunks: tuple[bytes, bytes]) -> bytes:
    return png(4, 4, 8, 2, ROWS, *chunks)


def with_nclx(data: bytes, primaries: int, transfer: int) -> bytes:
    place = data.index(b"nclx") + 4
    return data[:place] + struct.pack(">HH", primaries, transfer) + data[place + 4 :]


def loaded(data: bytes) -> tuple[Raster, list[str]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        raster = load(data)
    return raster, [str(warning.message) for warning in caught]


@pytest.mark.parametrize(
    "chunks",
    [
        [],
        [gamma(0.45455)],
        [gamma(0.45455), (b"cHRM", SRGB_CHRM)],
        [(b"sRGB", b"\0"), gamma(1.0), (b"cHRM", P3_CHRM)],  # sRGB counts more
        [cicp(1, 13)],
        [cicp(1, 1), gamma(1.0)],  # and cICP the most
        [cicp(2, 2)],
        [cicp(12, 13, matrix=9)],  # as PNG does not allow it
    ],
)
def test_srgb_stays_as_it_is(chunks: list[tuple[bytes, bytes]]) -> None:
    raster, messages = loaded(png_with(*chunks))
    assert (raster.pixels.tobytes(), messages) == (ROWS, [])


@pytest.mark.parametrize(
    ("chunks", "by"),
    [
        ([gamma(1.0)], "gAMA 1"),
        ([gamma(1 / 1.8)], "gAMA 0.55556"),
        ([(b"cHRM", P3_CHRM)], "cHRM"),
        ([gamma(0.45455), (b"cHRM", P3_CHRM)], "gAMA 0.45455 and cHRM"),
        ([cicp(12, 13), (b"sRGB", b"\0")], "cICP (Display P3 primaries)"),
        ([cicp(9, 14)], "cICP (BT.2020 primaries)"),
        ([cicp(1, 8)], "cICP (BT.709 primaries, linear light)"),
    ],
)
def test_other_colours_of_png_become_srgb(chunks: list[tuple[bytes, bytes]], by: str) -> None:
    raster, messages = loaded(png_with(*chunks))
    assert raster.pixels.tobytes() != ROWS
    assert messages == [f"image: the colours are converted to sRGB by {by}"]


def test_conversion_of_png_with_alpha_and_palette() -> None:
    data = png(2, 1, 8, 6, bytes((55, 128, 255, 7, 0, 1, 13, 255)), gamma(1.0))
    with pytest.warns(ConversionWarning, match="gAMA 1"):
        raster = load(data)
    assert raster.pixels.tolist() == [[[128, 188, 255], [0, 13, 64]]]
    assert raster.alpha is not None
    assert raster.alpha.tolist() == [[7, 255]]
    palette = png(2, 1, 8, 3, b"\1\0", gamma(1.0), (b"PLTE", bytes((0, 1, 13, 55, 128, 255))))
    with pytest.warns(ConversionWarning, match="gAMA 1"):
        assert load(palette).pixels.tolist() == [[[128, 188, 255], [0, 13, 64]]]


def test_wide_greys_are_converted_before_they_are_rounded() -> None:
    data = png(3, 1, 16, 0, struct.pack(">3H", 0, 100, 65535), gamma(1.0))
    raster, messages = loaded(data)
    assert raster.pixels.ravel().tolist() == [0, 5, 255]  # 100 alone would be level 0
    assert len(messages) == 2
    assert "16-bit samples" in " ".join(messages)


def test_a_profile_counts_more_than_gamma() -> None:
    raster, messages = loaded(png_with(iccp(SRGB), gamma(1.0)))
    assert (raster.pixels.tobytes(), raster.metadata.icc, messages) == (ROWS, SRGB, [])


def test_cicp_counts_more_than_a_profile() -> None:
    raster, messages = loaded(png_with(cicp(9, 14), iccp(SRGB)))
    assert raster.metadata.icc is None
    assert raster.pixels.tobytes() != ROWS
    assert len(messages) == 2
    assert "the ICC profile is left out, because cICP" in messages[0]
    adobe = profile("RGB ", 2.2)
    raster, messages = loaded(png_with(cicp(1, 13), iccp(adobe)))
    assert raster.metadata.icc is None
    assert raster.pixels.tobytes() == ROWS
    assert len(messages) == 1


def test_a_profile_that_says_the_same_as_cicp_stays() -> None:
    raster, messages = loaded(png_with(cicp(1, 13), iccp(SRGB)))
    assert (raster.pixels.tobytes(), raster.metadata.icc, messages) == (ROWS, SRGB, [])


@pytest.mark.parametrize(
    ("chunk", "text"),
    [
        (cicp(9, 16), "cICP (BT.2020 primaries, PQ (HDR))"),
        (cicp(9, 18), "cICP (BT.2020 primaries, HLG (HDR))"),
        (cicp(1, 13, full=0), "cICP (levels of a narrow range)"),
        (gamma(0), "gAMA 0 (which no colours can have)"),
        ((b"cHRM", bytes(32)), "cHRM (which no colours can have)"),
    ],
)
def test_what_cannot_be_converted_is_named_once(chunk: tuple[bytes, bytes], text: str) -> None:
    raster, messages = loaded(png_with(chunk))
    assert raster.pixels.tobytes() == ROWS
    assert messages == [f"image: {text} is left out, and the colours are taken as they are"]


def test_an_image_that_is_loaded_is_followed_by_its_file(tmp_path: Path) -> None:
    cases = {"1.bmp": bmp(calibrated(P3_XYZ, 2.2, 2.2, 2.2)), "2.avif": with_nclx(AVIF_10, 12, 13)}
    cases["3.png"] = png_with(cicp(12, 13))
    for name, data in cases.items():
        (tmp_path / name).write_bytes(data)
        with Image.open(tmp_path / name) as image:
            image.load()
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                converted = from_pil(image, name="image")
            expected, messages = loaded(data)
            assert np.array_equal(converted.pixels, expected.pixels)
            assert [str(warning.message) for warning in caught] == messages
            (tmp_path / name).write_bytes(saved(Image.new("RGB", (9, 9))))  # another image, which says nothing of this
            assert from_pil(image).pixels.shape == converted.pixels.shape


def test_an_image_of_pillow_is_followed_too() -> None:
    image = Image.open(io.BytesIO(png(1, 1, 8, 0, b"\x37", gamma(1.0))))
    with pytest.warns(ConversionWarning, match="gAMA 1"):
        assert from_pil(image).pixels.item() == 128
    with pytest.warns(ConversionWarning, match="gAMA 1"):
        assert from_pil(image.copy()).pixels.item() == 128


@pytest.mark.parametrize("codes", [(1, 13), (1, 1), (2, 2)])
def test_avif_of_srgb_stays_as_it_is(codes: tuple[int, int]) -> None:
    data = saved(Image.fromarray(noise(16, 16, 3)), "AVIF", quality=90)
    raster, messages = loaded(with_nclx(data, *codes))
    assert np.array_equal(raster.pixels, np.asarray(Image.open(io.BytesIO(data))))
    assert messages == []


def test_avif_of_other_primaries_becomes_srgb() -> None:
    data = saved(Image.new("RGB", (16, 16), (200, 60, 60)), "AVIF", quality=100, subsampling="4:4:4")
    raster, messages = loaded(with_nclx(data, 12, 13))
    assert np.abs(raster.pixels.astype(int) - (217, 42, 52)).max() <= 3
    assert messages == ["image: the colours are converted to sRGB by nclx (Display P3 primaries)"]


def test_avif_keeps_its_profile_and_needs_no_nclx() -> None:
    data = saved(Image.fromarray(noise(16, 16, 3)), "AVIF", icc_profile=SRGB)
    raster, messages = loaded(with_nclx(data, 9, 16) if b"nclx" in data else data)
    assert (raster.metadata.icc, messages) == (SRGB, [])


def test_hdr_and_depth_of_avif_are_named() -> None:
    raster, messages = loaded(AVIF_10)
    assert raster.pixels.shape == (8, 8, 3)
    assert messages == ["image: 10-bit samples are reduced to 8 bits"]
    _, messages = loaded(with_nclx(AVIF_10, 9, 16))
    assert messages == [
        "image: nclx (BT.2020 primaries, PQ (HDR)) is left out, and the colours are taken as they are",
        "image: 10-bit samples are reduced to 8 bits",
    ]


def test_depth_without_pixi_is_that_of_the_codec() -> None:
    data = AVIF_10.replace(b"pixi", b"free")
    assert loaded(data)[1] == ["image: 10-bit samples are reduced to 8 bits"]


def test_gain_map_of_avif_is_named() -> None:
    entry = b"\2\0\0\0\0\2\0\0tmap\0"
    kinds = b"\0\0\0\0\0\1" + struct.pack(">I", len(entry) + 8) + b"infe" + entry
    inner = struct.pack(">I", len(kinds) + 8) + b"iinf" + kinds
    meta = struct.pack(">I", len(inner) + 12) + b"meta" + bytes(4) + inner
    assert heif_signals(io.BytesIO(meta)).gain_map
    assert not heif_signals(io.BytesIO(AVIF_10)).gain_map


@pytest.mark.parametrize("size", range(12, len(AVIF_10), 7))
def test_damaged_boxes_say_nothing(size: int) -> None:
    image = Image.new("RGB", (8, 8))
    image.format, image.fp = "AVIF", io.BytesIO(AVIF_10[:size] + b"\xff" * 40)  # type: ignore[attr-defined]
    file_signals(image)
    assert image.fp.tell() == 0  # type: ignore[attr-defined]


def test_heif_of_ten_bits() -> None:
    heif = pytest.importorskip("pillow_heif")
    heif.register_heif_opener()
    stream = io.BytesIO()
    image = heif.from_bytes("RGB;16", (64, 64), np.full((64, 64, 3), 40000, np.uint16).tobytes())
    image.save(stream, quality=90, save_nclx_profile=True, color_primaries=9, transfer_characteristic=16)
    _, messages = loaded(with_nclx(stream.getvalue(), 9, 18))
    assert messages == [
        "image: nclx (BT.2020 primaries, HLG (HDR)) is left out, and the colours are taken as they are",
        "image: 10-bit samples are reduced to 8 bits",
    ]
    opened = Image.open(io.BytesIO(with_nclx(stream.getvalue(), 12, 13)))
    opened.load()  # the file is gone, but the plugin has kept its colours
    with pytest.warns(ConversionWarning, match=r"by nclx \(Display P3 primaries\)"):
        from_pil(opened)


@pytest.mark.parametrize("cut", [0, JPEG_2000_16.index(b"\xff\x4f\xff\x51")])
def test_depth_of_jpeg_2000(cut: int) -> None:
    raster, messages = loaded(JPEG_2000_16[cut:])
    assert set(raster.pixels.ravel().tolist()) == {156}
    assert messages == ["image: 16-bit samples are reduced to 8 bits"]


def test_jpeg_2000_of_8_bits_is_quiet() -> None:
    data = saved(Image.fromarray(noise(8, 8, 3)), "JPEG2000")
    assert loaded(data)[1] == []


def test_profile_and_spaces_of_jpeg_2000() -> None:
    data = saved(Image.fromarray(noise(8, 8, 3)), "JPEG2000")
    place = data.index(b"colr") - 4
    head = data.index(b"jp2h") - 4
    (old,) = struct.unpack_from(">I", data, place)
    (whole,) = struct.unpack_from(">I", data, head)

    def with_colr(content: bytes) -> bytes:
        box = struct.pack(">I", len(content) + 8) + b"colr" + content
        start = data[:head] + struct.pack(">I", whole - old + len(box)) + data[head + 4 : place]
        return start + box + data[place + old :]

    adobe = profile("RGB ", 2.2)
    raster, messages = loaded(with_colr(b"\2\0\0" + adobe))
    assert (raster.metadata.icc, messages) == (adobe, [])
    image = Image.open(io.BytesIO(with_colr(b"\2\0\0" + adobe)))
    assert from_pil(image).metadata.icc == adobe
    assert "icc_profile" not in image.info  # it is left as it was
    grey = saved(Image.new("RGB", (8, 8), (128, 128, 128)), "JPEG2000")
    data = data.replace(data[data.index(b"jp2c") - 4 :], grey[grey.index(b"jp2c") - 4 :])
    raster, messages = loaded(with_colr(b"\1\0\0" + (21).to_bytes(4)))
    assert messages == ["image: the colours are converted to sRGB by colr (ROMM RGB)"]
    assert np.abs(raster.pixels.astype(int) - 147).max() <= 1  # 255 (1.055 (128/255)^(1.8/2.4) - 0.055)
    for code_points, level in (((9, 1, 0), 128), ((12, 8, 0), 188), ((1, 13, 2), 128)):
        raster, _ = loaded(with_colr(b"\5\0\0" + struct.pack(">HHHB", *code_points, 0x80)))
        assert np.abs(raster.pixels.astype(int) - level).max() <= 1
    for content, text in (
        (b"\1\0\0" + (14).to_bytes(4), "colr (CIELab of JPEG 2000)"),
        (b"\1\0\0" + (99).to_bytes(4), "colr (colour space 99 of JPEG 2000)"),
        (b"\4\0\0" + bytes(16), "colr (method 4)"),
        (b"\5\0\0" + struct.pack(">HHHB", 9, 16, 0, 0x80), "colr (BT.2020 primaries, PQ (HDR))"),
        (b"\5\0\0" + struct.pack(">HHHB", 1, 13, 1, 0x80), "colr (colours by the matrix 1)"),
        (b"\5\0\0" + struct.pack(">HHHB", 1, 13, 0, 0), "colr (levels of a narrow range)"),
    ):
        _, messages = loaded(with_colr(content))
        assert messages == [f"image: {text} is left out, and the colours are taken as they are"]


def test_depth_of_jpeg_xl() -> None:
    pytest.importorskip("pillow_jxl")
    assert loaded(JPEG_XL_16)[1] == ["image: 16-bit samples are reduced to 8 bits"]
    assert loaded(JPEG_XL_8)[1] == []


def test_header_of_jpeg_xl() -> None:
    for data, bits in ((JPEG_XL_16, 16), (JPEG_XL_8, 8), (JPEG_XL_16[:60], 8), (b"", 8), (b"\xff\x0a", 8)):
        assert jpeg_xl_bits(io.BytesIO(data)) == bits


GAIN_MAP = xmp_with("", 'xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0"')


def test_gain_map_of_an_ultra_hdr_jpeg() -> None:
    image = Image.fromarray(noise(8, 8, 3))
    raster, messages = loaded(saved(image, "JPEG", xmp=GAIN_MAP))
    assert messages == ["image: the HDR gain map is left out"]
    assert raster.metadata.xmp is not None
    assert b"hdrgm:Version" not in raster.metadata.xmp
    assert ElementTree.fromstring(raster.metadata.xmp).tag == "{adobe:ns:meta/}xmpmeta"  # and the rest is whole


def test_gain_map_of_iso_in_a_jpeg() -> None:
    plain = saved(Image.fromarray(noise(8, 8, 3)), "JPEG")
    mark = b"urn:iso:std:iso:ts:21496:-1\0\0\0\0\0"
    data = plain[:2] + b"\xff\xe2" + (len(mark) + 2).to_bytes(2) + mark + plain[2:]
    assert loaded(data)[1] == ["image: the HDR gain map is left out"]


def test_gain_map_as_the_second_image_of_a_jpeg() -> None:
    first, second = Image.fromarray(noise(8, 8, 3)), Image.fromarray(noise(4, 4))
    apple = xmp_with("", 'xmlns:HDRGainMap="http://ns.apple.com/HDRGainMap/1.0/" HDRGainMap:HDRGainMapVersion="65536"')
    second.encoderinfo = {"xmp": apple}
    data = saved(first, "MPO", save_all=True, append_images=[second], xmp=None)
    if apple not in data:  # Pillow hands no XMP to later images: put it in, where it takes the place of the padding
        start = data.rindex(b"\xff\xd8")
        segment = b"http://ns.adobe.com/xap/1.0/\0" + apple
        data = data[: start + 2] + b"\xff\xe1" + (len(segment) + 2).to_bytes(2) + segment + data[start + 2 :]
    assert loaded(data)[1] == ["image: the HDR gain map is left out"]


def test_two_images_without_a_gain_map_are_two_frames() -> None:
    first, second = Image.fromarray(noise(8, 8, 3)), Image.fromarray(noise(8, 8, 3, seed=1))
    data = saved(first, "MPO", save_all=True, append_images=[second])
    assert loaded(data)[1] == ["image: one frame of 2 is kept"]


def test_primaries_and_curve_of_tiff() -> None:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[318] = (0.3127, 0.3290)
    tags[319] = (0.68, 0.32, 0.265, 0.69, 0.15, 0.06)
    image = Image.new("RGB", (4, 4), (200, 60, 60))
    raster, messages = loaded(saved(image, "TIFF", tiffinfo=tags))
    assert np.abs(raster.pixels.astype(int) - (217, 42, 52)).max() <= 2
    assert messages == ["image: the colours are converted to sRGB by PrimaryChromaticities"]
    raster, messages = loaded(saved(image, "TIFF", tiffinfo=tags, icc_profile=SRGB))
    assert (raster.pixels[0, 0].tolist(), messages) == ([200, 60, 60], [])
    tags[301] = tuple(range(256)) * 3
    raster, messages = loaded(saved(image, "TIFF", tiffinfo=tags))
    assert raster.pixels[0, 0].tolist() == [200, 60, 60]
    assert len(messages) == 1
    assert "TransferFunction is left out" in messages[0]


def test_tiff_without_signals_is_quiet() -> None:
    assert from_pil(reopened(Image.fromarray(noise(4, 4, 3)), "TIFF")).pixels.tobytes() == noise(4, 4, 3).tobytes()


def bmp(header: bytes, behind: bytes = b"", colour: tuple[int, int, int] = (200, 60, 60)) -> bytes:
    """A BMP of version 4 or 5. header: from the kind of colours on; behind: what follows the pixels."""
    start = struct.pack("<IiiHHIIiiII", 56 + len(header), 4, 4, 1, 24, 0, 48, 2835, 2835, 0, 0) + bytes(16) + header
    rows = bytes(colour[::-1]) * 16
    file = b"BM" + struct.pack("<IHHI", 14 + len(start) + len(rows) + len(behind), 0, 0, 14 + len(start))
    return file + start + rows + behind


def calibrated(x: tuple[float, ...], *gammas: float) -> bytes:
    """The kind of colours, primaries as X, Y, Z, and gammas, as a header of version 4 has them."""
    return struct.pack("<I9i3I", 0, *(round(v * 2**30) for v in x), *(round(v * 65536) for v in gammas))


P3_XYZ = (0.68, 0.32, 0.0, 0.265, 0.69, 0.045, 0.15, 0.06, 0.79)


def test_colours_of_bmp() -> None:
    for quiet in (
        struct.pack("<I48x", int.from_bytes(b"sRGB")),
        struct.pack("<I48x", int.from_bytes(b"Win ")),
        calibrated((0.0,) * 9, 0, 0, 0),
        calibrated((0.0,) * 9, 2.2, 2.2, 2.2),
        calibrated((0.64, 0.33, 0.03, 0.30, 0.60, 0.10, 0.15, 0.06, 0.79), 0.4545, 0.4545, 0.4545),
    ):
        raster, messages = loaded(bmp(quiet))
        assert (raster.pixels[0, 0].tolist(), messages) == ([200, 60, 60], [])
    raster, messages = loaded(bmp(calibrated(P3_XYZ, 2.2, 2.2, 2.2)))
    assert messages == ["image: the colours are converted to sRGB by calibrated colours of BMP"]
    assert np.abs(raster.pixels.astype(int) - (217, 42, 52)).max() <= 2
    raster, _ = loaded(bmp(calibrated((0.0,) * 9, 1, 1, 1), colour=(128, 128, 128)))
    assert np.abs(raster.pixels.astype(int) - 188).max() <= 1
    _, messages = loaded(bmp(calibrated(P3_XYZ, 1.8, 2.2, 2.2)))
    assert len(messages) == 1
    assert "calibrated colours of BMP (a gamma of its own for each) is left out" in messages[0]


def test_profiles_of_bmp() -> None:
    adobe = profile("RGB ", 2.2)
    place = 124 + 48  # behind the pixels, counted from the header

    def header(kind: bytes, size: int) -> bytes:
        return struct.pack("<I48x", int.from_bytes(kind)) + struct.pack("<IIII", 4, place, size, 0)

    raster, messages = loaded(bmp(header(b"MBED", len(adobe)), adobe))
    assert (raster.metadata.icc, raster.pixels[0, 0].tolist(), messages) == (adobe, [200, 60, 60], [])
    assert loaded(bmp(header(b"MBED", 0)))[0].metadata.icc is None
    for kind, size, text in (
        (b"LINK", 12, "an ICC profile outside"),
        (b"MBED", 1 << 25, "an ICC profile of more than"),
    ):
        _, messages = loaded(bmp(header(kind, size), b"profile.icc\0"))
        assert len(messages) == 1
        assert text in messages[0]


def exif_of(space: int | None, index: str | None, order: str = "<") -> bytes:
    exif = Image.Exif()
    exif.endian = order
    own = exif.get_ifd(ExifTags.IFD.Exif)
    own[ExifTags.Base.ExifVersion] = b"0232"
    if space is not None:
        own[ExifTags.Base.ColorSpace] = space
    if index is not None:
        own[ExifTags.IFD.Interop] = {1: index}
    exif[ExifTags.IFD.Exif] = dict(own)
    return exif.tobytes()


def colours_in(exif: bytes | None) -> tuple[object, object]:
    read = Image.Exif()
    read.load(exif or b"")
    own = read.get_ifd(ExifTags.IFD.Exif)
    return own.get(ExifTags.Base.ColorSpace), read.get_ifd(ExifTags.IFD.Interop).get(1)


@pytest.mark.parametrize("form", ["png", "tiff", "webp"])
@pytest.mark.parametrize(("space", "index"), [(2, None), (0xFFFF, "R03"), (None, "R03")])
def test_adobe_rgb_by_exif_becomes_srgb(form: str, space: int | None, index: str | None) -> None:
    xmp = xmp_with("<exif:ColorSpace>65535</exif:ColorSpace>", 'xmlns:exif="http://ns.adobe.com/exif/1.0/"')
    image = Image.new("RGB", (4, 4), (60, 200, 60))
    image.info.update(exif=exif_of(space, index, ">" if form == "webp" else "<"), xmp=xmp)
    raster, messages = loaded(to_bytes(image, form))
    assert messages == ["image: the colours are converted to sRGB by EXIF (Adobe RGB)"]
    assert np.abs(raster.pixels.astype(int) - (0, 201, 37)).max() <= 2
    # Its metadata do not say Adobe RGB any more: it would be converted once more wherever it goes.
    assert colours_in(raster.metadata.exif) == (space and 1, index and "R98")
    assert b"<exif:ColorSpace>1</exif:ColorSpace>" in (raster.metadata.xmp or b"")
    again = from_pil(Image.fromarray(raster.pixels), info=pil_info(raster.metadata))
    assert np.array_equal(again.pixels, raster.pixels)


@pytest.mark.parametrize(("space", "index"), [(1, "R03"), (1, "R98"), (0xFFFF, "R98"), (0xFFFF, None), (None, None)])
def test_other_colours_of_exif_stay(space: int | None, index: str | None) -> None:
    raster, messages = loaded(saved(Image.fromarray(noise(4, 4, 3)), exif=exif_of(space, index)))
    assert (raster.pixels.tolist(), messages) == (noise(4, 4, 3).tolist(), [])
    assert colours_in(raster.metadata.exif) == (space, index)


def test_what_a_file_says_of_its_colours_precedes_exif() -> None:
    adobe = exif_of(0xFFFF, "R03")
    raster, messages = loaded(saved(Image.fromarray(noise(4, 4, 3)), exif=adobe, icc_profile=SRGB))
    assert (raster.pixels.tolist(), messages, colours_in(raster.metadata.exif)) == (
        noise(4, 4, 3).tolist(),
        [],
        (0xFFFF, "R03"),
    )
    for chunk in ((b"sRGB", b"\0"), gamma(0.45455)):
        raster, messages = loaded(png_with(chunk, (b"eXIf", adobe.removeprefix(b"Exif\0\0"))))
        assert (raster.pixels.tobytes(), messages) == (ROWS, [])
        assert colours_in(raster.metadata.exif) == (1, "R98")  # there is no profile that would say it
