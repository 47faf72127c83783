"""Progressive files: their beginning gives the whole image, and more bytes make it finer."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageFile

import tacit.pillow  # noqa: F401
from support.codec_files import THREE, levels
from support.pictures import synthetic
from tacit import container
from tacit.codec import Codec, DamageWarning
from tacit.errors import CorruptFile
from tacit.image.psnr import psnr


@pytest.fixture(scope="module")
def files(shipped_codec: Codec) -> dict[str, bytes]:
    """The same image of two regions, progressive with several scans, and not."""
    image = synthetic(1100, 96)
    plain, progressive = (
        shipped_codec.encode(image, quality=60, progressive=progressive) for progressive in (False, True)
    )
    file = container.read(progressive)
    header, regions = replace(file.header, scans=12), [region or b"" for region in file.regions]
    return {"plain": plain, "progressive": container.write(header, file.metadata, None, regions)}


def at(data: bytes, share: float) -> bytes:
    front = container.front_size(data)
    assert front is not None
    return data[: front + round(share * (len(data) - front))]


def test_both_layouts_hold_the_same_image(shipped_codec: Codec, files: dict[str, bytes]) -> None:
    one, other = (shipped_codec.latents(files[name]) for name in ("plain", "progressive"))
    assert np.array_equal(one, other)
    assert one.any()
    assert container.read(files["plain"]).header.version == 1
    assert container.read(files["progressive"]).header.version == 3
    box = (700, 10, 900, 90)
    whole = levels(shipped_codec.decode(files["plain"]))[10:90, 700:900]
    assert np.abs(levels(shipped_codec.decode(files["progressive"], box=box)) - whole).max() <= 1


def test_more_bytes_give_a_finer_image_everywhere(shipped_codec: Codec, files: dict[str, bytes]) -> None:
    data = files["progressive"]
    image = np.asarray(synthetic(1100, 96))
    found = [np.asarray(shipped_codec.decode(at(data, share), partial=True)) for share in (0.02, 0.15, 0.4, 0.75, 1)]
    for columns in (slice(0, 512), slice(640, 1100)):  # of either region
        fidelities = [psnr(one[:, columns], image[:, columns]) for one in found]
        assert fidelities == sorted(fidelities)
        assert fidelities[-1] - fidelities[1] > 3
        assert fidelities[1] - fidelities[0] > 1
    assert np.array_equal(found[-1], np.asarray(shipped_codec.decode(data)))


def test_the_beginning_of_another_file_gives_its_first_regions(shipped_codec: Codec, files: dict[str, bytes]) -> None:
    whole = shipped_codec.latents(files["plain"])
    part = shipped_codec.latents(at(files["plain"], 0.6), partial=True)
    assert np.array_equal(part[:, :, :36], whole[:, :, :36])
    assert not np.array_equal(part[:, :, 36:], whole[:, :, 36:])


def test_a_cut_file_is_an_error_unless_asked_for(shipped_codec: Codec, files: dict[str, bytes]) -> None:
    for data in files.values():
        with pytest.raises(CorruptFile):
            shipped_codec.decode(data[:-1])
        with pytest.raises(CorruptFile):
            shipped_codec.decode(at(data, 0), partial=True)
        with pytest.raises(CorruptFile):
            shipped_codec.decode(data + b"\0", partial=True)
        damaged = bytearray(at(data, 0.5))
        damaged[container.front_size(data) or 0] ^= 1
        with pytest.raises(CorruptFile):
            shipped_codec.decode(damaged, partial=True)


def test_both_engines_see_the_same_beginning(tiny_weights: object, files: dict[str, bytes]) -> None:
    one, other = Codec(engine="onnx"), Codec(engine="torch", precision="fp32")
    for share in (0.03, 0.3, 0.8):
        data = at(files["progressive"], share)
        assert np.array_equal(one.latents(data, partial=True), other.latents(data, partial=True))


def test_whatever_follows_what_is_verified_decodes(shipped_codec: Codec, files: dict[str, bytes]) -> None:
    rng = np.random.default_rng(0)
    file = container.read(files["progressive"])
    header = replace(file.header, width=640, scans=1)
    for length in (0, 4, 100, 201, 400):
        forged = container.write(header, file.metadata, None, [(file.regions[0] or b"")[:length] + rng.bytes(160)])
        with pytest.raises(CorruptFile):
            shipped_codec.latents(forged)
        assert shipped_codec.latents(forged[:-5], partial=True).shape == (320, 6, 40)


def test_an_image_of_many_regions_gets_scans(codec: Codec) -> None:
    image = synthetic(*THREE)
    plain, progressive = (codec.encode(image, quality=100, progressive=p) for p in (False, True))
    scans = container.read(progressive).header.scans
    assert scans is not None
    assert scans > 1
    assert len(progressive) <= 1.006 * len(plain)
    assert np.array_equal(codec.latents(plain), codec.latents(progressive))


def test_pillow_loads_what_there_is_of_a_cut_file(
    files: dict[str, bytes], shipped_codec: Codec, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = at(files["progressive"], 0.5)
    with pytest.raises(OSError, match="cannot decode"):
        Image.open(io.BytesIO(cut)).load()
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.warns(DamageWarning, match="the file ends"):
        found = levels(Image.open(io.BytesIO(cut)))
    assert np.array_equal(found, levels(shipped_codec.decode(cut, partial=True)))
