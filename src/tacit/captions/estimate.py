"""What captions will cost: requests, tokens and money, before anything is sent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Price:
    """US dollars for a million tokens, in the question and in the answer."""

    input: float
    output: float


PRICES = {"gpt-4o": Price(2.50, 10.00), "gpt-4o-mini": Price(0.15, 0.60)}
"""OpenAI's list prices, as of 2025; `--price` gives others."""

TILES = {"gpt-4o-mini": (2833, 5667)}
"""Tokens of any image, and of each of its tiles, where they differ from GPT-4o's."""


UNPRICED = 100
"""Requests at an unknown price that nobody needs to be asked about."""


@dataclass(frozen=True)
class Estimate:
    """requests: as they are if none fails. input_tokens, output_tokens: of all of them, the latter at most; dollars:
    for them, None where the price is not known.
    """

    requests: int
    input_tokens: int
    output_tokens: int
    dollars: float | None

    def __str__(self) -> str:
        cost = "the price is not known" if self.dollars is None else f"at most about ${self.dollars:,.2f}"
        tokens = f"about {self.input_tokens:,} tokens to the model and at most {self.output_tokens:,} from it"
        return f"{self.requests:,} request{'s' * (self.requests != 1)}, {tokens}, {cost}"

    def exceeds(self, dollars: float) -> bool:
        """Whether it is more than so much; where the price is not known, more than `UNPRICED` requests are."""
        return self.requests > UNPRICED if self.dollars is None else self.dollars > dollars


def image_tokens(width: int, height: int, model: str = "gpt-4o") -> int:
    """The tokens that OpenAI counts for an image in high detail.

    It is fitted into 2,048 x 2,048 pixels, then its shorter side into 768; each tile of 512 x 512 that it then touches
    counts 170, the image itself 85 (gpt-4o-mini: 5,667 and 2,833). Other makers count otherwise.
    Source: OpenAI, "Images and vision", calculating costs.
    """
    scale = min(1.0, 2048 / max(width, height))
    scale *= min(1.0, 768 / (scale * min(width, height)))
    # Rounded first: 512 must not become two tiles for an error in the last digit.
    columns, rows = (math.ceil(round(side * scale, 6) / 512) for side in (width, height))
    base, tile = TILES.get(model, (85, 170))
    return base + tile * columns * rows


def estimate(
    sizes: Sequence[tuple[int, int]],
    prompt: str,
    *,
    model: str = "gpt-4o",
    image_size: int = 1024,
    max_tokens: int = 300,
    price: Price | None = None,
) -> Estimate:
    """The cost of one request for each image of `sizes` (width, height; sent within `image_size`).

    price: by default the model's, where it is known.
    """
    price = price or PRICES.get(model)
    question = len(prompt.encode()) // 4 + 10  # about four characters a token, and a few around it
    tokens = question * len(sizes)
    for width, height in sizes:
        scale = min(1.0, image_size / max(width, height))
        tokens += image_tokens(max(1, round(width * scale)), max(1, round(height * scale)), model)
    answers = max_tokens * len(sizes)
    dollars = None if price is None else (tokens * price.input + answers * price.output) / 1e6
    return Estimate(len(sizes), tokens, answers, dollars)
