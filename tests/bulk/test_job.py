"""Settings of runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tacit.bulk import BulkJob
from tacit.codec.options import EncodeOptions
from tacit.errors import InvalidInput


@pytest.mark.parametrize(
    "options",
    [
        {"options": EncodeOptions(size=1000)},
        {"options": EncodeOptions(quality_map=np.zeros((1, 1)))},
        {"shard_size": 0},
        {"threads": 0},
        {"psnr_every": 0},
        {"verify": True, "decode": True},
    ],
)
def test_settings_that_cannot_be_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        BulkJob(source="a", destination="b", **options)
