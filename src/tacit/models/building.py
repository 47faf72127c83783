"""Building a float model from the name of its architecture and its sizes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tacit.architectures import ARCHITECTURES
from tacit.errors import InvalidInput
from tacit.models.float_model import FloatModel


def build(architecture: str, sizes: Mapping[str, Any]) -> FloatModel:
    """Build a model with random weights.

    Args:
        architecture: A name in the table of architectures.
        sizes: Fields of the architecture's configuration that differ from its defaults; lists stand for tuples.

    Raises:
        InvalidInput: The architecture is unknown, or the sizes make no model.
    """
    row = ARCHITECTURES.get(architecture)
    if row is None:
        raise InvalidInput(f"architecture must be one of {', '.join(ARCHITECTURES)}, got {architecture!r}")
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in sizes.items()}
    try:
        model: FloatModel = row.model_class()(row.config_class()(**values))
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"{architecture}: {error}") from error
    return model
