"""Building an ONNX graph node by node."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tacit.errors import MissingExtra

OPSET = 18
IR_VERSION = 9  # of the file format: ONNX Runtime 1.15 and later read it

FLOAT, FLOAT16, DOUBLE = "FLOAT", "FLOAT16", "DOUBLE"
UINT8, INT16, INT32, INT64, BOOL = "UINT8", "INT16", "INT32", "INT64", "BOOL"

Dims = Sequence[int | str]


def _onnx() -> Any:
    try:
        return importlib.import_module("onnx")
    except ImportError as error:
        raise MissingExtra("making ONNX graphs needs the package onnx; install tacit[train]") from error


class GraphBuilder:
    """A graph that grows by one node for each call of `op`; values are known by their names.

    Args:
        name: Of the graph.
        tensors: The tensors of the weights file, which the graph may use.

    Raises:
        MissingExtra: The package `onnx` is not installed.
    """

    def __init__(self, name: str, tensors: Mapping[str, np.ndarray]) -> None:
        self._onnx = _onnx()
        self.name, self.tensors = name, tensors
        self._nodes: list[Any] = []
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []
        self._initializers: dict[str, Any] = {}
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._casts: dict[tuple[str, str], str] = {}

    def _type(self, kind: str) -> int:
        return int(getattr(self._onnx.TensorProto, kind))

    def _new(self, stem: str) -> str:
        return f"{stem}_{len(self._nodes)}"

    def input(self, name: str, kind: str, dims: Dims) -> str:
        """Declare an input, and return its name; names among `dims` are dynamic sizes."""
        self._inputs.append(self._onnx.helper.make_tensor_value_info(name, self._type(kind), list(dims)))
        return name

    def output(self, name: str, value: str, kind: str, dims: Dims) -> None:
        """Give a value out under a name."""
        self._nodes.append(self._onnx.helper.make_node("Identity", [value], [name]))
        self._outputs.append(self._onnx.helper.make_tensor_value_info(name, self._type(kind), list(dims)))

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output, and return the output's name."""
        (output,) = self.ops(kind, 1, *inputs, **attributes)
        return output

    def ops(self, kind: str, count: int, *inputs: str, **attributes: Any) -> list[str]:
        """Add a node with several outputs, and return their names."""
        stem = self._new(kind)
        outputs = [stem] if count == 1 else [f"{stem}_{i}" for i in range(count)]
        self._nodes.append(self._onnx.helper.make_node(kind, list(inputs), outputs, **attributes))
        return outputs

    def constant(self, values: Any, dtype: Any = np.float32) -> str:
        """Return a small constant that is kept in the graph itself."""
        array = np.asarray(values, dtype=dtype)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            name = self._constants[key] = f"constant_{len(self._constants)}"
            self._initializers[name] = self._onnx.numpy_helper.from_array(array, name)
        return self._constants[key]

    def sizes(self, *values: int) -> str:
        """Return a constant of whole numbers, as shapes and axes are given."""
        return self.constant(values, np.int64)

    def weight(self, name: str, kind: str = FLOAT) -> str:
        """Return a tensor of the weights file, converted to a type.

        Raises:
            KeyError: The file has no such tensor.
        """
        stored = self.tensors[name]
        if name not in self._initializers:
            proto = self._onnx.TensorProto(name=name, dims=stored.shape)
            proto.data_type = self._onnx.helper.np_dtype_to_tensor_dtype(stored.dtype)
            proto.data_location = self._onnx.TensorProto.EXTERNAL
            proto.external_data.add(key="location", value="weights")
            self._initializers[name] = proto
        return self.cast(name, kind)

    def cast(self, value: str, kind: str) -> str:
        """Return a value in another type; of the same value and type there is one node."""
        if (value, kind) not in self._casts:
            self._casts[value, kind] = self.op("Cast", value, to=self._type(kind))
        return self._casts[value, kind]

    def part(self, value: str, start: int, stop: int, axis: int) -> str:
        """Return start..stop of an axis."""
        return self.op("Slice", value, self.sizes(start), self.sizes(stop), self.sizes(axis))

    def reshape(self, value: str, *shape: int | str) -> str:
        """Return a value in another shape: numbers as ONNX has them, and names of one-element arrays."""
        if all(isinstance(size, int) for size in shape):
            return self.op("Reshape", value, self.sizes(*(int(size) for size in shape)))
        parts = [self.sizes(size) if isinstance(size, int) else size for size in shape]
        # A size may be 0, as where there are no anchors; without allowzero that would mean the input's own size.
        return self.op(
            "Reshape", value, self.op("Concat", *parts, axis=0), allowzero=int(-1 not in shape and 0 not in shape)
        )

    def dims(self, value: str, *axes: int) -> list[str]:
        """Return the sizes of some axes, as one-element arrays."""
        shape = self.op("Shape", value)
        return [self.part(shape, axis, axis + 1, 0) for axis in axes]

    def serialise(self, metadata: Mapping[str, str]) -> bytes:
        """Return the model as bytes."""
        helper = self._onnx.helper
        graph = helper.make_graph(
            self._nodes, self.name, self._inputs, self._outputs, initializer=list(self._initializers.values())
        )
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="tacit"
        )
        for key, value in metadata.items():
            model.metadata_props.add(key=key, value=value)
        data: bytes = model.SerializeToString(deterministic=True)
        return data
