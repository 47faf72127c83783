/** The encoding of Protocol Buffers, in which ONNX graphs are written: as much of it as they need. */

import { joined } from './bytes.js';
import { CorruptWeights } from './errors.js';

/** A field of a message. */
export interface Field {
  number: number;
  wire: number;
  /** The field with its tag. */
  whole: Uint8Array;
  /** What a field with a length holds. */
  payload: Uint8Array;
  value: number;
}

/** Return the fields of a message, in their order. */
export function* fieldsOf(data: Uint8Array): Generator<Field> {
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

/** Return a number as a varint. */
function encodedVarint(value: number): number[] {
  const bytes: number[] = [];
  do {
    bytes.push((value % 128) + (value >= 128 ? 128 : 0));
    value = Math.floor(value / 128);
  } while (value);
  return bytes;
}

/** Return a field that has a length. */
export function field(number: number, payload: Uint8Array): Uint8Array {
  return joined([Uint8Array.from([...encodedVarint(8 * number + 2), ...encodedVarint(payload.length)]), payload]);
}

/** Return a field that is a number. */
export function numberField(number: number, value: number): Uint8Array {
  return Uint8Array.from([...encodedVarint(8 * number), ...encodedVarint(value)]);
}
