"""Butteraugli, by its program and by one in its place."""

from __future__ import annotations

import io
import stat
import sys
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from PIL import Image

from support.metrics import image_metric, photo
from tacit.errors import InvalidInput, MissingExtra
from tacit.evaluation.metrics import ImageMetric, load_metric


def test_butteraugli_is_what_the_program_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "fake"
    program.write_text(
        f"#!{sys.executable}\n"
        "import sys\n"
        "a, b = (open(p, 'rb').read() for p in sys.argv[1:3])\n"
        "assert a.startswith(b'P6') and sys.argv[3:] == ['--intensity_target', '80']\n"
        "if a[-1] == 7: sys.exit('cannot do this one')\n"
        "print('some note', file=sys.stderr)\n"
        "print('%.4f\\n3-norm: %.4f' % (a != b and 2.5, a != b and 0.5))\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    largest = image_metric_by(program, "max")
    image = photo(16, 16)
    image[-1, -1, -1] = 9
    assert largest(image, 255 - image) == 2.5
    assert image_metric_by(program, "3")(image, 255 - image) == 0.5
    assert largest(image, image) == 0
    image[-1, -1, -1] = 7
    with pytest.raises(InvalidInput, match="butteraugli_main failed: cannot do this one"):
        largest(image, image)
    with pytest.raises(MissingExtra, match="libjxl-devtools"):
        load_metric("butteraugli", program="no-such-program")
    with pytest.raises(InvalidInput, match="norm must be max or 3, got '2'"):
        load_metric("butteraugli", norm="2")


def test_butteraugli_is_near_the_distance_that_jpeg_xl_aims_at() -> None:
    pytest.importorskip("pillow_jxl")
    largest, mean = image_metric("butteraugli"), image_metric("butteraugli-3norm")
    assert "80 nits" in largest.protocol
    image = photo(256, 256)
    for quality, distance in ((95, 0.55), (80, 1.9), (68, 2.98)):  # as libjxl maps one to the other
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, "JXL", quality=quality)
        decoded = np.asarray(Image.open(stream).convert("RGB"))
        found = largest(image, decoded)
        assert distance / 2 < found < 2 * distance
        assert mean(image, decoded) < 0.8 * found


def image_metric_by(program: Path, norm: str) -> ImageMetric:
    return cast(ImageMetric, load_metric("butteraugli", norm=norm, program=str(program)))
