"""The distance by SqueezeNet's features."""

from __future__ import annotations

import pytest

from support.metrics import image_metric, jpeg, photo
from support.pretrained import squeezenet
from tacit.errors import InvalidInput


def test_the_distance_by_squeezenet() -> None:
    metric = image_metric("squeezenet-distance", weights=squeezenet())
    assert (metric.name, metric.smallest) == ("squeezenet-distance", 17)
    assert "sha256 17ade4a842f9fd2c" in metric.protocol
    image = photo()
    values = [metric(image, jpeg(image, quality)) for quality in (5, 20, 50, 90)]
    assert values == sorted(values, reverse=True)
    assert metric(image, image) == 0
    with pytest.raises(InvalidInput, match="17 pixels a side"):
        metric(photo(16, 40), photo(16, 40))
