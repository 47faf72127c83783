"""The core: what is imported, and what works, where torch is not installed.

These tests need neither torch nor the other tests' fixtures, so that `make core` runs them in an environment with the
core alone. Where torch is installed, a module in its place says that it is not.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import tacit

PACKAGE = Path(tacit.__file__).parent
# Rooms and modules that are torch's own; everything else is imported without it.
OF_TORCH = (
    # The codec, and what imports it, until it runs on ONNX Runtime.
    "tacit.bulk.conversion",
    "tacit.bulk.engine",
    "tacit.bulk.windows",
    "tacit.codec",
    "tacit.data.crops",
    "tacit.data.local_codec",
    "tacit.data.webdataset_decoder",
    "tacit.study.bit_allocation",
    "tacit.study.caption_study",
    "tacit.study.steering_study",
    "tacit.study.run",
    "tacit.data.batches",
    "tacit.data.datasets",
    "tacit.data.ray_dataset",
    "tacit.exact",
    "tacit.models",
    "tacit.pretrained.clip",
    "tacit.pretrained.feature_distance",
    "tacit.pretrained.features",
    "tacit.pretrained.inception",
    "tacit.pretrained.lpips",
    "tacit.text.tokens",
    "tacit.training",
    "tacit.weights.importing",
    "tacit.weights.loading",
    "tacit.weights.saving",
)
IMPORTING = """
import importlib, sys
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except ImportError as error:
        if error.name == "torch" or (error.__cause__ is not None and error.__cause__.name == "torch"):
            print(name)
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The variables of a process in which torch is not installed."""
    folder = tmp_path_factory.mktemp("without-torch")
    (folder / "torch.py").write_text("raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')\n")
    paths = [str(folder), str(PACKAGE.parent)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}


def run(environment: dict[str, str], *arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run Python and return what it wrote."""
    command = [sys.executable, "-W", "error", *arguments]
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=120)


def modules() -> list[str]:
    """Return the names of all modules of the package."""
    paths = [path.relative_to(PACKAGE.parent).with_suffix("") for path in sorted(PACKAGE.rglob("*.py"))]
    return [".".join(path.parts).removesuffix(".__init__") for path in paths if path.stem != "__main__"]


@pytest.mark.slow
def test_nothing_else_imports_torch(environment: dict[str, str]) -> None:
    own = [name for name in modules() if not f"{name}.".startswith(tuple(f"{room}." for room in OF_TORCH))]
    done = run(environment, "-c", IMPORTING, *own)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
