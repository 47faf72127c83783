"""The card of weights for a model hub: Markdown with YAML before it, made of the training card in the weights file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tacit.weights.catalogue import SHIPPED, WeightsInfo

# Data sets as training cards name them, and as a hub's cards do.
_DATASETS: Mapping[str, str] = {
    "BSDS500": "bsds500",
    "COCO 2014": "coco-2014",
    "Flickr8k": "flickr8k",
    "ImageNet": "imagenet",
    "Oxford Flowers 102": "oxford-flowers-102",
}
_METRICS = ("psnr", "ms-ssim", "ssimulacra2", "butteraugli")
_TAGS = ("image-compression", "learned-compression", "image-codec", "onnx")


def model_card(about: WeightsInfo) -> str:
    """Return the model card of weights, as a README.md of a model hub.

    The licence is "other", whatever the training card says: its `terms` are text, which the card has in full.
    """
    card = dict(about.card)
    data, terms = str(card.get("data", "")), str(card.get("terms", "")).strip()
    front: dict[str, Any] = {
        "license": "other",
        "license_name": "terms-of-the-training-data",
        "license_link": "#terms",
        "library_name": "tacit",
        "pipeline_tag": "image-to-image",
        "tags": list(_TAGS),
        "datasets": sorted(hub for name, hub in _DATASETS.items() if name in data),
        "metrics": list(_METRICS),
    }
    rows = [
        ("architecture", about.architecture),
        ("variable rate", "quality 0 to 100" if about.variable_rate else "one fixed rate"),
        ("bytes", f"{about.size:,}"),
        ("weights hash", about.decode_hash.hex()),
        *((key.replace("_", " "), value) for key, value in sorted(card.items()) if key != "terms"),
    ]
    package = about.name in SHIPPED
    lines = [
        "---",
        *_front_matter(front),
        "---",
        "",
        f"# {about.name}",
        "",
        "Weights of tacit, a learned codec for images that a caption guides. Files that were made with them name them",
        f"by their hash, {about.decode_hash.hex()}, and can be decoded with no others.",
        "",
        "## Use",
        "",
        "    pip install tacit" + ("" if package else f"\n    tacit encode photo.jpg -m {about.path.name}"),
        *([f"    tacit encode photo.jpg -m {about.name}"] if package else []),
        "    tacit decode photo.tacit -o photo.png",
        "",
        "Encoding and decoding run on an ordinary processor. The image that comes back is an approximation: these",
        "weights are not for images that must stay exact, such as medical images or evidence, and fine detail at low",
        "qualities may differ from the original's.",
        "",
        "## Training",
        "",
        "| | |",
        "|---|---|",
        *(f"| {key} | {_cell(value)} |" for key, value in rows),
        "",
        "## Terms",
        "",
        terms or "The training card states no terms.",
    ]
    return "\n".join(lines) + "\n"


def _front_matter(values: Mapping[str, Any]) -> list[str]:
    """Return YAML: texts as JSON writes them, which YAML reads alike."""
    lines = []
    for key, value in values.items():
        if isinstance(value, list):
            lines += [f"{key}:", *(f"  - {json.dumps(entry)}" for entry in value)] if value else []
        else:
            lines.append(f"{key}: {json.dumps(value)}")
    return lines


def _cell(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return " ".join(text.split()).replace("|", "\\|")
