"""The weights that a run begins with, from whatever file holds some."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tacit import weights
from tacit.architectures import architecture_of
from tacit.errors import CorruptWeights
from tacit.models.building import build
from tacit.models.float_model import FloatModel
from tacit.training.checkpoint import read_checkpoint


def load_float_model(source: str | os.PathLike[str]) -> FloatModel:
    """Load a float model.

    Args:
        source: A training checkpoint, whose average is loaded; weights alone in a .pt file, as `model` and `config`;
            a weights file or its name; or a published TACO checkpoint.

    Raises:
        UnknownModel: There are no weights of this name.
        PathError: The file cannot be read.
        CorruptWeights: The file is damaged, or none of these.
    """
    from tacit.models.taco_import import load_published, read_published

    path = Path(source)
    if not path.is_file():
        path = weights.locate(source)
    if path.suffix == ".safetensors":
        from tacit.training.thawing import thaw

        return thaw(path)
    if path.suffix in (".ckpt", ".pt"):
        return read_checkpoint(path).averaged_model()
    state = read_published(path)
    try:
        return load_published(state)
    except CorruptWeights as error:
        raise CorruptWeights(f"{path}: {error}") from error


def with_attention(model: FloatModel, options: Mapping[str, Any]) -> FloatModel:
    """Return a model with the `attention` and `linear_length` of the options, if they have these.

    Full attention has all that linear attention needs but the projections, which then begin by pooling neighbours. So
    they do where linear_length changes.

    Raises:
        InvalidInput: The options make no model.
    """
    before = model.config.as_dict()
    sizes = before | {k: options[k] for k in ("attention", "linear_length") if k in options}
    if sizes == before:
        return model
    changed = build(architecture_of(model).name, sizes)
    fresh = changed.state_dict()
    known = {k: v for k, v in model.state_dict().items() if k in fresh and v.shape == fresh[k].shape}
    changed.load_state_dict(fresh | known)
    return changed
