/** The regions of an image, and their chunks at the end of a file. */

import { joined } from './bytes.js';
import { CorruptFile } from './errors.js';
import { LEAST_CHUNK, beginningOfPayload, checkKnown, chunkAt, chunkSize } from './framing.js';

export const CELL = 64; // pixels of a side of a quality map's cell

const LONGEST_SIDE = 1024; // pixels of a region

/** A rectangle of the image, in pixels. */
export interface Region {
  left: number;
  top: number;
  width: number;
  height: number;
}

/** The bytes of the regions, as far as they are there. */
export interface Streams {
  /** The bytes of each region; null where there are none, because the file was cut. */
  regions: (Uint8Array | null)[];
  /** Whether the end of a region's bytes is missing, for each region. */
  cut: boolean[];
}

/** Return the beginnings and lengths of the regions along one side. */
function spans(length: number): [number, number][] {
  const count = Math.ceil(length / LONGEST_SIDE);
  const size = Math.ceil(Math.ceil(length / count) / CELL) * CELL;
  return Array.from({ length: count }, (_, j) => [j * size, j === count - 1 ? length - j * size : size]);
}

/** Return the number of regions of an image. */
export function regionCount(width: number, height: number): number {
  return Math.ceil(width / LONGEST_SIDE) * Math.ceil(height / LONGEST_SIDE);
}

/** Return the regions of an image, in raster order. */
export function regionGrid(width: number, height: number): Region[] {
  const columns = spans(width);
  return spans(height).flatMap(([top, h]) => columns.map(([left, w]) => ({ left, top, width: w, height: h })));
}

/** Return how many bytes of a file a piece takes. In a file of several scans, an empty piece has no chunk. */
export function storedSize(length: number, scans: number): number {
  return length || scans === 1 ? chunkSize(length) : 0;
}

/** Check that the chunk at a position is that of a region. */
function expectRegion(data: Uint8Array, position: number, number: number, count: number): void {
  if (position >= data.length) throw new CorruptFile(`the file ends after ${number} of ${count} regions`);
  if (data[position] === 'R'.charCodeAt(0)) return;
  const chunk = chunkAt(data, position);
  checkKnown(chunk);
  throw new CorruptFile(`byte ${position} must begin region ${number} of ${count}, got ${chunk.name}`);
}

/** Return the bytes of each region, put together of the pieces that are there, and whether the end is missing. */
function joinedPieces(pieces: readonly (Uint8Array | null)[], scans: number, unfinished: number): Streams {
  const count = pieces.length / scans;
  const regions: (Uint8Array | null)[] = [];
  const cut: boolean[] = [];
  for (let region = 0; region < count; region++) {
    const own: Uint8Array[] = [];
    let whole = true;
    for (let number = region; whole && number < pieces.length; number += count) {
      const piece = pieces[number];
      if (piece) own.push(piece);
      whole = piece !== null && number !== unfinished;
    }
    cut.push(!whole);
    regions.push(own.length > 1 ? joined(own) : (own[0] ?? null));
  }
  return { regions, cut };
}

/**
 * Return the bytes of all regions.
 *
 * @param start - Where the first region's chunk begins.
 * @param count - How many regions there are.
 * @param scans - How many pieces the bytes of each are cut into.
 * @param index - The lengths of the chunks' payloads; null where there is a single one.
 * @param partial - Whether the end of the file may be missing. What is there of the last chunk is then not verified.
 * @throws CorruptFile - A chunk is damaged or missing, or something follows the last one.
 */
export function readRegions(
  data: Uint8Array,
  start: number,
  count: number,
  scans: number,
  index: readonly number[] | null,
  partial: boolean,
): Streams {
  const total = count * scans;
  const stored = index ? index.filter((length) => storedSize(length, scans)).length : total;
  const left = data.length - start;
  if (total > 1 && left < stored * LEAST_CHUNK && !partial) {
    throw new CorruptFile(`${stored} regions must have at least ${stored * LEAST_CHUNK} bytes, got ${left}`);
  }
  const pieces: (Uint8Array | null)[] = [];
  let position = start;
  let unfinished = -1; // the number of the piece of which only the beginning is there
  for (let number = 0; number < total; number++) {
    const expected = index ? index[number] : null;
    if (expected !== null && !storedSize(expected, scans)) {
      pieces.push(new Uint8Array());
      continue;
    }
    if (partial && start < position && position >= data.length) {
      pieces.push(null);
      continue;
    }
    expectRegion(data, position, number, total);
    const beginning = partial ? beginningOfPayload(data, position, expected) : null;
    if (beginning) {
      unfinished = number;
      position = data.length;
      pieces.push(beginning);
      continue;
    }
    const { name, payload, end } = chunkAt(data, position, number);
    if (expected !== null && payload.length !== expected) {
      throw new CorruptFile(`${name} must have ${expected} bytes as in the index, got ${payload.length}`);
    }
    pieces.push(payload);
    position = end;
  }
  if (position !== data.length) {
    throw new CorruptFile(`the file must end with the last region, got ${data.length - position} bytes after it`);
  }
  return joinedPieces(pieces, scans, unfinished);
}
