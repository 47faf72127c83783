"""`.tacit` files as training data for other models: data sets, batches, and decoders for WebDataset and Ray.

    shards = tacit.data.TacitShards("shards/{0000..0099}.tar", seed=1)
    loader = DataLoader(shards, 64, num_workers=8, collate_fn=tacit.data.Collate(224), pin_memory=True)
    synthesise = tacit.data.Synthesiser("cuda")
    for latents in loader:
        batch = synthesise(latents)  # batch.images: [64, 3, 224, 224] uint8, batch.captions

All but crops and WebDataset's decoder need torch (the extra `torch`). Names are imported when they are first used:
reading the shards of images that tacit trains on, which is here too, does without what reading `.tacit` files needs.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tacit.extras import require

if TYPE_CHECKING:
    from tacit.data.batches import Collate, ImageBatch, LatentBatch, Synthesiser
    from tacit.data.crops import CenterCrop, RandomCrop
    from tacit.data.datasets import Coded, TacitFiles, TacitShards
    from tacit.data.ray_dataset import read_tacit
    from tacit.data.webdataset_decoder import decoder

_HOMES = {
    "CenterCrop": "crops",
    "Coded": "datasets",
    "Collate": "batches",
    "ImageBatch": "batches",
    "LatentBatch": "batches",
    "RandomCrop": "crops",
    "Synthesiser": "batches",
    "TacitFiles": "datasets",
    "TacitShards": "datasets",
    "decoder": "webdataset_decoder",
    "read_tacit": "ray_dataset",
}
_OF_TORCH = {"batches", "datasets", "ray_dataset"}

__all__ = [
    "CenterCrop",
    "Coded",
    "Collate",
    "ImageBatch",
    "LatentBatch",
    "RandomCrop",
    "Synthesiser",
    "TacitFiles",
    "TacitShards",
    "decoder",
    "read_tacit",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tacit.data' has no attribute {name!r}")
    if _HOMES[name] in _OF_TORCH:
        require("torch", f"tacit.data.{name}", "torch")
    value = getattr(importlib.import_module(f"tacit.data.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
