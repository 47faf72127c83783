"""The conversion of single files, with a fake codec."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest
from PIL import Image

from support.fake_codec import FakeCodec
from tacit.captions import CaptionMap
from tacit.codec import Codec, EncodeOptions
from tacit.conversion import FileDecoder, FileEncoder
from tacit.errors import InvalidInput, PathError
from tacit.files import Task


@pytest.fixture
def fake() -> FakeCodec:
    codec = type("Codec", (FakeCodec,), {"made": [], "calls": [], "before": staticmethod(lambda: None)})
    return cast(FakeCodec, codec())


def test_an_image_goes_there_and_back(fake: FakeCodec, tmp_path: Path) -> None:
    source, file, restored = (str(tmp_path / name) for name in ("a.png", "a.tacit", "b.webp"))
    Image.new("RGB", (6, 4), 77).save(source)
    (tmp_path / "captions.json").write_text('{"a.png": "a grey wall"}')
    encoder = FileEncoder(
        codec=cast(Codec, fake),
        options=EncodeOptions(quality=30),
        caption_map=CaptionMap.load(tmp_path / "captions.json"),
    )
    record = encoder(Task(source, file))
    assert {name: record[name] for name in ("width", "height", "quality", "caption", "caption_from")} == {
        "width": 6, "height": 4, "quality": 30, "caption": "a grey wall", "caption_from": "map",
    }  # fmt: skip
    assert record["bytes"] == Path(file).stat().st_size
    decoder = FileDecoder(codec=cast(Codec, fake), format="webp", box=(1, 1, 4, 3))
    assert decoder(Task(file, restored))["width"] == 3
    with Image.open(restored) as image:
        assert (image.format, image.size) == ("WEBP", (3, 2))
    with pytest.raises(PathError, match="exists already"):
        encoder(Task(source, file))


def test_an_image_without_captions_is_encoded_without_one(fake: FakeCodec, tmp_path: Path) -> None:
    source = tmp_path / "a.png"
    Image.new("RGB", (6, 4), 77).save(source)
    source.with_suffix(".txt").write_text("a grey wall")
    encoder = FileEncoder(codec=cast(Codec, fake), options=EncodeOptions(), use_captions=False)
    assert encoder(Task(str(source), str(tmp_path / "a.tacit")))["caption"] is None


def test_what_is_no_image_is_invalid_input(fake: FakeCodec, tmp_path: Path) -> None:
    source = tmp_path / "a.png"
    source.write_bytes(b"no image at all")
    encoder = FileEncoder(codec=cast(Codec, fake), options=EncodeOptions())
    with pytest.raises(InvalidInput):
        encoder(Task(str(source), str(tmp_path / "a.tacit")))
    assert not (tmp_path / "a.tacit").exists()


def test_decoding_imports_nothing_that_it_does_not_need() -> None:
    script = (
        "import sys; from tacit.conversion import FileDecoder; from tacit.image.export import to_bytes\n"
        "from tacit.codec import Codec\n"
        "found = {'torch', 'tacit.captions', 'urllib.request', 'http.client'} & sys.modules.keys()\n"
        "assert not found, found"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
