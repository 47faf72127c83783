"""Images in files of their own: folders, lists and COCO."""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from support.image_files import noise, png
from support.pictures import synthetic
from support.training import (
    load_state,
    log_rows,
)
from tacit.errors import InvalidInput
from tacit.image import load
from tacit.training.config import Config
from tacit.training.dataset.image_files import BadImage, decode_image, read_coco, read_folder, read_list
from tacit.training.run import train


def test_a_folder(image_folder: Path) -> None:
    found = read_folder(image_folder)
    assert [p.name for p in found.paths] == ["0.jpg", "1.jpg", "2.jpg", "cut.jpg", "empty.jpg", "narrow.png"]
    assert found.captions[0] == ("a boat",)
    assert not any(found.captions[1:])


@pytest.mark.slow
def test_a_run_on_a_folder_passes_bad_images_over(
    image_folder: Path, make_config: Callable[..., Config], caplog: pytest.LogCaptureFixture
) -> None:
    config = make_config("data.kind=folder", f"data.path={image_folder}", "run.steps=6")
    state = load_state(train(config))
    assert state["tacit"]["bad"] >= 6  # two epochs
    for name in ("cut.jpg", "empty.jpg", "narrow.png"):
        assert f"{name} is left out" in caplog.text
    assert log_rows(Path(config.run.out))[-1]["bad_images"] == str(state["tacit"]["bad"])


def test_a_sidecar_that_cannot_be_a_caption_is_passed_over(
    image_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (image_folder / "0.txt").write_bytes(b"a \xff boat")
    assert read_folder(image_folder).captions[0] == ()
    assert "0.txt: not UTF-8 (at byte 2); the image is used without a caption" in caplog.text


def test_photos_lie_as_their_cameras_say(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(synthetic(80, 64)).save(tmp_path / "a.jpg", exif=exif)
    assert decode_image(tmp_path / "a.jpg").shape == (80, 64, 3)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("kind", ["avif", "gif", "jpeg", "png", "tiff", "webp"])
def test_damaged_images_of_every_kind_are_bad_images(kind: str) -> None:
    stream = io.BytesIO()
    Image.fromarray(synthetic(40, 50)).save(stream, kind)
    whole = stream.getvalue()
    rng = np.random.default_rng(0)
    bad = 0
    for number in range(60):
        data = bytearray(whole)
        if number % 2:
            data = data[: int(rng.integers(len(data)))]
        else:
            data[int(rng.integers(min(len(data), 300)))] ^= int(rng.integers(1, 256))
        try:
            decode_image(io.BytesIO(data))
        except BadImage:
            bad += 1
    assert bad > 10


@pytest.mark.filterwarnings("ignore::tacit.image.ConversionWarning")
def test_images_are_read_as_the_encoder_reads_them() -> None:
    text = b"workflow\0\0" + zlib.compress(bytes(2 << 20))  # more than Pillow opens
    files = [
        png(4, 3, 8, 2, noise(3, 4, 3).tobytes(), (b"gAMA", (100000).to_bytes(4)), (b"zTXt", text)),
        png(4, 3, 16, 0, noise(3, 8).tobytes()),
        png(4, 3, 8, 6, noise(3, 4, 4).tobytes()),
    ]
    for file in files:
        pixels = decode_image(io.BytesIO(file))
        assert pixels.dtype == np.uint8
        assert np.array_equal(pixels, np.broadcast_to(load(file).pixels, (3, 4, 3)))


def test_lists(image_folder: Path, tmp_path: Path) -> None:
    rows = [
        {"file": "0.jpg", "captions": ["one", "two"]},
        {"file": "below/1.jpg", "caption": "three"},
        {"file": "x.jpg"},
        {"file": "y.jpg", "captions": "four five"},
    ]
    path = image_folder / "list.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    found = read_list(path)
    assert found.captions == (("one", "two"), ("three",), (), ("four five",))
    assert found.paths[1] == image_folder / "below" / "1.jpg"
    (tmp_path / "list.jsonl").write_text(path.read_text())
    assert read_list(tmp_path / "list.jsonl", image_folder).paths == found.paths
    path.write_text('{"file": "a.jpg"}\n{"name": 3}\n')
    with pytest.raises(InvalidInput, match="line 2"):
        read_list(path)


def test_coco(image_folder: Path, tmp_path: Path, make_config: Callable[..., Config]) -> None:
    about = {
        "images": [{"id": 9, "file_name": "0.jpg"}, {"id": 4, "file_name": "below/1.jpg"}],
        "annotations": [
            {"image_id": 9, "caption": "a boat "},
            {"image_id": 4, "caption": "a road"},
            {"image_id": 9, "caption": "the sea"},
        ],
    }
    path = tmp_path / "captions.json"
    path.write_text(json.dumps(about))
    found = read_coco(image_folder, path)
    assert [p.name for p in found.paths] == ["1.jpg", "0.jpg"]
    assert found.captions == (("a road",), ("a boat", "the sea"))
    train(make_config("data.kind=coco", f"data.path={image_folder}", f"data.captions={path}", "run.steps=1"))
    for text in ("[]", "{", '{"images": [], "annotations": []}', '{"images": [{"id": 1}], "annotations": []}'):
        path.write_text(text)
        with pytest.raises(InvalidInput):
            read_coco(image_folder, path)
