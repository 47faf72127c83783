"""The core: what is imported, and what works, where torch is not installed.

These tests need neither torch nor the other tests' fixtures, so that `make core` runs them in an environment with the
core alone. Where torch is installed, a module in its place says that it is not.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tacit

PACKAGE = Path(tacit.__file__).parent
# Rooms and modules that are torch's own; everything else is imported without it.
OF_TORCH = (
    "tacit.codec.refined_coding",
    "tacit.codec.refinement",
    "tacit.codec.torch_engine",
    "tacit.codec.torch_model",
    "tacit.codec.torch_overlap",
    "tacit.codec.torch_threads",
    "tacit.data.batches",
    "tacit.data.datasets",
    "tacit.data.ray_dataset",
    "tacit.exact",
    "tacit.models",
    "tacit.pretrained.clip",
    "tacit.pretrained.clipseg",
    "tacit.pretrained.feature_distance",
    "tacit.pretrained.features",
    "tacit.pretrained.grounding_dino",
    "tacit.pretrained.image_input",
    "tacit.pretrained.inception",
    "tacit.pretrained.lpips",
    "tacit.pretrained.owlv2",
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


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an image of 192x128 pixels."""
    folder = tmp_path_factory.mktemp("core")
    small = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)
    Image.fromarray(small).resize((192, 128), Image.Resampling.BICUBIC).save(folder / "image.png")
    return folder


def read(path: Path) -> np.ndarray:
    """Return an image file as an array."""
    with Image.open(path) as image:
        return np.asarray(image)


def command(environment: dict[str, str], folder: Path, *arguments: str) -> str:
    """Run tacit, which must succeed, and return what it wrote."""
    done = run(environment, "-m", "tacit", *arguments, folder=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_commands_encode_and_decode(environment: dict[str, str], folder: Path) -> None:
    command(environment, folder, "encode", "image.png", "-c", "a red boat", "--steer", "40", "-o", "steered.tacit")
    about = json.loads(command(environment, folder, "info", "steered.tacit", "--json"))
    assert (about["width"], about["height"]) == (192, 128)
    command(environment, folder, "encode", "image.png", "--size", "1000", "-o", "small.tacit")
    assert (folder / "small.tacit").stat().st_size <= 1000
    command(environment, folder, "map", "image.png", "-c", "a red boat", "-o", "map.png")
    command(environment, folder, "decode", "steered.tacit", "-o", "whole.png")
    command(environment, folder, "decode", "steered.tacit", "--crop", "10,20,30,40", "-o", "part.png")
    whole, part = (read(folder / name) for name in ("whole.png", "part.png"))
    original = read(folder / "image.png")
    assert np.abs(whole.astype(int) - original).mean() < 8
    assert np.abs(whole[20:60, 10:40].astype(int) - part).max() <= 1
    data = bytearray((folder / "steered.tacit").read_bytes())
    data[-40] ^= 255
    (folder / "damaged.tacit").write_bytes(data)
    done = run(environment, "-m", "tacit", "decode", "damaged.tacit", "--salvage", "-o", "saved.png", folder=folder)
    assert (folder / "saved.png").is_file(), done.stderr
    assert read(folder / "saved.png").shape == (128, 192, 3)


IN_PYTHON = """
import sys
import numpy as np
from PIL import Image
import tacit, tacit.pillow
from tacit.data import decoder
from tacit.evaluation.metrics import load_metric

image = Image.open("image.png")
image.save("plugin.tacit", quality=60)
back = np.asarray(Image.open("plugin.tacit"))
assert back.shape == (128, 192, 3)
assert decoder("rgb8")("a.tacit", open("plugin.tacit", "rb").read()).shape == back.shape
codec = tacit.Codec()
file = codec.encode(image, "a red boat", quality_map=np.full((2, 3), 10))
assert codec.decode(file).size == image.size
assert [len(codec.encode_batch([image] * 2, ["a boat", None]))] == [2]
for name in ("psnr", "ssim"):
    assert load_metric(name)(np.asarray(image), back) > 0.5
for what in (
    lambda: load_metric("lpips-alex"),
    lambda: codec.encode(image, effort=1),
    lambda: tacit.Codec(engine="torch"),
    lambda: decoder("torchrgb8")("a.tacit", file),
    lambda: __import__("tacit.data").data.TacitFiles,
):
    try:
        what()
    except tacit.MissingExtra as error:
        assert "pip install 'tacit[torch]'" in str(error), error
    else:
        raise AssertionError("torch is not missing")
assert sys.modules.get("torch") is None
"""


@pytest.mark.slow
def test_python_encodes_and_decodes_and_names_the_extra_for_the_rest(environment: dict[str, str], folder: Path) -> None:
    done = run(environment, "-c", IN_PYTHON, folder=folder)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_an_evaluation_with_psnr(environment: dict[str, str], folder: Path) -> None:
    (folder / "images").mkdir()
    (folder / "images" / "image.png").write_bytes((folder / "image.png").read_bytes())
    arguments = ["images", "-o", "results", "--codecs", "tacit-s,jpeg", "--metrics", "psnr", "--points", "2", "-j", "1"]
    command(environment, folder, "eval", *arguments, "--crops", "0")
    assert "tacit-s" in (folder / "results" / "report.md").read_text()


SERVING = """
import io, sys, warnings
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient
from tacit.web.app import create_app
from tacit.web.settings import ServiceSettings

if __name__ == "__main__":
    with TestClient(create_app(ServiceSettings(workers=1))) as client:
        body = open("image.png", "rb").read()
        encoded = client.post("/v1/encode?caption=a+red+boat", content=body)
        assert encoded.status_code == 200, encoded.text
        assert encoded.content[:4] != body[:4]
        decoded = client.post("/v1/decode", content=encoded.content)
        assert decoded.content[:8] == body[:8]
        assert "<html" in client.get("/").text
    assert sys.modules.get("torch") is None
"""


@pytest.mark.slow
def test_the_service_and_its_page(environment: dict[str, str], folder: Path) -> None:
    pytest.importorskip("fastapi", reason="the extra tacit[web] is not installed")
    (folder / "serving.py").write_text(SERVING)
    done = run(environment, "-W", "default", "serving.py", folder=folder)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("torch") is not None, reason="a cluster of its own takes long: make core")
def test_bulk_on_processors(environment: dict[str, str], folder: Path) -> None:
    pytest.importorskip("ray.data", reason="the extra tacit[bulk] is not installed")
    (folder / "set").mkdir()
    for number in range(2):
        (folder / "set" / f"{number}.png").write_bytes((folder / "image.png").read_bytes())
    done = run(environment, "-W", "default", "-m", "tacit", "bulk", "set", "coded", "--to", "tar", folder=folder)
    assert done.returncode == 0, done.stderr
    assert list((folder / "coded").glob("*.tar"))
