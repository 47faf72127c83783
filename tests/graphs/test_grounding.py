"""The grounding network's graph computes what the network in torch does."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from safetensors.torch import load_file as load_tensors

from support.pictures import synthetic
from tacit.codec import steering
from tacit.codec.steering import FOLDER, GRAPH_SHA256, NETWORK_SHA256
from tacit.engine.sessions import Sessions
from tacit.graphs.grounding import make_grounding_graph
from tacit.text.caption_tokens import CaptionTokens
from tacit.text.encoders import load_encoder
from tacit.text.tokens import TextTokens
from tacit.training.grounding import Grounding

NETWORK = FOLDER / "grounding.safetensors"


@pytest.fixture(scope="module")
def network() -> Grounding:
    network = Grounding()
    tensors = {name: values.float() for name, values in load_tensors(NETWORK).items()}
    network.load_state_dict(tensors, strict=False)  # the norms' counts of batches are not stored
    return network.eval().requires_grad_(False)


def captions() -> CaptionTokens:
    tokens = load_encoder("embedded")(["a red boat on the lake", "parrot", None])
    tokens.weights[0, 1] = 1.5
    return tokens


def run(image: np.ndarray, tokens: CaptionTokens) -> np.ndarray:
    sessions = Sessions({"grounding": (FOLDER / "grounding.onnx").read_bytes()}, load_file(NETWORK), NETWORK_SHA256, 1)
    inputs = {"image": image, "words": tokens.embeddings, "mask": tokens.mask, "weights": tokens.weights}
    return sessions.run("grounding", inputs, ["logits"])[0]


def test_the_packages_graph_is_that_of_its_network() -> None:
    graph = (FOLDER / "grounding.onnx").read_bytes()
    assert make_grounding_graph(load_file(NETWORK), NETWORK_SHA256) == graph
    assert hashlib.sha256(graph).hexdigest() == GRAPH_SHA256
    assert len(graph) < 40_000


@pytest.mark.parametrize("size", [(64, 96), (80, 64)])
def test_logits_are_those_of_the_network_in_torch(size: tuple[int, int], network: Grounding) -> None:
    image = np.random.default_rng(1).random((3, 3, *size), np.float32)
    tokens = captions()
    expected = network(torch.from_numpy(image), TextTokens.of(tokens)).numpy()
    assert np.abs(expected - expected.mean(axis=(1, 2), keepdims=True))[:2].max() > 0.1
    assert run(image, tokens) == pytest.approx(expected, abs=1e-4)


def test_relevance_is_that_of_torchs_resizing_and_averaging(network: Grounding) -> None:
    import torch.nn.functional as F

    pixels = synthetic(700, 450)
    tokens = load_encoder("embedded")(["a red boat on the lake"])
    x = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
    logits = network(F.interpolate(x, (240, 384), mode="bilinear", antialias=True), TextTokens.of(tokens))
    seen = (steering.SHARPNESS * (logits - logits.mean())).sigmoid()
    rows, columns = round(15 * (512 / 450 - 1)), round(24 * (704 / 700 - 1))
    expected = F.interpolate(F.pad(seen[:, None], (0, columns, 0, rows), mode="replicate"), (8, 11), mode="area")[0, 0]
    assert expected.std() > 0.01
    assert steering.relevance(pixels, tokens) == pytest.approx(expected.numpy(), abs=1e-4)


def test_padding_changes_nothing() -> None:
    image = np.random.default_rng(2).random((1, 3, 64, 64), np.float32)
    alone = load_encoder("embedded")(["parrot"])
    both = CaptionTokens.stack([alone, captions()])
    padded = CaptionTokens(
        both.embeddings[:1] + np.float32(7) * ~both.mask[:1, :, None], both.mask[:1], both.weights[:1]
    )
    assert padded.mask.shape != alone.mask.shape
    assert run(image, padded) == pytest.approx(run(image, alone), abs=1e-5)
