"""Preparation of a run's data for a machine where the text encoder is not installed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tacit.errors import InvalidInput
from tacit.models.building import build
from tacit.training.config import Config
from tacit.training.dataset.bundle import write_bundle
from tacit.training.dataset.caption_choice import possible_captions
from tacit.training.dataset.image_files import ImageFiles
from tacit.training.dataset.sources import open_images
from tacit.training.dataset.token_cache import TokenCache

log = logging.getLogger(__name__)


def prepare(config: Config, folder: Path) -> tuple[int, int]:
    """Write the images and embedded captions of a run to files of at most 15 MB, which data.kind `prepared` reads.

    Returns:
        How many images and how many captions were written.

    Raises:
        PathError: The data cannot be read, or the files cannot be written.
        InvalidInput: The data are not images in files of their own.
        MissingExtra: A package that the data or the text encoder need is not installed.
        MissingWeights: The text encoder is not on this machine.
    """
    images = open_images(config.data)
    if not isinstance(images, ImageFiles):
        raise InvalidInput(f"to be prepared, data.kind must be folder, jsonl or coco, got {config.data.kind}")
    report: Callable[[str, str], object] = partial(log.warning, "%s is left out: %s")
    count = write_bundle(images, folder, config.data.crop, report)
    model = build(config.model.name, config.model.options).config
    tokens = TokenCache(model.text_encoder, model.text_width, folder, weighted=config.data.word_weights)
    return count, tokens.write(possible_captions(images.captions, config.data.join_captions))
