"""Float models by their names, and how they begin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tacit.errors import InvalidInput
from tacit.models.model import SmallConfig, SmallModel
from tacit.models.taco import TacoConfig, TacoModel
from tacit.training.config import ModelConfig

FloatModel = SmallModel | TacoModel

_KINDS: Mapping[str, tuple[type[Any], type[Any]]] = {
    "tacit-s": (SmallConfig, SmallModel),
    "taco": (TacoConfig, TacoModel),
}


def build(config: ModelConfig) -> FloatModel:
    """With random weights. Raises: InvalidInput, for sizes that make no model."""
    return restore(config.name, config.options)


def restore(architecture: str, options: Mapping[str, Any]) -> FloatModel:
    """A model of an architecture, with the sizes that a checkpoint gives. Raises: InvalidInput."""
    if architecture not in _KINDS:
        raise InvalidInput(f"architecture {architecture!r}: known are {', '.join(_KINDS)}")
    config_type, model_type = _KINDS[architecture]
    try:
        model: FloatModel = model_type(config_type(**{k: _tuple(v) for k, v in options.items()}))
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"{architecture}: {error}") from error
    return model


def architecture(model: FloatModel) -> str:
    """The name of a model's architecture."""
    return next(name for name, (_, kind) in _KINDS.items() if type(model) is kind)


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
