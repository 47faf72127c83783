/** What the first bytes of a file say while the others are still to come. */

import { CorruptFile } from './errors.js';
import { chunkAt, chunkSize, readVarint } from './framing.js';
import { type Header, readHeader } from './header.js';
import { storedSize } from './regions.js';
import { SIGNATURE_LENGTH, checkSignature } from './signature.js';

/**
 * Return the header of a file of which only the beginning is there; null if that is too little.
 *
 * @throws TacitError - As for `parse`, as far as the beginning shows it.
 */
export function parseHeader(data: Uint8Array): Header | null {
  if (data.length < SIGNATURE_LENGTH + 2) return null; // with the header's type and its length
  const version = checkSignature(data);
  const type = String.fromCharCode(data[SIGNATURE_LENGTH]);
  if (type === 'H') {
    const [length, body] = readVarint(data, SIGNATURE_LENGTH + 1, 'chunk H: length');
    if (body + length + 4 > data.length) return null;
  }
  return headerAt(data, version).header;
}

/**
 * Return the header of a file, and where its chunk ends.
 *
 * @param version - That of the file.
 * @throws TacitError - The chunk is damaged, or is another.
 */
export function headerAt(data: Uint8Array, version: number): { header: Header; end: number } {
  if (data.length === SIGNATURE_LENGTH) throw new CorruptFile('the file ends before its header');
  const { type, payload, end } = chunkAt(data, SIGNATURE_LENGTH);
  if (type !== 'H') throw new CorruptFile(`the first chunk must be H, got ${type}`);
  return { header: readHeader(payload, version), end };
}

/** How the beginning of a file is laid out. */
export interface Outline {
  /** Where the first region's chunk begins. */
  front: number;
  /** The bytes of the whole file, as the lengths in its beginning say; null if too little is there to tell. */
  total: number | null;
}

/**
 * Return the outline of a file of which only the beginning is there; null if its first region has not begun.
 *
 * Nothing is verified here: the outline serves to tell when there is something to show, and how far a file has come.
 */
export function outline(data: Uint8Array): Outline | null {
  let position = SIGNATURE_LENGTH;
  let indexed: number | null = null; // the bytes of all regions' chunks
  try {
    while (position < data.length) {
      const type = String.fromCharCode(data[position]);
      if (type === 'R') return { front: position, total: totalOf(data, position, indexed) };
      const [length, body] = readVarint(data, position + 1, 'length');
      position = body + length + 4;
      if (type === 'I' && position <= data.length) indexed = indexedSize(data.subarray(body, body + length));
    }
  } catch {
    // the length is cut, or damaged
  }
  return null;
}

/** Return the bytes of the chunks that an index lists. */
function indexedSize(payload: Uint8Array): number {
  let size = 0;
  for (let at = 0; at < payload.length;) {
    const [length, next] = readVarint(payload, at, 'length');
    size += storedSize(length, 2);
    at = next;
  }
  return size;
}

/** Return the bytes of a file whose first region begins at `front`; null if it is cut there. */
function totalOf(data: Uint8Array, front: number, indexed: number | null): number | null {
  if (indexed !== null) return front + indexed;
  try {
    return front + chunkSize(readVarint(data, front + 1, 'length')[0]);
  } catch {
    return null;
  }
}
