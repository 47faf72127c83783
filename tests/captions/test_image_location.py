"""Images in files and shards."""

from __future__ import annotations

from pathlib import Path

import pytest

from tacit.captions import find_images
from tacit.errors import PathError

pytest.importorskip("httpx", reason="the extra tacit[caption] is not installed")

from support.caption_files import png, shard


def test_pictures_that_vanish_or_shrink(tmp_path: Path) -> None:
    path = shard(tmp_path / "0.tar", {"0.png": png((1, 2, 3))})
    (picture,) = find_images([str(path)])
    assert picture.read() == png((1, 2, 3))
    path.write_bytes(path.read_bytes()[:550])
    with pytest.raises(PathError, match="the shard ends after 38 of"):
        picture.read()
    path.unlink()
    with pytest.raises(PathError, match="cannot be read"):
        picture.read()
