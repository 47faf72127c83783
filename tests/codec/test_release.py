"""Large images: what one step of the work keeps for its next time is given back before the next step."""

from __future__ import annotations

import numpy as np
import pytest

from support.pictures import synthetic
from tacit.codec import Codec, decoding, encoding, synthesis


@pytest.mark.parametrize("large", [True, False])
def test_large_images_give_back_what_sessions_keep(codec: Codec, monkeypatch: pytest.MonkeyPatch, large: bool) -> None:
    released: list[str] = []
    model = codec._model(codec.path)
    monkeypatch.setattr(type(model), "release", lambda _: released.append("once"))
    image = synthetic(80, 48)
    data = codec.encode(image)
    expected = np.asarray(codec.decode(data))
    assert not released
    for module in (encoding, decoding, synthesis):
        monkeypatch.setattr(module, "LARGE", 80 * 48 - 1 if large else 80 * 48)
    assert codec.encode(image) == data
    assert released == ["once"] * large
    assert np.array_equal(np.asarray(codec.decode(data)), expected)
    assert released == ["once"] * 3 * large
