"""SSIMULACRA 2 against published values."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from support.metrics import image_metric, photo
from support.paths import DATA


def test_ssimulacra2_of_equal_and_of_opposite_images() -> None:
    metric = image_metric("ssimulacra2")
    image = photo()
    assert metric(image, image) == pytest.approx(100)
    assert metric(image, 255 - image) < 0


# What its author says libjpeg-turbo gives on average: quality, chroma subsampling (2: 4:2:0), score.
@pytest.mark.slow
@pytest.mark.parametrize(("quality", "subsampling", "score"), [(20, 2, 30), (35, 2, 50), (70, 2, 70), (95, 0, 90)])
def test_ssimulacra2_of_jpeg_files_as_published(quality: int, subsampling: int, score: float) -> None:
    values = []
    for name in ("kodim01", "kodim08", "kodim23"):
        path = DATA / "kodak" / f"{name}.png"
        if not path.is_file():
            pytest.skip("Kodak is not here")
        image = Image.open(path).convert("RGB").crop((0, 0, 512, 512))
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=quality, subsampling=subsampling)
        values.append(image_metric("ssimulacra2")(np.asarray(image), np.asarray(Image.open(stream))))
    assert np.mean(values) == pytest.approx(score, abs=6)
