"""tacit's models as codecs under measurement."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from support.pictures import synthetic
from tacit.codec import Codec
from tacit.errors import InvalidInput
from tacit.evaluation.codecs import find_codec
from tacit.evaluation.codecs.tacit import TacitCodec
from tacit.image.psnr import psnr


def test_a_model_is_found_with_and_without_captions(tiny_weights: Path, tmp_path: Path) -> None:
    plain, own, swapped = (
        find_codec(f"{tiny_weights}{end}", precision="fp32") for end in ("", "+captions", "+swapped")
    )
    assert [c.name for c in (plain, own, swapped)] == ["tiny", "tiny+captions", "tiny+swapped"]
    assert [c.captions for c in (plain, own, swapped)] == ["none", "own", "swapped"]
    pixels = synthetic(96, 80)
    files = []
    for caption in (None, "a red boat on a lake"):
        own.encode(pixels, caption, 60.0, tmp_path / "x.tacit", 1)
        files.append((tmp_path / "x.tacit").read_bytes())
    assert files[0] != files[1]  # the caption reaches the encoder
    decoded, _ = own.decode(tmp_path / "x.tacit", 60.0, 1)
    assert psnr(pixels, decoded) > 20
    settings = plain.settings()
    assert settings["weights"]["all"]["file"] == "tiny.safetensors"
    assert settings["precision"] == "fp32"
    with pytest.raises(InvalidInput, match="0 to 100"):
        plain.check(101)


@pytest.mark.slow
def test_how_far_captions_steer_is_part_of_a_codec(tiny_weights: Path, tmp_path: Path) -> None:
    """Also of its settings: results with another strength are others."""
    ends = ("", "+captions", "+captions+steer0", "+steer40", "+swapped+weighted+steer12.5")
    codecs = [find_codec(f"{tiny_weights}{end}", precision="fp32") for end in ends]
    assert [c.name for c in codecs] == [f"tiny{end}" for end in ends]
    assert [c.captions for c in codecs] == ["none", "own", "own", "own", "swapped"]
    assert [c.settings().get("steer") for c in codecs] == [None, Codec().steer, None, 40, 12.5]
    assert len({str(c.settings()) for c in codecs}) == 5
    pixels = synthetic(160, 130)
    for steer, codec in ((0, codecs[2]), (40, codecs[3])):
        codec.encode(pixels, "a red boat on a lake", 60.0, tmp_path / "x.tacit", 1)
        wanted = Codec(tiny_weights, precision="fp32", steer=steer).encode(pixels, "a red boat on a lake", 60.0)
        assert (tmp_path / "x.tacit").read_bytes() == wanted
    with pytest.raises(InvalidInput, match="0 to 100"):
        find_codec(f"{tiny_weights}+steer101")


def test_the_unclamped_picture_is_the_decoded_one_before_rounding(tiny_weights: Path, tmp_path: Path) -> None:
    codec = find_codec(str(tiny_weights), precision="fp32")
    assert isinstance(codec, TacitCodec)
    pixels = np.where(synthetic(90, 70) > 128, 255, 0).astype(np.uint8)  # overshoots
    codec.encode(pixels, None, 30.0, tmp_path / "x.tacit", 1)
    floats = codec.decode_unclamped(tmp_path / "x.tacit", 30.0, 1)
    decoded, _ = codec.decode(tmp_path / "x.tacit", 30.0, 1)
    assert floats.shape == pixels.shape
    assert floats.min() < 0
    assert floats.max() > 1
    np.testing.assert_allclose(np.rint(floats.clip(0, 1) * 255), decoded, atol=1)


def test_weights_of_fixed_rate_in_a_folder_make_one_curve(
    tiny_taco_fixed_weights: Path, tiny_weights: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "published"
    folder.mkdir()
    for name in ("high", "low"):
        (folder / f"{name}.safetensors").write_bytes(tiny_taco_fixed_weights.read_bytes())
    codec = find_codec(f"{folder}+captions")
    assert codec.name == "published+captions"
    assert codec.qualities == ("high", "low")
    assert codec.check("low") == "low"
    with pytest.raises(InvalidInput, match="must be one of high, low"):
        codec.check(50)
    codec.encode(synthetic(64, 64), "a boat", "low", tmp_path / "x.tacit", 1)
    assert codec.decode(tmp_path / "x.tacit", "low", 1)[0].shape == (64, 64, 3)

    (folder / "variable.safetensors").write_bytes(tiny_weights.read_bytes())
    with pytest.raises(InvalidInput, match="fixed rate"):
        find_codec(str(folder))
    with pytest.raises(InvalidInput, match="no weights files"):
        find_codec(str(tmp_path))
