"""The decoder for WebDataset pipelines."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tacit.data
from support.shards import write_tar
from tacit.codec import Codec
from tacit.data.webdataset_decoder import KINDS
from tacit.errors import CorruptFile, ImageTooLarge, InvalidInput

webdataset = pytest.importorskip("webdataset")


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("name", ["grey", "alpha"])
def test_the_decoder_gives_what_webdatasets_own_gives_of_a_png(encoded: dict[str, bytes], kind: str, name: str) -> None:
    png = io.BytesIO()
    Codec(threads=1).decode(encoded[name]).save(png, "PNG")
    expected = webdataset.autodecode.imagehandler(kind)(".png", png.getvalue())
    found = tacit.data.decoder(kind)("photo.TACIT", encoded[name])
    assert type(found) is type(expected) or isinstance(found, Image.Image)
    if isinstance(expected, Image.Image):
        assert found.mode == expected.mode
    else:
        assert found.dtype == expected.dtype
    assert np.array_equal(np.asarray(found), np.asarray(expected))


def test_all_of_webdatasets_kinds_are_there() -> None:
    assert set(KINDS) == set(webdataset.autodecode.imagespecs)
    with pytest.raises(InvalidInput, match=r"kind must be one of l8, .*, got 'rgb9'"):
        tacit.data.decoder("rgb9")


@pytest.mark.usefixtures("leaves_files_open")
def test_the_decoder_in_a_pipeline_with_others(tmp_path: Path, encoded: dict[str, bytes]) -> None:
    png = io.BytesIO()
    Image.new("RGB", (8, 9), (1, 2, 3)).save(png, "PNG")
    members = {"a.tacit": encoded["low"], "a.txt": b"first", "b.png": png.getvalue(), "b.cls": b"5"}
    shard = write_tar(tmp_path / "a.tar", members)
    handler = pickle.loads(pickle.dumps(tacit.data.decoder("rgb8")))
    first, second = webdataset.WebDataset(str(shard), shardshuffle=False).decode(handler, "rgb8")
    assert first["tacit"].shape == (130, 150, 3)
    assert first["txt"] == "first"
    assert second["png"].tolist() == np.broadcast_to([1, 2, 3], (9, 8, 3)).tolist()
    assert second["cls"] == 5
    assert handler(".tacit.json", b"{}") is None


@pytest.mark.usefixtures("leaves_files_open")
def test_a_bad_file_in_a_pipeline_is_raised_or_left_out(tmp_path: Path, encoded: dict[str, bytes]) -> None:
    bad = encoded["low"][:-1] + b"!"
    shard = write_tar(tmp_path / "a.tar", {"a.tacit": bad, "b.tacit": encoded["low"]})
    rows = webdataset.WebDataset(str(shard), shardshuffle=False)
    with pytest.raises(webdataset.autodecode.DecodingError) as raised:
        list(rows.decode(tacit.data.decoder()))
    assert isinstance(raised.value.__cause__ or raised.value.__context__, CorruptFile)
    rest = rows.decode(tacit.data.decoder("pil"), handler=webdataset.handlers.ignore_and_continue)
    assert [row["__key__"] for row in rest] == ["b"]
    with pytest.raises(ImageTooLarge, match="at most 100 pixels"):
        tacit.data.decoder(max_pixels=100)(".tacit", encoded["low"])
