"""The weights that a run begins with, from whatever file holds some."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from tacit import weights
from tacit.architectures import architecture_of
from tacit.errors import CorruptWeights, InvalidInput
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


HALVES = {"analysis8": "analysis.blocks8", "analysis16": "analysis.blocks16"}  # around what reads the text
ROWS = {"synthesis16": "synthesis.blocks16", "synthesis8": "synthesis.blocks8"}
BLOCKS = {**HALVES, **ROWS}
"""Where the blocks are whose number an option of tacit-s is."""


def with_options(model: FloatModel, options: Mapping[str, Any]) -> FloatModel:
    """Return a model with those of the options that weights can take on: attention and the numbers of blocks.

    Full attention has all that linear attention needs but the projections, which then begin by pooling neighbours. So
    they do where linear_length changes. New blocks begin as the identity, behind the old ones, in the analysis behind
    those of each half, so that what the model makes stays what it was.

    Raises:
        InvalidInput: The options make no model, or fewer blocks than the model has.
    """
    before = model.config.as_dict()
    changeable = {"attention", "linear_length"} | (BLOCKS.keys() & before.keys())
    sizes = before | {name: value for name, value in options.items() if name in changeable}
    if sizes == before:
        return model
    changed = build(architecture_of(model).name, sizes)
    fresh = changed.state_dict()
    for name, place in BLOCKS.items():
        if name in before and sizes[name] < before[name]:
            raise InvalidInput(f"{name} must be {before[name]} or more, as many as the weights have, got {sizes[name]}")
        if name in before:
            fresh |= _moved(model.state_dict(), place, before[name], sizes[name], halves=name in HALVES)
    blocks = tuple(f"{place}." for place in BLOCKS.values())
    known = {k: v for k, v in model.state_dict().items() if k in fresh and v.shape == fresh[k].shape}
    changed.load_state_dict(fresh | {k: v for k, v in known.items() if not k.startswith(blocks)})
    return changed


def _moved(state: Mapping[str, Tensor], place: str, before: int, now: int, *, halves: bool) -> dict[str, Tensor]:
    """Return the tensors of blocks by the names that they have among more blocks."""
    first = before // 2 if halves else before
    shift = now // 2 - first if halves else 0
    moved: dict[str, Tensor] = {}
    for number in range(before):
        own = f"{place}.{number}."
        other = f"{place}.{number + shift * (number >= first)}."
        moved |= {other + name.removeprefix(own): value for name, value in state.items() if name.startswith(own)}
    return moved
