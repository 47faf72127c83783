/**
 * The synthesis as a graph of float32 alone, for GPUs.
 *
 * WebGPU has no integers of 8 and 16 bits, and often no floats of 16. So the latents come as floats, the weights are
 * made floats of 32 bits, and the output with levels is left out, with all that only it needs.
 */

import { joined } from './bytes.js';
import { CorruptWeights } from './errors.js';
import { field, fieldsOf, numberField } from './protobuf.js';
import type { Weights } from './weights.js';

// Numbers of fields in onnx.proto.
const MODEL_GRAPH = 7;
const GRAPH_NODE = 1;
const GRAPH_INITIALIZER = 5;
const GRAPH_INPUT = 11;
const GRAPH_OUTPUT = 12;
const NODE_INPUT = 1;
const NODE_OUTPUT = 2;
const VALUE_NAME = 1;
const VALUE_TYPE = 2;
const TYPE_TENSOR = 1;
const TENSOR_TYPE_ELEMENT = 1;
const TENSOR_DATA_TYPE = 2;
const TENSOR_NAME = 8;
const TENSOR_RAW_DATA = 9;
const TENSOR_EXTERNAL_DATA = 13;
const TENSOR_DATA_LOCATION = 14;
const FLOAT = 1;

function textOf(message: Uint8Array, number: number): string {
  const found = [...fieldsOf(message)].find((one) => one.number === number);
  return new TextDecoder().decode(found?.payload);
}

function textsOf(message: Uint8Array, number: number): string[] {
  const decoder = new TextDecoder();
  return [...fieldsOf(message)].filter((one) => one.number === number).map((one) => decoder.decode(one.payload));
}

/** Return floats of 16 bits as floats of 32. */
export function widened(halves: Uint16Array): Float32Array {
  return Float32Array.from(halves, (half) => {
    const sign = half & 0x8000 ? -1 : 1;
    const exponent = (half >> 10) & 31;
    const fraction = half & 1023;
    if (exponent === 31) return fraction ? NaN : sign * Infinity;
    return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024));
  });
}

/** Return a tensor that lies in the weights file as one of float32 that has its data. */
function floatTensor(tensor: Uint8Array, weights: Weights): Uint8Array {
  const fields = [...fieldsOf(tensor)];
  if (!fields.some((one) => one.number === TENSOR_DATA_LOCATION && one.value === 1)) return tensor;
  const name = textOf(tensor, TENSOR_NAME);
  let bytes: Uint8Array = weights.bytes(name);
  const dtype = weights.places.get(name)!.dtype;
  if (dtype === 'F16') bytes = new Uint8Array(widened(new Uint16Array(bytes.slice().buffer)).buffer);
  else if (dtype !== 'F32') throw new CorruptWeights(`the tensor ${name} must have floats, got ${dtype}`);
  const replaced = [TENSOR_DATA_TYPE, TENSOR_RAW_DATA, TENSOR_EXTERNAL_DATA, TENSOR_DATA_LOCATION];
  return joined([
    ...fields.filter((one) => !replaced.includes(one.number)).map((one) => one.whole),
    numberField(TENSOR_DATA_TYPE, FLOAT),
    field(TENSOR_RAW_DATA, bytes),
  ]);
}

/** Return a message in which the field at the end of a path of numbers is another number. */
function withNumber(message: Uint8Array, path: readonly number[], value: number): Uint8Array {
  const [first, ...rest] = path;
  return joined(
    [...fieldsOf(message)].map((one) => {
      if (one.number !== first) return one.whole;
      return rest.length ? field(first, withNumber(one.payload, rest, value)) : numberField(first, value);
    }),
  );
}

/** Return the graph of the synthesis that gives `image` alone, with the weights in it. */
export function floatGraph(weights: Weights): Uint8Array {
  const kept = (graph: Uint8Array): Uint8Array => {
    const fields = [...fieldsOf(graph)];
    const nodes = fields.filter((one) => one.number === GRAPH_NODE);
    const needed = new Set(['image']);
    const used = new Set<Uint8Array>();
    // Nodes come after those whose outputs they take.
    for (const { payload, whole } of nodes.reverse()) {
      if (!textsOf(payload, NODE_OUTPUT).some((output) => needed.has(output))) continue;
      used.add(whole);
      for (const input of textsOf(payload, NODE_INPUT)) needed.add(input);
    }
    const element = [VALUE_TYPE, TYPE_TENSOR, TENSOR_TYPE_ELEMENT];
    return joined(
      fields.flatMap(({ number, payload, whole }) => {
        if (number === GRAPH_NODE) return used.has(whole) ? [whole] : [];
        if (number === GRAPH_INPUT) return [field(number, withNumber(payload, element, FLOAT))];
        if (number === GRAPH_OUTPUT) return needed.has(textOf(payload, VALUE_NAME)) ? [whole] : [];
        if (number === GRAPH_INITIALIZER) {
          return needed.has(textOf(payload, TENSOR_NAME)) ? [field(number, floatTensor(payload, weights))] : [];
        }
        return [whole];
      }),
    );
  };
  return joined(
    [...fieldsOf(weights.bytes('graphs.synthesis'))].map((one) =>
      one.number === MODEL_GRAPH ? field(MODEL_GRAPH, kept(one.payload)) : one.whole,
    ),
  );
}
