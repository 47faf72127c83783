/** The payloads of chunks: what breaks a rule is an error without the chunk's name, which the reader puts in front. */

import { type FlateError, FlateErrorCode, Inflate } from 'fflate';
import { hexadecimal, joined } from './bytes.js';
import { CorruptFile, UnsupportedFile } from './errors.js';
import { readVarint } from './framing.js';

export const MOST_METADATA = 2 ** 24; // bytes of a decompressed block

const MOST_CAPTION = 65_535; // bytes
const PIECE = 4096; // bytes that are inflated at once: few enough that what they stand for is small, too

/** Return the Adler-32 of bytes, as zlib has it. */
function adler32(data: Uint8Array): number {
  let [low, high] = [1, 0];
  for (let at = 0; at < data.length;) {
    for (const end = Math.min(at + 3800, data.length); at < end; at++) high += low += data[at];
    low %= 65_521;
    high %= 65_521;
  }
  return high * 65_536 + low;
}

/** Inflate one zlib stream, which nothing may follow, to at most `most` bytes. */
function inflated(stream: Uint8Array, most: number): Uint8Array {
  const other = (why: string) => new CorruptFile(`must be a zlib stream, got other bytes: ${why}`);
  const [method, flags] = stream;
  if (stream.length > 1 && ((method & 15) !== 8 || method >> 4 > 7 || (method * 256 + flags) % 31 || flags & 32)) {
    throw other('incorrect header check');
  }
  const pieces: Uint8Array[] = [];
  let size = 0;
  const inflate = new Inflate((piece) => {
    pieces.push(piece);
    size += piece.length;
  });
  const early = () => new CorruptFile('must hold a whole zlib stream, got one that ends early');
  try {
    for (let at = 2; at < stream.length && size <= most; at += PIECE) {
      inflate.push(stream.subarray(at, at + PIECE), at + PIECE >= stream.length);
    }
  } catch (error) {
    const { code, message } = error as FlateError;
    throw code === FlateErrorCode.UnexpectedEOF ? early() : other(message);
  }
  if (size > most) throw new CorruptFile(`must hold at most ${most} bytes of data, got more`);
  const data = joined(pieces);
  // Where the stream ends is not known here: its checksum is looked for from the end on.
  const checksum = adler32(data);
  const digits = [24, 16, 8, 0].map((shift) => (checksum >>> shift) & 255);
  const endsWith = (end: number, count: number) =>
    digits.slice(0, count).every((digit, i) => stream[end - count + i] === digit);
  for (let end = stream.length; end >= 6; end--) {
    if (!endsWith(end, 4)) continue;
    if (end === stream.length) return data;
    throw new CorruptFile(`must end with its zlib stream, got ${stream.length - end} bytes after it`);
  }
  throw stream.length < 4 || [1, 2, 3].some((count) => endsWith(stream.length, count))
    ? early()
    : other('incorrect data check');
}

/**
 * Return what a method byte and data stand for.
 *
 * @param most - How many bytes that may be.
 */
export function unpacked(payload: Uint8Array, most = MOST_METADATA): Uint8Array {
  if (!payload.length) throw new CorruptFile('must begin with a method byte, got an empty payload');
  const stored = payload.subarray(1);
  if (payload[0] === 1) return inflated(stored, most);
  if (payload[0] !== 0) {
    throw new UnsupportedFile(`method must be 0 (as it is) or 1 (zlib), got ${payload[0]}`);
  }
  if (stored.length > most) throw new CorruptFile(`must hold at most ${most} bytes of data, got more`);
  return stored;
}

/** Return how many bytes from the beginning on are UTF-8. */
function validBytes(payload: Uint8Array): number {
  const text = (length: number): string | null => {
    try {
      const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
      return decoder.decode(payload.subarray(0, length), { stream: true }); // a character may be cut at the end
    } catch {
      return null;
    }
  };
  let [valid, wrong] = [0, payload.length + 1];
  while (wrong - valid > 1) {
    const middle = (valid + wrong) >> 1;
    if (text(middle) === null) wrong = middle;
    else valid = middle;
  }
  return new TextEncoder().encode(text(valid)!).length;
}

/** Return the caption in a payload. */
export function readCaption(payload: Uint8Array): string {
  if (payload.length > MOST_CAPTION) {
    throw new CorruptFile(`must have at most ${MOST_CAPTION} bytes of UTF-8, got ${payload.length}`);
  }
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(payload);
  } catch {
    throw new CorruptFile(`must be UTF-8, got another byte at ${validBytes(payload)}`);
  }
  for (const [place, character] of [...text].entries()) {
    if (!/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/.test(character)) continue;
    const code = hexadecimal(character.charCodeAt(0), 4).toUpperCase();
    throw new CorruptFile(
      'must have no control character but tab, line feed and carriage return, ' + `got U+${code} at character ${place}`,
    );
  }
  return text;
}

/** Return the lengths in the payload of an index. */
export function readIndex(payload: Uint8Array, count: number): number[] {
  if (payload.length < count) {
    throw new CorruptFile(`must have at least a byte for each of ${count} regions, got ${payload.length} bytes`);
  }
  const lengths: number[] = [];
  let position = 0;
  for (let number = 0; number < count; number++) {
    const [length, next] = readVarint(payload, position, `length of region ${number}`);
    lengths.push(length);
    position = next;
  }
  if (position !== payload.length) {
    throw new CorruptFile(`must have the ${position} bytes of its ${count} lengths, got ${payload.length}`);
  }
  return lengths;
}

/** Return the quality map in a payload: one signed value for each cell. */
export function readMap(payload: Uint8Array, rows: number, columns: number): Int8Array {
  const data = unpacked(payload, rows * columns);
  if (data.length !== rows * columns) {
    throw new CorruptFile(`must have a value for each of ${rows}x${columns} cells, got ${data.length}`);
  }
  const values = new Int8Array(data);
  const worst = values.reduce((most, value) => (Math.abs(value) > Math.abs(most) ? value : most), 0);
  if (Math.abs(worst) > 100) throw new CorruptFile(`values must be -100 to 100, got ${worst}`);
  return values;
}

/** Return how the alpha channel is stored, and its data. */
export function readAlpha(payload: Uint8Array): { method: number; data: Uint8Array } {
  const [method] = payload;
  if (payload.length < 2) throw new CorruptFile(`must have a method byte and data, got ${payload.length} bytes`);
  if (method === 0 && payload.length !== 2) {
    throw new CorruptFile(`must have 1 byte of data where alpha is constant, got ${payload.length - 1}`);
  }
  if (method > 1) throw new UnsupportedFile(`method must be 0 (constant) or 1 (PNG), got ${method}`);
  return { method, data: payload.subarray(1) };
}
