/**
 * Where a graph's weights lie in a weights file.
 *
 * A graph holds no weights: its initializers are external, and have the names of the file's tensors. ONNX Runtime for
 * the web takes external weights from a file at an offset, so the offsets are written into the graph here.
 */

import { joined } from './bytes.js';
import { CorruptWeights } from './errors.js';
import { field, fieldsOf } from './protobuf.js';

/** Where a tensor's bytes lie in the file. */
export interface Place {
  offset: number;
  length: number;
}

// Numbers of fields in onnx.proto.
const MODEL_GRAPH = 7;
const GRAPH_INITIALIZER = 5;
const TENSOR_NAME = 8;
const TENSOR_EXTERNAL_DATA = 13;
const TENSOR_DATA_LOCATION = 14;
const ENTRY_KEY = 1;
const ENTRY_VALUE = 2;

function entry(key: string, value: string): Uint8Array {
  const bytes = new TextEncoder();
  return field(
    TENSOR_EXTERNAL_DATA,
    joined([field(ENTRY_KEY, bytes.encode(key)), field(ENTRY_VALUE, bytes.encode(value))]),
  );
}

function placedTensor(tensor: Uint8Array, location: string, places: ReadonlyMap<string, Place>): Uint8Array {
  const fields = [...fieldsOf(tensor)];
  if (!fields.some((one) => one.number === TENSOR_DATA_LOCATION && one.value === 1)) return tensor;
  const named = fields.find((one) => one.number === TENSOR_NAME);
  const name = new TextDecoder().decode(named?.payload);
  const place = places.get(name);
  if (!place) throw new CorruptWeights(`a graph needs the tensor ${name}, which the file does not have`);
  return joined([
    ...fields.filter((one) => one.number !== TENSOR_EXTERNAL_DATA).map((one) => one.whole),
    entry('location', location),
    entry('offset', String(place.offset)),
    entry('length', String(place.length)),
  ]);
}

/** Return an ONNX model whose external tensors are found at their places in the file `location`. */
export function placed(model: Uint8Array, location: string, places: ReadonlyMap<string, Place>): Uint8Array {
  const withGraph = (graph: Uint8Array): Uint8Array =>
    joined(
      [...fieldsOf(graph)].map((one) =>
        one.number === GRAPH_INITIALIZER
          ? field(GRAPH_INITIALIZER, placedTensor(one.payload, location, places))
          : one.whole,
      ),
    );
  return joined(
    [...fieldsOf(model)].map((one) =>
      one.number === MODEL_GRAPH ? field(MODEL_GRAPH, withGraph(one.payload)) : one.whole,
    ),
  );
}
