"""An estimate of what captions will cost: requests, tokens and money, before anything is sent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Price:
    """US dollars for a million tokens."""

    input: float
    """For tokens in the question."""
    output: float
    """For tokens in the answer."""


PRICES = {"gpt-4o": Price(2.50, 10.00), "gpt-4o-mini": Price(0.15, 0.60)}
"""OpenAI's list prices, as of 2025; `--price` gives others."""

TILES = {"gpt-4o-mini": (2833, 5667)}
"""Tokens of any image, and of each of its tiles, where they differ from GPT-4o's."""

UNPRICED = 100
"""The most requests at an unknown price that need no confirmation."""


@dataclass(frozen=True)
class Estimate:
    """What a number of captions cost if no request fails."""

    requests: int
    """The number of requests."""
    input_tokens: int
    """The tokens in all questions, images included."""
    output_tokens: int
    """The most tokens that all answers can have."""
    dollars: float | None
    """The price of these tokens; None where it is not known."""

    def __str__(self) -> str:
        cost = "the price is not known" if self.dollars is None else f"at most about ${self.dollars:,.2f}"
        tokens = f"about {self.input_tokens:,} tokens to the model and at most {self.output_tokens:,} from it"
        return f"{self.requests:,} request{'s' * (self.requests != 1)}, {tokens}, {cost}"

    def exceeds(self, dollars: float) -> bool:
        """Return whether the cost is above a limit; where the price is not known, the limit is `UNPRICED` requests."""
        return self.requests > UNPRICED if self.dollars is None else self.dollars > dollars


def image_tokens(width: int, height: int, model: str = "gpt-4o") -> int:
    """Return the tokens that OpenAI counts for an image in high detail.

    The image is fitted into 2,048 x 2,048 pixels, then its shorter side into 768. Each tile of 512 x 512 that it then
    touches counts 170, and the image itself 85 (gpt-4o-mini: 5,667 and 2,833). Other makers count otherwise.
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
    """Estimate the cost of one request for each image.

    Args:
        sizes: Width and height of each image.
        prompt: The prompt that is sent with each.
        model: The model's name.
        image_size: The longer side of the images that are sent, in pixels, at most.
        max_tokens: The length of an answer in tokens, at most.
        price: The price of tokens; None takes the model's, where it is known.
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
