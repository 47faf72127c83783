"""Describe the machine of a measurement, and find the data that benchmarks need."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from PIL import Image

from tacit import machine
from tacit.evaluation import provenance

BENCHMARK_SIZE = (768, 512)  # of Kodak's images


def describe_machine() -> dict[str, Any]:
    """Describe processor, cores, memory, system, Python and the engines' libraries for a JSON file of results."""
    from importlib.metadata import version
    from importlib.util import find_spec

    described = {
        **provenance.describe_machine(),
        "instructions": " ".join(machine.instruction_sets()),
        "onnxruntime": version("onnxruntime"),
    }
    if find_spec("torch"):
        import torch

        described |= {
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "bf16": bool(torch.cpu._is_avx512_bf16_supported()),  # noqa: SLF001 - torch has no public name for it
        }
    return {"machine": described}


def benchmark_image(path: Path | None) -> tuple[Image.Image, str]:
    """Return an image of 768x512 pixels, and a text that says which one it is.

    Args:
        path: The image, cut where it is larger; None for kodim23 of the Kodak suite or, where that is missing, one of
            scikit-image's, resized.
    """
    if path is None:
        try:
            path = find_data("kodak") / "kodim23.png"
        except SystemExit:
            from tacit.demo.samples import sample_image

            return sample_image("coffee").resize(
                BENCHMARK_SIZE, Image.Resampling.LANCZOS
            ), "scikit-image's coffee, resized"
    image = Image.open(path).convert("RGB").crop((0, 0, *BENCHMARK_SIZE))
    image.info.clear()
    return image, path.name


def find_data(name: str) -> Path:
    """Return a folder of $TACIT_DATA, or of ../shared/data beside the repository.

    The process exits with a message if the folder does not exist.
    """
    base = os.environ.get("TACIT_DATA")
    folder = Path(base) if base else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not (folder / name).is_dir():
        raise SystemExit(f"{folder / name}: no such folder; name one, or set TACIT_DATA to the folder that has {name}/")
    return folder / name
