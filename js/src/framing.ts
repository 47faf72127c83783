/** The form that every chunk has: type, length, payload and checksum; and varints, the numbers in that form. */

import { hexadecimal } from './bytes.js';
import { CorruptFile, UnsupportedFile } from './errors.js';

const MAX_NUMBER = 2 ** 32 - 1; // the largest varint
const KNOWN = 'HIQAcixeR';

export const LEAST_CHUNK = 6; // bytes of the smallest chunk: type, one byte of length, checksum

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

/** Return the CRC-32 of bytes, as in PNG and zlib. */
export function crc32(data: Uint8Array): number {
  let crc = 0xffffffff;
  for (let i = 0; i < data.length; i++) crc = CRC_TABLE[(crc ^ data[i]) & 255] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/**
 * Return the varint at a position, and the position behind it.
 *
 * @param what - What messages call the number.
 * @throws CorruptFile - The number is cut off, too large, or written in more bytes than it needs.
 */
export function readVarint(data: Uint8Array, position: number, what: string): [number, number] {
  let value = 0;
  for (let place = 0; place < 5; place++) {
    if (position + place >= data.length) throw new CorruptFile(`${what} is cut off at byte ${data.length}`);
    const byte = data[position + place];
    value += (byte & 127) * 2 ** (7 * place);
    if (byte > 127) continue;
    if (place && !byte) {
      throw new CorruptFile(`${what}: ${value} must be written in the fewest bytes, got ${place + 1} bytes`);
    }
    if (value > MAX_NUMBER) throw new CorruptFile(`${what} must be at most ${MAX_NUMBER}, got ${value}`);
    return [value, position + place + 1];
  }
  throw new CorruptFile(`${what} must have at most 5 bytes, got more`);
}

/** Return how many bytes a number takes as a varint. */
function varintSize(value: number): number {
  let size = 1;
  for (let left = value; left >= 128; left = Math.floor(left / 128)) size++;
  return size;
}

/** Return the bytes of a chunk with a payload of so many. */
export function chunkSize(length: number): number {
  return 1 + varintSize(length) + length + 4;
}

/** A chunk where it lies in a file, its checksum verified. */
export interface Chunk {
  /** The letter of its type, known or not. */
  type: string;
  /** What messages call it. */
  name: string;
  /** Where it begins. */
  start: number;
  /** Where it ends, behind its checksum. */
  end: number;
  payload: Uint8Array;
}

/**
 * Return the chunk that begins at a position of a file.
 *
 * @param number - The number of the region whose chunk this is, for messages; null if it is not of a region.
 * @throws CorruptFile - There is no chunk, it promises more bytes than the file has, or its checksum is wrong.
 */
export function chunkAt(data: Uint8Array, start: number, number: number | null = null): Chunk {
  const type = String.fromCharCode(data[start]);
  if (!/[A-Za-z]/.test(type)) {
    throw new CorruptFile(`byte ${start}: type of a chunk must be a letter, got 0x${hexadecimal(data[start], 2)}`);
  }
  const name = number === null ? `chunk ${type}` : `chunk ${type} ${number}`;
  const [length, body] = readVarint(data, start + 1, `${name}: length`);
  const end = body + length + 4;
  if (end > data.length) {
    const left = data.length - body;
    throw new CorruptFile(`${name}: length of ${length} bytes and a checksum must fit in the file, got ${left} bytes`);
  }
  const stored = new DataView(data.buffer, data.byteOffset).getUint32(end - 4);
  const computed = crc32(data.subarray(start, end - 4));
  if (stored !== computed) {
    throw new CorruptFile(`${name}: checksum must be ${hexadecimal(stored, 8)}, got ${hexadecimal(computed, 8)}`);
  }
  return { type, name, start, end, payload: data.subarray(body, end - 4) };
}

/** Whether a type of chunk is one that this reader knows. */
export function isKnown(type: string): boolean {
  return KNOWN.includes(type);
}

/**
 * Check that a chunk can be read here or may be skipped.
 *
 * @throws UnsupportedFile - The chunk is unknown and critical.
 */
export function checkKnown({ type, name }: Chunk): void {
  if (!isKnown(type) && type === type.toUpperCase()) {
    throw new UnsupportedFile(`${name} is unknown to this tacit and needed to read the file: a newer tacit is needed`);
  }
}

/**
 * Return what is there of a chunk's payload if the data end inside the chunk, and null if they do not.
 *
 * A length that breaks a rule is left to `chunkAt`.
 *
 * @param start - Where the chunk begins.
 * @param expected - The length by the index; null if there is none.
 */
export function beginningOfPayload(data: Uint8Array, start: number, expected: number | null): Uint8Array | null {
  const body = start + 1;
  let length = 0;
  let size = 0;
  for (;;) {
    if (body + size >= data.length) break; // the length itself is cut
    if (size === 5) return null;
    const byte = data[body + size];
    length += (byte & 127) * 2 ** (7 * size++);
    if (byte < 128) {
      if ((expected !== null && length !== expected) || (size > 1 && !byte) || length > MAX_NUMBER) return null;
      const first = body + size;
      return first + length + 4 > data.length ? data.subarray(first, first + length) : null;
    }
  }
  if (expected !== null && Math.floor(expected / 2 ** (7 * size)) === 0) return null; // it would be a shorter one
  return expected === null || expected % 2 ** (7 * size) === length ? data.subarray(data.length) : null;
}
