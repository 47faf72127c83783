"""The same file gives the same latents under every setting of the caller's, alone and in batches, on every device."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from support.exactness import Case, sha256
from support.pictures import samples, synthetic
from support.walks import coding_of
from tacit.codec import Codec
from tacit.text.tokens import TextTokens

NAMES = ["tiny", "taco", "taco-fixed", "caption", "noise"]


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def fast_products() -> Iterator[None]:
    """What callers set who want speed; all of it concerns float32."""
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("medium")
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = True
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = before[1]
        torch.set_float32_matmul_precision(before[0])


@contextmanager
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


STATES: dict[str, Callable[[], Any]] = {
    "autocast-bf16": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "autocast-fp16": lambda: torch.autocast("cpu", dtype=torch.float16),
    "fast-products": fast_products,
    "default-bf16": lambda: default_dtype(torch.bfloat16),
    "default-fp64": lambda: default_dtype(torch.float64),
    "deterministic": deterministic,
    "inference": torch.inference_mode,
    "gradients": torch.enable_grad,
}


# A default device that holds no values shows what is made without saying where; text encoders may use the default.
DECODING_STATES: dict[str, Callable[[], Any]] = {**STATES, "default-device": lambda: torch.device("meta")}


class Codecs:
    """Codecs that were made under one of the caller's settings, each once for all tests of it."""

    def __init__(self, state: str) -> None:
        self.state = state
        self._made: dict[tuple[Path, str], Codec] = {}

    def __call__(self, case: Case, engine: str) -> Codec:
        """Return the codec of a case; to be called, and the codec to be used, under the settings."""
        key = case.path, engine
        if key not in self._made:
            self._made[key] = case.codec(engine=engine)
        return self._made[key]


@pytest.fixture(scope="module", params=DECODING_STATES)
def codecs(request: pytest.FixtureRequest) -> Codecs:
    return Codecs(request.param)


@pytest.mark.parametrize("name", NAMES)
def test_latents_under_the_callers_settings(cases: dict[str, Case], codecs: Codecs, name: str) -> None:
    case = cases[name]
    with DECODING_STATES[codecs.state]():
        for engine in ("auto", "torch"):
            assert sha256(codecs(case, engine).latents(case.data)) == case.latents


@pytest.mark.parametrize("state", STATES)
def test_what_is_encoded_under_the_callers_settings_decodes(
    cases: dict[str, Case], state: str, codec: Codec, taco_codec: Codec
) -> None:
    for one in (codec, taco_codec):
        image = Image.fromarray(synthetic(90, 70, seed=5))
        with STATES[state]():
            data = one.encode(image, "a red boat", 40)
            seen = one.latents(data)
        assert np.array_equal(seen, one.latents(data))
        # other transforms would show: a wrong gain, or half precision
        plain = one.latents(one.encode(image, "a red boat", 40)).astype(float)
        assert np.abs(seen - plain).mean() < 2


@pytest.fixture(scope="module")
def plain_pixels(cases: dict[str, Case]) -> dict[str, np.ndarray]:
    """The pixels of some files under no settings."""
    return {n: np.asarray(cases[n].codec().decode(cases[n].data)).astype(int) for n in ("tiny", "taco", "caption")}


def test_pixels_under_the_callers_settings(
    cases: dict[str, Case], codecs: Codecs, plain_pixels: dict[str, np.ndarray]
) -> None:
    """The settings reach no transform by accident: pixels within a level in fp32."""
    for name, plain in plain_pixels.items():
        case = cases[name]
        with DECODING_STATES[codecs.state]():
            found = np.asarray(codecs(case, "torch").decode(case.data)).astype(int)
        assert np.abs(found - plain).max() <= (1 if codecs.state != "fast-products" else 8)


THREADS_AND_PRECISION: list[dict[str, Any]] = [
    {"threads": 1},
    {"threads": 2},
    {"engine": "torch", "threads": 1},
    {"engine": "torch", "threads": 2},
    {"engine": "torch", "precision": "bf16"},
    {"precision": "auto"},
]


@pytest.mark.parametrize("options", THREADS_AND_PRECISION)
def test_latents_with_any_threads_and_precision(cases: dict[str, Case], options: dict[str, Any]) -> None:
    codecs = {case.path: case.codec(**options) for case in cases.values()}
    assert {n: sha256(codecs[case.path].latents(case.data)) for n, case in cases.items()} == {
        n: case.latents for n, case in cases.items()
    }


