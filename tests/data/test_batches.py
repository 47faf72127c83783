"""Batches: to the bit what decoding gives, with captions, and without bad files."""

from __future__ import annotations

import logging
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import tacit.data
from support.tacit_files import coded_file, pixels
from tacit import container
from tacit.codec import Codec
from tacit.codec.torch_model import TorchModel
from tacit.data.batches import Collate, ImageBatch, LatentBatch, Synthesiser
from tacit.data.datasets import Coded
from tacit.engine.onnx_model import OnnxModel
from tacit.errors import CorruptFile, ImageTooLarge, InvalidInput, MissingWeights, PathError


@pytest.mark.parametrize(
    ("precision", "box"),
    [
        ("fp32", None),
        ("auto", None),
        ("auto", (0, 0, 40, 30)),
        ("fp32", (37, 21, 101, 85)),
        ("auto", (86, 59, 150, 90)),
    ],
)
def test_batches_are_to_the_bit_what_decode_gives(
    encoded: dict[str, bytes], precision: str, box: tuple[int, int, int, int] | None
) -> None:
    def crop(width: int, height: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
        return box or (0, 0, width, height)

    batch = Collate(crop)([coded_file(name, data) for name, data in encoded.items()])
    assert isinstance(batch, LatentBatch)
    found = Synthesiser(precision=precision)(pickle.loads(pickle.dumps(batch)))
    codec = Codec(precision=precision, threads=1)
    assert found.names == tuple(encoded)
    assert isinstance(found.images, Tensor) == (box is not None)
    for image, data in zip(found.images, encoded.values(), strict=True):
        assert np.array_equal(image.numpy(), pixels(codec.decode(data, box=box)))
    assert found.sizes.tolist()[2] == [97, 200]
    assert found.boxes.tolist()[2] == list(box or (0, 0, 200, 97))
    if isinstance(found.images, Tensor):
        assert found.images.is_contiguous(memory_format=torch.channels_last)


def test_what_a_worker_makes_pixels_of_is_the_same(encoded: dict[str, bytes]) -> None:
    samples = [coded_file(name, data, "a", "b", seed=3) for name, data in encoded.items()]
    here = Synthesiser()(Collate(64)(samples))  # type: ignore[arg-type]
    there = Collate(64, pixels=True)(samples)
    assert isinstance(there, ImageBatch)
    assert torch.equal(here.images, there.images)  # type: ignore[arg-type]
    assert here.captions == there.captions
    assert here.boxes.tolist() == there.boxes.tolist()


def test_crops_of_one_size_run_together(encoded: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    corners = [(0, 0), (86, 66), *((int(x), int(y)) for x, y in rng.integers((86, 66), size=(6, 2)))]
    places = iter(corners)

    def crop(width: int, height: int, _: np.random.Generator) -> tuple[int, int, int, int]:
        left, top = next(places)
        return left, top, left + 64, top + 64

    files = ["low", "high", "alpha", "taco"] * 2
    batch = Collate(crop)([coded_file(name, encoded[name]) for name in files])
    assert isinstance(batch, LatentBatch)
    calls: list[int] = []

    def counted(levels: Any) -> Any:
        def counting(self: Any, latents: Any, *rest: Any, **more: Any) -> Any:
            calls.append(len(latents))
            return levels(self, latents, *rest, **more)

        return counting

    for model in (OnnxModel, TorchModel):  # files of tacit-s and of taco
        monkeypatch.setattr(model, "levels", counted(model.levels))
    together = Synthesiser(precision="fp32", together=1 << 20)(batch)
    assert sorted(calls) == [2, 6], "one run for each model, whatever the quality and the place"
    calls.clear()
    limited = Synthesiser(precision="fp32", together=3 * 150 * 150)(batch)
    assert max(calls) <= 3
    alone = Synthesiser(precision="fp32")(batch)
    for other in (together, limited):
        difference = other.images.int() - alone.images.int()  # type: ignore[union-attr]
        assert difference.abs().max() <= 1
        assert (difference != 0).float().mean() < 0.001


def test_captions_and_other_fields(encoded: dict[str, bytes]) -> None:
    samples = [
        coded_file("a", encoded["high"], "beside it"),
        coded_file("b", encoded["high"]),
        coded_file("c", encoded["low"]),
        Coded(name="d", data=encoded["low"], captions=("one", "two"), seed=(1,), fields={"cls": b"3"}),
    ]
    batch = Collate(32)(samples)
    assert batch.captions[:3] == ("beside it", "stored with it", None)
    assert batch.captions[3] in ("one", "two")
    assert batch.fields == ({}, {}, {}, {"cls": b"3"})
    drawn = {Collate(32)([coded_file("d", encoded["low"], "one", "two", seed=seed)]).captions[0] for seed in range(12)}
    assert drawn == {"one", "two"}


def test_bad_files_are_raised_or_left_out_and_named(
    encoded: dict[str, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    good = coded_file("good", encoded["low"])
    bad = {
        "cut": (encoded["low"][:-9], CorruptFile, "cut: chunk R 0"),
        "changed": (encoded["low"][:-30] + bytes(30), CorruptFile, "changed: chunk R 0"),
        "forged": (forged(encoded["low"]), CorruptFile, "forged: chunk R 0: entropy-coded data"),
        "jpeg": (b"\xff\xd8\xff\xe0" * 40, tacit.UnsupportedFile, "jpeg: "),
        "small": (
            encoded["wide"],
            InvalidInput,
            "small: the image must be 100x100 pixels or larger for this crop, got 200x97",
        ),
        "gone": (PathError("/x/gone: no such file"), PathError, "/x/gone: no such file"),
    }
    for name, (data, kind, message) in bad.items():
        with pytest.raises(kind) as raised:
            Collate(100)([good, coded_file(name, data)])
        assert str(raised.value).startswith(message)
        assert "\n" not in str(raised.value)
    with caplog.at_level(logging.WARNING):
        samples = [good, *(coded_file(name, data) for name, (data, _, _) in bad.items()), good]
        batch = Collate(100, on_error="skip")(samples)
    assert batch.names == ("good", "good")
    assert len(batch.skipped) == len(bad) == len(caplog.records)
    for line, (_, _, message) in zip(batch.skipped, bad.values(), strict=True):
        assert line.startswith(message)
    with pytest.raises(ImageTooLarge, match="good: image must have at most 1000 pixels, got 150x130"):
        Collate(100, max_pixels=1000)([good])


def forged(data: bytes) -> bytes:
    """Right checksums around what no encoder wrote."""
    file = container.read(data)
    return container.write(file.header, file.metadata, file.alpha, [b"\xff" * 40])


def test_nothing_left(encoded: dict[str, bytes]) -> None:
    latents = Collate(on_error="skip")([coded_file("a", b"nothing"), coded_file("b", b"of it")])
    assert isinstance(latents, LatentBatch)
    batch = Synthesiser()(latents)
    assert len(latents) == len(batch) == len(batch.images) == 0
    assert batch.sizes.shape == (0, 2)
    assert batch.boxes.shape == (0, 4)
    assert len(batch.skipped) == 2


def test_weights_that_are_not_here_are_not_the_files_fault(
    encoded: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    latents = Collate()([coded_file("a", encoded["low"])])
    monkeypatch.setenv("TACIT_WEIGHTS", str(tmp_path))
    with pytest.raises(MissingWeights, match="this file needs weights"):
        Collate(on_error="skip")([coded_file("a", encoded["low"])])
    with pytest.raises(MissingWeights):
        Synthesiser()(latents)  # type: ignore[arg-type]


def test_options_that_are_none() -> None:
    with pytest.raises(InvalidInput, match="on_error must be raise or skip, got 'ignore'"):
        Collate(on_error="ignore")


def test_pinned_batches(encoded: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nothing to pin without a GPU; what is asked for it is tensors, all of them."""
    pinned: list[Tensor] = []

    def pin(self: Tensor) -> Tensor:
        pinned.append(self)
        return self

    monkeypatch.setattr(Tensor, "pin_memory", pin)
    latents = Collate(64)([coded_file("a", encoded["low"]), coded_file("b", encoded["high"])])
    assert isinstance(latents, LatentBatch)
    images, several = (Synthesiser()(b) for b in (latents, Collate()([coded_file("a", encoded["low"]), coded_file("b", encoded["wide"])])))  # type: ignore[arg-type]  # fmt: skip  # noqa: E501
    for batch, count in ((latents, 1), (images, 1), (several, 2)):
        pinned.clear()
        assert type(batch.pin_memory()) is type(batch)
        assert len(pinned) == count
