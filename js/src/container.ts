/** The outer structure of a `.tacit` file: signature, chunks, header (docs/format.md). Errors are those of Python. */

import { CorruptFile, ImageTooLarge, TacitError, UnsupportedFile } from './errors.js';
import { type Chunk, checkKnown, chunkAt, isKnown } from './framing.js';
import type { Header } from './header.js';
import { headerAt } from './outline.js';
import { readAlpha, readCaption, readIndex, readMap, unpacked } from './payloads.js';
import { CELL, type Region, type Streams, readRegions, regionCount, regionGrid } from './regions.js';
import { checkSignature } from './signature.js';

export const MAX_PIXELS = 178_956_970;

const MOST_REGIONS = 2 ** 20;

/** A parsed file. Its regions are still entropy-coded. */
export interface TacitFile extends Streams {
  header: Header;
  version: number;
  caption: string | null;
  /** One signed value for each cell, in raster order; null if there is no map. */
  qualityMap: Int8Array | null;
  /** How the alpha channel is stored, and its data; null if there is none. */
  alpha: { method: number; data: Uint8Array } | null;
  icc: Uint8Array | null;
  exif: Uint8Array | null;
  xmp: Uint8Array | null;
  grid: Region[];
}

/** Limits of reading a file. */
export interface Limits {
  /** The most pixels, width times height. */
  maxPixels?: number;
  /** Whether the end of the file may be missing. What is there of its last chunk is then taken unverified. */
  partial?: boolean;
}

/** Check the size of an image. */
export function checkPixels({ width, height }: Header, maxPixels: number): void {
  if (width * height <= maxPixels) return;
  throw new ImageTooLarge(
    `image must have at most ${maxPixels} pixels, got ${width}x${height} = ${width * height} pixels`,
  );
}

/** Return the payloads of the chunks between the header and the regions, by their types, and where they end. */
function readBody(data: Uint8Array, start: number): [Map<string, Uint8Array>, number] {
  const payloads = new Map<string, Uint8Array>();
  let position = start;
  while (position < data.length && data[position] !== 'R'.charCodeAt(0)) {
    const chunk: Chunk = chunkAt(data, position);
    position = chunk.end;
    checkKnown(chunk);
    const { type, name, payload } = chunk;
    if (type === 'H' || payloads.has(type)) {
      throw new CorruptFile(`${name} must be in a file once, got a second one at byte ${chunk.start}`);
    }
    if (isKnown(type)) payloads.set(type, payload);
  }
  return [payloads, position];
}

/** Return what the payload of a chunk holds, or null if there is no such chunk. */
function valueOf<T>(
  payloads: ReadonlyMap<string, Uint8Array>,
  type: string,
  name: string,
  read: (payload: Uint8Array) => T,
  [required, rule]: [boolean | null, string] = [null, ''],
): T | null {
  const payload = payloads.get(type);
  if (required !== null && required !== (payload !== undefined)) {
    throw new CorruptFile(`chunk ${type}: ${name} must be present ${rule}, got ${payload ? 'one' : 'none'}`);
  }
  if (!payload) return null;
  try {
    return read(payload);
  } catch (error) {
    if (!(error instanceof TacitError)) throw error;
    const kind = error instanceof UnsupportedFile ? UnsupportedFile : CorruptFile;
    throw new kind(`chunk ${type}: ${name} ${error.message}`);
  }
}

/**
 * Return a parsed file.
 *
 * @throws CorruptFile - The file is damaged.
 * @throws UnsupportedFile - It is no `.tacit` file, or of a newer version.
 * @throws ImageTooLarge - It has more pixels than the limit.
 */
export function parse(data: Uint8Array, { maxPixels = MAX_PIXELS, partial = false }: Limits = {}): TacitFile {
  const version = checkSignature(data);
  const { header, end } = headerAt(data, version);
  checkPixels(header, maxPixels);
  const { width, height } = header;
  const scans = header.scans ?? 1;
  const count = regionCount(width, height);
  if (count * scans > MOST_REGIONS) {
    throw new ImageTooLarge(`image must have at most ${MOST_REGIONS} regions times scans, got ${count} times ${scans}`);
  }
  const [payloads, front] = readBody(data, end);
  const total = count * scans;
  const cells: [number, number] = [Math.ceil(height / CELL), Math.ceil(width / CELL)];
  const says = 'exactly if the header says so';
  const several = 'exactly if regions times scans are two or more';
  const index = valueOf(payloads, 'I', 'index', (payload) => readIndex(payload, total), [total > 1, several]);
  const values = {
    qualityMap: valueOf(payloads, 'Q', 'quality map', (payload) => readMap(payload, ...cells), [header.mapped, says]),
    alpha: valueOf(payloads, 'A', 'alpha', readAlpha, [header.alpha, says]),
    caption: valueOf(payloads, 'c', 'caption', readCaption),
    icc: valueOf(payloads, 'i', 'icc', (payload) => unpacked(payload)),
    exif: valueOf(payloads, 'e', 'exif', (payload) => unpacked(payload)),
    xmp: valueOf(payloads, 'x', 'xmp', (payload) => unpacked(payload)),
  };
  const { regions, cut } = readRegions(data, front, count, scans, index, partial);
  return { header, version, ...values, grid: regionGrid(width, height), regions, cut };
}
