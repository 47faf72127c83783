"""What captions will cost."""

from __future__ import annotations

import pytest

from tacit.captions import Price, estimate
from tacit.captions.estimate import image_tokens

pytest.importorskip("httpx", reason="the extra tacit[caption] is not installed")


@pytest.mark.parametrize(
    ("size", "tokens"),
    # The first three as OpenAI's guide works them out, then the smallest, and edges of tiles.
    [
        ((1024, 1024), 765),
        ((2048, 4096), 1105),
        ((4096, 8192), 1105),
        ((1, 1), 255),
        ((512, 512), 255),
        ((513, 512), 425),
        ((768, 512), 425),
        ((100_000, 10), 765),
    ],
)
def test_tokens_of_images(size: tuple[int, int], tokens: int) -> None:
    assert image_tokens(*size) == tokens


def test_estimates() -> None:
    sizes = [(1024, 1024), (6000, 4000)]  # the second is sent as 1024 x 683: four tiles, too
    found = estimate(sizes, "x" * 360, max_tokens=200)
    assert (found.requests, found.input_tokens, found.output_tokens) == (2, 2 * (765 + 100), 400)
    assert found.dollars == pytest.approx((1730 * 2.5 + 400 * 10) / 1e6)
    assert estimate(sizes, "", model="gpt-4o-mini").input_tokens == 2 * (2833 + 4 * 5667 + 10)
    unknown = estimate(sizes, "", model="mine")
    assert unknown.dollars is None
    assert "price is not known" in str(unknown)
    assert not unknown.exceeds(0)
    assert estimate([(1, 1)] * 101, "", model="mine").exceeds(1000)
    assert estimate(sizes, "", model="mine", price=Price(1, 0)).dollars == pytest.approx(2 * 775 / 1e6)