@pytest.mark.parametrize("name", ["tiny", "taco", "shipped"])
def test_encoder_and_decoder_agree_alone_and_in_batches(
    name: str, codec: Codec, taco_codec: Codec, shipped_codec: Codec
) -> None:
    """The decoder's integers are those that the encoder saw, whatever the batch was on either side."""
    one = {"tiny": codec, "taco": taco_codec, "shipped": shipped_codec}[name]
    model = coding_of(one)
    x = samples(80, 5)
    y = model.analyse(model.pad(x), TextTokens.empty(5, model.config.text_width))
    streams, seen = model.compress(y, 55.0)
    height, width = y.shape[2:]
    assert len(set(streams)) == 5
    for batch in ([0, 1, 2, 3, 4], [3, 0], [2, 2, 2]):
        found = model.decompress([streams[i] for i in batch], height, width, 55.0)
        assert torch.equal(found, seen[batch])
    for i in range(5):
        alone, single = model.compress(y[i : i + 1], 55.0)
        assert torch.equal(model.decompress([streams[i]], height, width, 55.0)[0], seen[i])
        assert torch.equal(model.decompress(alone, height, width, 55.0), single)


def test_files_decode_alike_alone_and_together(codec: Codec) -> None:
    files = [codec.encode(Image.fromarray(synthetic(70, 50, seed)), quality=60) for seed in range(5)]
    files.append(codec.encode(Image.fromarray(synthetic(50, 70)), quality=60))
    for found, data in zip(codec.decode_batch(files), files, strict=True):
        difference = np.asarray(found).astype(int) - np.asarray(codec.decode(data))
        assert np.abs(difference).max() <= 1


PROCESS = """
import hashlib, json, sys, torch
from support.walks import coding_of
from tacit.codec import Codec
for line in sys.argv[1].split(";"):
    exec(line)
out = {"capability": torch.backends.cpu.get_cpu_capability(), "threads": torch.get_num_threads()}
codecs = {}
for name, path, file in json.loads(sys.argv[2]):
    if path not in codecs:
        codecs[path] = Codec(path, precision="fp32"), Codec(path, engine="torch", precision="fp32")
    latents, of_torch = (codec.latents(file) for codec in codecs[path])
    assert (of_torch == latents).all()
    out[name] = hashlib.sha256(latents.astype("<i2").tobytes()).hexdigest()
print(json.dumps(out))
"""


# torch's newer switches cannot be put back to what they were, so they are tried in a process of their own
SWITCHES = ";".join(
    f"torch.backends.{name}.fp32_precision = {value!r}"
    for name, value in {"mkldnn": "bf16", "mkldnn.matmul": "bf16", "mkldnn.conv": "bf16", "cudnn": "tf32"}.items()
)


PROCESSES: dict[str, tuple[dict[str, str], str]] = {
    "avx2": (
        {"ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2", "ONEDNN_MAX_CPU_ISA": "AVX2"},
        "torch.set_num_threads(2)",
    ),
    "plain": (
        {
            "ATEN_CPU_CAPABILITY": "default",
            "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
            "ONEDNN_MAX_CPU_ISA": "SSE41",
            "OMP_NUM_THREADS": "1",
        },
        "pass",
    ),
    "fast": ({"ONEDNN_DEFAULT_FPMATH_MODE": "BF16", "MKL_CBWR": "AUTO"}, SWITCHES),
}


@pytest.mark.parametrize("kind", PROCESSES)
def test_latents_in_a_fresh_process(cases: dict[str, Case], tmp_path: Path, kind: str) -> None:
    environment, statements = PROCESSES[kind]
    arguments = []
    for name, case in cases.items():
        (tmp_path / f"{name}.tacit").write_bytes(case.data)
        arguments.append([name, str(case.path), str(tmp_path / f"{name}.tacit")])
    found = subprocess.run(
        [sys.executable, "-c", PROCESS, statements, json.dumps(arguments)],
        # threads that wait without spinning, for machines that do other work beside the tests
        env={**os.environ, "OMP_WAIT_POLICY": "PASSIVE", "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    answers = json.loads(found.stdout)
    assert {n: answers[n] for n in cases} == {n: c.latents for n, c in cases.items()}
    if kind != "fast":
        wanted = environment["ATEN_CPU_CAPABILITY"]
        assert answers["capability"].lower() in ("no avx", "default", wanted)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", NAMES)
def test_latents_on_a_gpu(cases: dict[str, Case], name: str) -> None:
    case = cases[name]
    with fast_products(), torch.autocast("cuda", dtype=torch.bfloat16):
        assert sha256(case.codec(device="cuda").latents(case.data)) == case.latents
