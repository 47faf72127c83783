"""The conformance vectors: files of the shipped models decode to the latents and pixels that are on record."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from PIL import Image

import reference_decoder as reference
from support.exactness import EXPECTED, GOLDEN, Case, sha256
from support.pictures import synthetic
from tacit import container, weights
from tacit.codec import Codec


@pytest.mark.parametrize(("model", "name"), [(model, name) for model, found in EXPECTED.items() for name in found])
def test_conformance(shipped_codec: Codec, model: str, name: str) -> None:
    data = (GOLDEN / model / f"{name}.tacit").read_bytes()
    expected = EXPECTED[model][name]
    stale = f"the weights are others than those of {GOLDEN}/{model}: run `python scripts/golden.py {model}`"
    assert container.read(data).header.weights_hash == weights.describe(weights.locate(model)).decode_hash, stale
    assert len(data) == expected["bytes"]
    latents = shipped_codec.latents(data)  # whichever weights a file names
    assert list(latents.shape) == expected["shape"]
    assert sha256(latents) == expected["latents"]


@pytest.mark.parametrize("model", EXPECTED)
@pytest.mark.parametrize(("precision", "levels"), [("fp32", 1), ("bf16", 3)])
def test_conforming_pixels(precision: str, levels: int, model: str) -> None:
    codec = Codec(precision=precision)
    for name, expected in EXPECTED[model].items():
        image = codec.decode(GOLDEN / model / f"{name}.tacit")
        assert image.mode == expected["mode"]
        pixels = np.asarray(image).reshape(image.height, image.width, -1)
        rows = np.linspace(0, image.height - 1, 8).astype(int)
        columns = np.linspace(0, image.width - 1, 8).astype(int)
        found = pixels[rows[:, None], columns].reshape(64, -1).astype(int)
        assert np.abs(found - np.array(expected["samples"])).max() <= levels, name
        # a picture's mean is nearer than its pixels
        near = 0.2 * levels if pixels.size > 1000 else levels
        assert np.abs(pixels.mean(axis=(0, 1)) - expected["means"]).max() <= near, name


@pytest.mark.parametrize("model", EXPECTED)
def test_the_second_decoder_reads_the_vectors(model: str) -> None:
    """All that decoding depends on, from the format page alone: coder, tables, networks, schedule."""
    stored = reference.Weights(weights.locate(model))
    for name in ("pixel", "small", "grey", "alpha", "noise", "progressive"):
        file = container.read((GOLDEN / model / f"{name}.tacit").read_bytes())
        _, height, width = EXPECTED[model][name]["shape"]
        assert file.regions[0]
        assert file.header.quality is not None
        hundredths, falling = round(100 * file.header.quality), file.header.progressive
        found = reference.latents(stored, file.regions[0], height, width, hundredths, falling)
        assert hashlib.sha256(found.astype("<i2").tobytes()).hexdigest() == EXPECTED[model][name]["latents"]


@pytest.mark.parametrize("model", EXPECTED)
def test_the_second_decoder_reads_the_beginning(model: str) -> None:
    """What is missing at the end of a file changes the latents in one way only."""
    stored = reference.Weights(weights.locate(model))
    data = (GOLDEN / model / "progressive.tacit").read_bytes()
    expected = EXPECTED[model]["progressive"]
    _, height, width = expected["shape"]
    size, digest = next(iter(expected["beginnings"].items()))
    file = container.read(data[: int(size)], partial=True)
    assert file.cut == {0}
    assert file.regions[0]
    assert file.header.quality is not None
    found = reference.latents(
        stored, file.regions[0], height, width, round(100 * file.header.quality), falling=True, cut=True
    )
    assert sha256(found) == digest


@pytest.mark.parametrize(
    ("model", "name"),
    [(model, name) for model, found in EXPECTED.items() for name in found if "beginnings" in found[name]],
)
def test_conforming_beginnings(shipped_codec: Codec, model: str, name: str) -> None:
    data = (GOLDEN / model / f"{name}.tacit").read_bytes()
    expected = EXPECTED[model][name]
    hashes = {expected["latents"]}
    for size, digest in expected["beginnings"].items():
        assert sha256(shipped_codec.latents(data[: int(size)], partial=True)) == digest
        hashes.add(digest)
    assert len(hashes) == 1 + len(expected["beginnings"])
    assert sha256(shipped_codec.latents(data, partial=True)) == expected["latents"]


def test_the_second_decoder_sees_the_same_pixels(
    cases: dict[str, Case], codec: Codec, taco_codec: Codec, taco_fixed_codec: Codec, shipped_codec: Codec
) -> None:
    """All that the format page says of the synthesis, on latents of whole pictures."""
    mine = GOLDEN / weights.DEFAULT
    for one, data in (
        (shipped_codec, (mine / "lowest.tacit").read_bytes()),
        (shipped_codec, (mine / "grey.tacit").read_bytes()),
        (shipped_codec, (mine / "noise.tacit").read_bytes()),
        (codec, codec.encode(Image.fromarray(synthetic(50, 70)), quality=33.33)),
        (taco_codec, cases["taco"].data),
        (taco_fixed_codec, cases["taco-fixed"].data),
    ):
        header = container.read(data).header
        synthesis = reference.Synthesis(reference.Weights(one.path))
        latents = one.latents(data)
        found = synthesis.pixels(latents, header.quality, header.width, header.height, header.color)
        expected = np.asarray(one.decode(data)).reshape(found.shape).astype(int)
        assert np.abs(found - expected).max() <= 1
        assert (found != expected).mean() < 0.01
        assert expected.std() > 5


@pytest.mark.parametrize("model", weights.SHIPPED)
def test_vectors_are_small_and_whole(model: str) -> None:
    folder = GOLDEN / model
    assert sorted(p.stem for p in folder.glob("*.tacit")) == sorted(EXPECTED[model])
    assert sum(p.stat().st_size for p in folder.iterdir()) < 200_000
    assert container.read((folder / "caption.tacit").read_bytes()).metadata.caption
    assert len(container.read((folder / "regions.tacit").read_bytes()).regions) == 2
    assert container.read((folder / "scans.tacit").read_bytes()).header.scans == 5
