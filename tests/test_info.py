"""What a file says of itself, without torch and without its pixels."""

from __future__ import annotations

import dataclasses
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tacit
from support.pictures import synthetic
from tacit import container
from tacit.codec import Codec
from tacit.errors import CorruptFile, InvalidInput, PathError, UnsupportedFile


@pytest.fixture(scope="module")
def picture_file(codec: Codec) -> bytes:
    """Two regions, alpha, a caption and XMP."""
    image = Image.fromarray(synthetic(1100, 30)).convert("RGBA")
    image.putalpha(Image.fromarray(np.arange(30 * 1100, dtype=np.uint16).astype(np.uint8).reshape(30, 1100)))
    image.info["xmp"] = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'
    return codec.encode(image, "ein Hund 🐶", 33.334, store_caption=True)


def test_it_says_what_is_there(codec: Codec, picture_file: bytes) -> None:
    file = container.read(picture_file)
    assert file.alpha is not None
    about = tacit.info(picture_file)
    assert dataclasses.asdict(about) == {
        "format_version": 3,
        "width": 1100,
        "height": 30,
        "mode": "RGBA",
        "quality": 33.33,
        "model": None,
        "architecture": "tacit-s",
        "weights_hash": file.header.weights_hash.hex(),
        "bytes": len(picture_file),
        "bpp": 8 * len(picture_file) / (1100 * 30),
        "regions": 2,
        "progressive": True,
        "caption": "ein Hund 🐶",
        "quality_map_bytes": container.read_header(picture_file)[2]["quality map"],
        "alpha_bytes": len(file.alpha) + 7,  # type, length of two bytes, checksum
        "icc_bytes": 0,
        "exif_bytes": 0,
        "xmp_bytes": 1 + 37 + 6,
    }


@pytest.mark.parametrize(("mode", "kept"), [("L", "L"), ("LA", "LA"), ("RGB", "RGB"), ("CMYK", "RGB")])
@pytest.mark.filterwarnings("ignore::tacit.image.ConversionWarning")
def test_the_mode_is_pillows(codec: Codec, mode: str, kept: str) -> None:
    image = Image.fromarray(synthetic(8, 8)).convert(mode)
    data = codec.encode(image)
    about = tacit.info(data)
    assert (about.mode, about.caption, about.regions, about.bytes) == (kept, None, 1, len(data))
    assert about.mode == codec.decode(data).mode


def test_every_kind_of_source(picture_file: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.tacit"
    path.write_bytes(picture_file)
    expected = tacit.info(picture_file)
    with path.open("rb") as stream:
        for source in (bytearray(picture_file), memoryview(picture_file), path, str(path), stream):
            assert tacit.info(source) == expected
    later = io.BytesIO(b"before" + picture_file)
    later.seek(6)
    assert tacit.info(later) == expected
    assert later.tell() < len(picture_file) / 2  # no pixels are read


def test_the_weights_are_named(codec: Codec, picture_file: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TACIT_WEIGHTS", str(codec.path.parent))
    assert tacit.info(picture_file).model == "tiny"


def test_damaged_weights_in_the_folder_are_not_the_files_fault(
    picture_file: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"rubbish")
    (tmp_path / "b.safetensors").mkdir()
    monkeypatch.setenv("TACIT_WEIGHTS", str(tmp_path))
    assert tacit.info(picture_file).model is None


def test_bad_input(picture_file: bytes, tmp_path: Path) -> None:
    for length in range(60):
        with pytest.raises((CorruptFile, UnsupportedFile)):
            tacit.info(picture_file[:length])
    with pytest.raises(UnsupportedFile, match=r"not a \.tacit file"):
        tacit.info(b"GIF89a" + bytes(100))
    for path in (tmp_path, tmp_path / "none", "a\0b"):
        with pytest.raises(PathError):
            tacit.info(path)
    closed = io.BytesIO(b"")
    closed.close()
    with pytest.raises(PathError):
        tacit.info(closed)
    with (tmp_path / "out").open("wb") as unreadable, pytest.raises(PathError):
        tacit.info(unreadable)
    (tmp_path / "out").write_text("text")
    with (tmp_path / "out").open() as not_binary, pytest.raises(InvalidInput):
        tacit.info(not_binary)  # type: ignore[arg-type]
    for nothing in (None, 5, [b""]):
        with pytest.raises(InvalidInput):
            tacit.info(nothing)  # type: ignore[arg-type]


def test_it_needs_neither_torch_nor_numpy(picture_file: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.tacit").write_bytes(picture_file)
    script = (
        f"import sys, tacit; assert tacit.info({str(tmp_path / 'a.tacit')!r}).width == 1100; tacit.available_models()\n"
        "heavy = {'torch', 'numpy', 'PIL', 'safetensors', 'constriction', 'tokenizers'}\n"
        "assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_the_sizes_are_those_of_the_chunks_of_the_table() -> None:
    sizes = {f"{kind.name.replace(' ', '_')}_bytes" for kind in container.CHUNKS.values()}
    shown = {field.name for field in dataclasses.fields(tacit.FileInfo) if field.name.endswith("_bytes")}
    assert sizes - shown == {"header_bytes", "index_bytes", "caption_bytes", "regions_bytes"}
    assert shown <= sizes
