/**
 * Where a graph's weights lie in a weights file.
 *
 * A graph holds no weights: its initializers are external, and have the names of the file's tensors. ONNX Runtime for
 * the web takes external weights from a file at an offset, so the offsets are written into the graph here.
 */

import { CorruptWeights } from './errors.js';

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

interface Field {
  number: number;
  wire: number;
  /** The field with its tag. */
  whole: Uint8Array;
  /** What a field with a length holds. */
  payload: Uint8Array;
  value: number;
}

function* fieldsOf(data: Uint8Array): Generator<Field> {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (at >= data.length) throw new CorruptWeights('a graph ends too early');
      const byte = data[at++];
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
    throw new CorruptWeights('a graph is damaged');
  };
  while (at < data.length) {
    const start = at;
    const tag = varint();
    const wire = tag & 7;
    let value = 0;
    let payload = data.subarray(at, at);
    if (wire === 0) value = varint();
    else if (wire === 1) at += 8;
    else if (wire === 5) at += 4;
    else if (wire === 2) {
      const length = varint();
      payload = data.subarray(at, at + length);
      at += length;
    } else throw new CorruptWeights('a graph is damaged');
    if (at > data.length) throw new CorruptWeights('a graph ends too early');
    yield { number: Math.floor(tag / 8), wire, whole: data.subarray(start, at), payload, value };
  }
}

function encodedVarint(value: number): number[] {
  const bytes: number[] = [];
  do {
    bytes.push((value % 128) + (value >= 128 ? 128 : 0));
    value = Math.floor(value / 128);
  } while (value);
  return bytes;
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

function field(number: number, payload: Uint8Array): Uint8Array {
  return joined([Uint8Array.from([...encodedVarint(8 * number + 2), ...encodedVarint(payload.length)]), payload]);
}

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
