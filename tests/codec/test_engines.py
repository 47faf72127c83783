"""Which engine runs what, and that files and latents do not depend on it."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.codec_files import WIDE, Picture, levels
from support.weights_files import forged
from tacit import weights
from tacit.codec import Codec
from tacit.errors import InvalidInput, MissingWeights

BLOCKER = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")

sys.meta_path.insert(0, Blocked())
"""


def without_torch(script: str) -> str:
    """What a script prints where torch is not installed."""
    done = subprocess.run(
        [sys.executable, "-c", BLOCKER + script], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def torch_codec(tiny_weights: Path) -> Codec:
    return Codec(tiny_weights, engine="torch", precision="fp32")


@pytest.fixture
def bare_weights(tiny_weights: Path, tmp_path: Path) -> Path:
    """Weights without graphs, as earlier versions wrote them."""

    def without_graphs(_: Any, tensors: dict[str, Any]) -> None:
        for name in [name for name in tensors if name.startswith("graphs.")]:
            del tensors[name]

    return forged(tiny_weights, without_graphs, tmp_path / "bare.safetensors")


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize(("size", "mode"), [((100, 90), "RGB"), ((41, 70), "L"), (WIDE, "RGBA")])
def test_files_of_one_engine_are_read_by_the_other(
    codec: Codec, torch_codec: Codec, picture: Picture, size: tuple[int, int], mode: str, mapped: bool
) -> None:
    assert (codec.engine, torch_codec.engine) == ("onnx", "torch")
    image = picture(*size, mode)
    options: dict[str, Any] = {"quality": 70}
    if mapped:
        cells = -(-size[1] // 64), -(-size[0] // 64)
        options["quality_map"] = np.arange(cells[0] * cells[1]).reshape(cells) % 40
    for data in (codec.encode(image, "a dog", **options), torch_codec.encode(image, "a dog", **options)):
        assert np.array_equal(codec.latents(data), torch_codec.latents(data))
        assert np.abs(levels(codec.decode(data)) - levels(torch_codec.decode(data))).max() <= 1
        box = (size[0] // 3, size[1] // 3, size[0], size[1])
        assert np.abs(levels(codec.decode(data, box=box)) - levels(torch_codec.decode(data, box=box))).max() <= 1
        assert np.abs(codec.unclamped(data) - torch_codec.unclamped(data)).max() < 1e-4


def test_what_leaves_the_codec_are_arrays_of_numpy(codec: Codec, torch_codec: Codec, picture: Picture) -> None:
    for one in (codec, torch_codec):
        ((data, coded),) = one.encode_batch_latents([picture(50, 40)], ["a dog"], 60)
        assert isinstance(coded, np.ndarray)
        assert coded.dtype == np.int16
        assert np.array_equal(one.latents(data), coded)
        assert isinstance(one.latents(data), np.ndarray)
        latents = one.read(data)
        assert isinstance(latents.values, np.ndarray)
        (pixels,) = one.synthesise([latents])
        assert isinstance(pixels, np.ndarray)
        assert np.array_equal(pixels, np.asarray(one.decode(data)))


@pytest.mark.parametrize("effort", [0, 1])
def test_the_reconstruction_is_what_either_engine_decodes(
    codec: Codec, torch_codec: Codec, picture: Picture, effort: int
) -> None:
    image = picture(60, 50)
    for one in (codec, torch_codec):
        result = one.encode_result(image, quality=60, effort=effort, reconstruct=True)
        assert result.image is not None
        assert result.image.tobytes() == one.decode(result.data).tobytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "steam"}, "engine must be auto, onnx or torch, got 'steam'"),
        ({"engine": "onnx", "device": "cuda"}, "engine onnx runs on the processor: device must be cpu, got cuda"),
        ({"engine": "onnx", "precision": "bf16"}, "engine onnx computes in fp32: precision must be fp32 or auto"),
    ],
)
def test_engines_that_cannot_be(tiny_weights: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Codec(tiny_weights, **options)


def test_weights_without_graphs_run_on_torch(
    bare_weights: Path, codec: Codec, tiny_taco_weights: Path, picture: Picture
) -> None:
    data = codec.encode(picture(50, 40), quality=60)
    bare = Codec(bare_weights)
    assert np.array_equal(bare.latents(data), codec.latents(data))
    with pytest.raises(MissingWeights, match=r"bare.*: no graphs, which the engine onnx runs; .*add_graphs\(FILE\)"):
        Codec(bare_weights, engine="onnx").decode(data)
    with pytest.raises(MissingWeights, match="no graphs, which this taco cannot have; the engine torch runs it"):
        Codec(tiny_taco_weights, engine="onnx").encode(picture(50, 40))
    assert not weights.describe(bare_weights).graphs
    assert weights.describe(codec.path).graphs


def test_bf16_runs_on_torch(tiny_weights: Path) -> None:
    assert Codec(tiny_weights, precision="bf16").engine == "torch"
    assert Codec(tiny_weights, precision="bf16").precision == "bf16"


def test_a_codec_is_pickled_with_its_engine(codec: Codec, torch_codec: Codec, picture: Picture) -> None:
    data = codec.encode(picture(30, 20))
    for one in (codec, torch_codec):
        other = pickle.loads(pickle.dumps(one))
        assert other.engine == one.engine
        assert other.decode(data).tobytes() == one.decode(data).tobytes()


@pytest.mark.slow
def test_the_codec_works_without_torch(tiny_weights: Path, tiny_taco_weights: Path, tmp_path: Path) -> None:
    script = f"""
import numpy as np
from tacit import Codec, MissingExtra
codec = Codec({str(tiny_weights)!r})
image = np.arange(90 * 70 * 3, dtype=np.uint8).reshape(70, 90, 3)
result = codec.encode_result(image, "a dog", steer=0, reconstruct=True)
assert np.array_equal(np.asarray(codec.decode(result.data)), np.asarray(result.image))
for target in ({{"size": 1500}}, {{"psnr": 10}}, {{"bpp": 1.5}}):
    codec.encode(image, **target)
files = codec.encode_batch([image, image[:50]], quality=30)
assert [one.size for one in codec.decode_batch(files)] == [(90, 70), (90, 50)]
assert codec.bit_map(image).shape == (5, 6)
codec.decode(files[0], box=(3, 4, 50, 60), salvage=True)
for work in (
    lambda: codec.encode(image, effort=1),
    lambda: Codec({str(tiny_weights)!r}, engine="torch"),
    lambda: Codec({str(tiny_taco_weights)!r}).encode(image),
):
    try:
        work()
    except MissingExtra as error:
        print(error)
"""
    effort, engine, taco = without_torch(script).splitlines()
    assert effort == "effort 1 needs torch: pip install 'tacit[torch]'"
    assert engine.startswith("engine torch needs torch")
    assert "cannot have; the engine torch runs it; engine torch needs torch" in taco
