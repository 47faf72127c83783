/** The outer structure of a `.tacit` file: signature, chunks, header (docs/format.md). */

import { unzlibSync } from 'fflate';
import { CorruptFile, ImageTooLarge, UnsupportedFile } from './errors.js';

export const CELL = 64; // pixels of a side of a quality map's cell
export const LATENT_STEP = 16; // pixels of a side of a latent
export const FIXED_RATE = 10_001; // what stands for the quality of weights that have one rate
export const MAX_PIXELS = 178_956_970;

const SIGNATURE = [0x89, 0x54, 0x43, 0x54, 0x0d, 0x0a, 0x1a, 0x0a];
const NEWEST_VERSION = 3;
const LONGEST_SIDE = 1024; // pixels of a region
const MOST_REGIONS = 2 ** 20;
const MOST_METADATA = 2 ** 24; // bytes of a decompressed block
const MOST_CAPTION = 65_535; // bytes
const SHORTEST_BEGINNING = 9 + 2; // bytes of the signature, the version, and the header's type and length
const KNOWN_CHUNKS = 'HIQAcixeR';

/** What the header of a file says. */
export interface Header {
  /** Pixels. */
  width: number;
  /** Pixels. */
  height: number;
  /** Whether the image is RGB; if not it is greyscale. */
  color: boolean;
  /** Whether there is an alpha channel. */
  alpha: boolean;
  /** Hundredths of quality, 0 to 10,000; null for weights of one fixed rate. */
  hundredths: number | null;
  /** The number of the model's architecture. */
  model: number;
  /** The first 8 bytes of the weights' decode hash, in hexadecimal. */
  weights: string;
  /** How many scans a progressive file has; null if it is not progressive. */
  scans: number | null;
}

/** A rectangle of the image, in pixels. */
export interface Region {
  left: number;
  top: number;
  width: number;
  height: number;
}

/** A parsed file. Its regions are still entropy-coded. */
export interface TacitFile {
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
  /** The bytes of each region; null where there are none, because the file was cut. */
  regions: (Uint8Array | null)[];
  /** Whether the end of a region's bytes is missing, for each region. */
  cut: boolean[];
}

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

/** Reads numbers from bytes, and refuses to read past their end. */
class Reader {
  position = 0;

  constructor(
    readonly data: Uint8Array,
    readonly what: string,
  ) {}

  get left(): number {
    return this.data.length - this.position;
  }

  private ended(): CorruptFile {
    return new CorruptFile(`${this.what} ends too early`);
  }

  byte(): number {
    if (this.left < 1) throw this.ended();
    return this.data[this.position++];
  }

  bytes(count: number): Uint8Array {
    if (count > this.left) throw this.ended();
    this.position += count;
    return this.data.subarray(this.position - count, this.position);
  }

  varint(): number {
    let value = 0;
    for (let i = 0; i < 5; i++) {
      const byte = this.byte();
      value += (byte & 127) * 2 ** (7 * i);
      if (byte < 128) {
        if (i > 0 && byte === 0) throw new CorruptFile(`${this.what}: a number must be in the fewest bytes`);
        if (value >= 2 ** 32) throw new CorruptFile(`${this.what}: a number must be below 2^32`);
        return value;
      }
    }
    throw new CorruptFile(`${this.what}: a number must have at most 5 bytes`);
  }

  end(): void {
    if (this.left) throw new CorruptFile(`${this.what}: ${this.left} bytes too many`);
  }
}

/** Return the beginnings and lengths of the regions along one side. */
function spans(length: number): [number, number][] {
  const count = Math.ceil(length / LONGEST_SIDE);
  const size = Math.ceil(Math.ceil(length / count) / CELL) * CELL;
  return Array.from({ length: count }, (_, j) => [j * size, j === count - 1 ? length - j * size : size]);
}

/** Return the number of regions of an image. */
function regionCount(width: number, height: number): number {
  return Math.ceil(width / LONGEST_SIDE) * Math.ceil(height / LONGEST_SIDE);
}

/** Return the regions of an image, in raster order. */
export function regionGrid(width: number, height: number): Region[] {
  const columns = spans(width);
  return spans(height).flatMap(([top, h]) => columns.map(([left, w]) => ({ left, top, width: w, height: h })));
}

function readHeader(payload: Uint8Array, version: number): Header & { mapped: boolean } {
  const reader = new Reader(payload, 'chunk H');
  const width = reader.varint();
  const height = reader.varint();
  const mode = reader.byte();
  const hundredths = reader.varint();
  const model = reader.byte();
  const weights = Array.from(reader.bytes(8), (byte) => byte.toString(16).padStart(2, '0')).join('');
  const scans = mode & 8 ? reader.byte() : null;
  reader.end();
  if (!width || !height) throw new CorruptFile(`chunk H: width and height must be at least 1, got ${width}x${height}`);
  if (mode > 15) throw new CorruptFile(`chunk H: mode must be 0 to 15, got ${mode}`);
  if (scans === 0) throw new CorruptFile('chunk H: scans must be 1 to 255, got 0');
  if (hundredths > FIXED_RATE) throw new CorruptFile(`chunk H: quality must be 0 to ${FIXED_RATE}, got ${hundredths}`);
  if (regionCount(width, height) * (scans ?? 1) > MOST_REGIONS) {
    throw new CorruptFile(
      `chunk H: an image must have at most ${MOST_REGIONS} regions times scans, got ${width}x${height} pixels`,
    );
  }
  const mapped = Boolean(mode & 4);
  if (version !== (scans ? 3 : mapped ? 2 : 1))
    throw new CorruptFile(`chunk H: version ${version} does not fit the mode ${mode}`);
  if (mapped && hundredths === FIXED_RATE) throw new CorruptFile('chunk H: a fixed rate must have no quality map');
  return {
    width,
    height,
    color: Boolean(mode & 1),
    alpha: Boolean(mode & 2),
    hundredths: hundredths === FIXED_RATE ? null : hundredths,
    model,
    weights,
    scans,
    mapped,
  };
}

/** Inflate a zlib stream to at most `most` bytes. */
function inflate(data: Uint8Array, most: number, what: string): Uint8Array {
  try {
    // One byte more than allowed shows that the stream is longer.
    const out = unzlibSync(data, { out: new Uint8Array(most + 1) });
    if (out.length > most) throw new CorruptFile(`${what}: must have at most ${most} bytes`);
    return out.slice();
  } catch (error) {
    if (error instanceof CorruptFile) throw error;
    throw new CorruptFile(`${what}: ${(error as Error).message}`);
  }
}

/** Return what a method byte and data stand for. */
function unpacked(payload: Uint8Array, most: number, what: string): Uint8Array {
  if (!payload.length) throw new CorruptFile(`${what}: it must not be empty`);
  const data = payload.subarray(1);
  if (payload[0] === 1) return inflate(data, most, what);
  if (payload[0] !== 0) throw new CorruptFile(`${what}: method must be 0 or 1, got ${payload[0]}`);
  if (data.length > most) throw new CorruptFile(`${what}: must have at most ${most} bytes, got ${data.length}`);
  return data;
}

function readCaption(payload: Uint8Array): string {
  if (payload.length > MOST_CAPTION) {
    throw new CorruptFile(`chunk c: a caption must have at most ${MOST_CAPTION} bytes, got ${payload.length}`);
  }
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(payload);
  } catch {
    throw new CorruptFile('chunk c: a caption must be UTF-8');
  }
  if (/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/.test(text)) {
    throw new CorruptFile('chunk c: a caption must have no control characters');
  }
  return text;
}

function readMap(payload: Uint8Array, header: Header): Int8Array {
  const count = Math.ceil(header.width / CELL) * Math.ceil(header.height / CELL);
  const data = unpacked(payload, count, 'chunk Q');
  if (data.length !== count) throw new CorruptFile(`chunk Q: must have ${count} values, got ${data.length}`);
  const values = new Int8Array(data);
  if (values.some((value) => value < -100 || value > 100)) {
    throw new CorruptFile('chunk Q: values must be -100 to 100');
  }
  return values;
}

/** Return the version of a file's format. */
function checkSignature(data: Uint8Array): number {
  if (!data.length) throw new UnsupportedFile('no .tacit file: it is empty');
  if (data.length < 9 || SIGNATURE.some((byte, i) => data[i] !== byte)) {
    if (SIGNATURE.slice(0, Math.min(data.length, 8)).every((byte, i) => data[i] === byte)) {
      throw new CorruptFile('the file ends too early');
    }
    throw new UnsupportedFile('no .tacit file: the signature is not there');
  }
  const version = data[8];
  if (version > NEWEST_VERSION) {
    throw new UnsupportedFile(`the file has version ${version} of the format: a newer reader is needed`);
  }
  if (version < 1) throw new CorruptFile(`the version must be at least 1, got ${version}`);
  return version;
}

/**
 * Return the header of a file of which only the beginning is there; null if that is too little.
 *
 * @throws TacitError - As for `parse`, as far as the beginning shows it.
 */
export function parseHeader(data: Uint8Array): Header | null {
  if (data.length < SHORTEST_BEGINNING) return null;
  checkSignature(data);
  const reader = new Reader(data, 'the file');
  reader.position = 9;
  if (reader.byte() !== 'H'.charCodeAt(0)) throw new CorruptFile('the first chunk must be the header');
  const length = reader.varint();
  if (length + 4 > reader.left) return null;
  const { mapped: _, ...header } = readHeader(reader.bytes(length), data[8]);
  return header;
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
  const reader = new Reader(data, 'the file');
  reader.position = 9;
  let indexed: number | null = null; // the bytes of all regions' chunks
  try {
    for (;;) {
      const front = reader.position;
      const type = String.fromCharCode(reader.byte());
      if (type === 'R' && indexed !== null) return { front, total: front + indexed };
      if (type === 'R') return { front, total: totalOf(reader, front) };
      const length = reader.varint();
      const payload = reader.bytes(length);
      reader.bytes(4);
      if (type !== 'I') continue;
      const index = new Reader(payload, 'chunk I');
      indexed = 0;
      while (index.left) {
        const piece = index.varint();
        indexed += piece ? chunkSize(piece) : 0;
      }
    }
  } catch {
    return null;
  }
}

/** Return the bytes of a chunk with a payload of so many. */
function chunkSize(length: number): number {
  let digits = 1;
  for (let left = length; left >= 128; left = Math.floor(left / 128)) digits++;
  return 1 + digits + length + 4;
}

/** Return the bytes of a file whose only region begins at `front`, whose type has been read; null if it is cut there. */
function totalOf(reader: Reader, front: number): number | null {
  try {
    return front + chunkSize(reader.varint());
  } catch {
    return null;
  }
}

/** Limits of reading a file. */
export interface Limits {
  /** The most pixels, width times height. */
  maxPixels?: number;
  /** Whether the end of the file may be missing. What is there of its last chunk is then taken unverified. */
  partial?: boolean;
}

/**
 * Return what is there of a region's payload if the data end inside its chunk, and null if they do not.
 *
 * @param start - Where the length of the payload begins.
 * @param expected - The length by the index; null if there is none.
 */
function beginning(data: Uint8Array, start: number, expected: number | null): Uint8Array | null {
  let length = 0;
  let size = 0;
  for (;;) {
    if (start + size >= data.length) break; // the length itself is cut
    if (size === 5) return null;
    const byte = data[start + size];
    length += (byte & 127) * 2 ** (7 * size++);
    if (byte < 128) {
      if (expected !== null && length !== expected) return null;
      return start + size + length + 4 > data.length ? data.subarray(start + size, start + size + length) : null;
    }
  }
  if (expected !== null && Math.floor(expected / 2 ** (7 * size)) === 0) return null; // it would be a shorter one
  return expected === null || expected % 2 ** (7 * size) === length ? data.subarray(data.length) : null;
}

/** Return the bytes of each region, put together of the pieces that are there, and whether the end is missing. */
function joinedPieces(
  pieces: readonly (Uint8Array | null)[],
  scans: number,
  unfinished: number,
): Pick<TacitFile, 'regions' | 'cut'> {
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
    if (own.length === 1) {
      regions.push(own[0]);
      continue;
    }
    const bytes = new Uint8Array(own.reduce((sum, piece) => sum + piece.length, 0));
    own.reduce((at, piece) => (bytes.set(piece, at), at + piece.length), 0);
    regions.push(own.length ? bytes : null);
  }
  return { regions, cut };
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
  const reader = new Reader(data, 'the file');
  reader.position = 9;
  const chunks = new Map<string, Uint8Array>();
  const pieces: (Uint8Array | null)[] = []; // of the regions, scan by scan
  let unfinished = -1; // the number of the piece of which only the beginning is there
  let header: ReturnType<typeof readHeader> | null = null;
  let lengths: number[] | null = null;
  while (reader.left) {
    const start = reader.position;
    const code = reader.byte();
    const type = String.fromCharCode(code);
    if (!/[A-Za-z]/.test(type)) throw new CorruptFile(`the type of a chunk must be a letter, got byte ${code}`);
    const scans: number = header?.scans ?? 1;
    if (type === 'R' && scans > 1) while (lengths?.[pieces.length] === 0) pieces.push(new Uint8Array());
    if (type === 'R' && partial && header) {
      const part = beginning(data, reader.position, lengths ? (lengths[pieces.length] ?? null) : null);
      if (part) {
        unfinished = pieces.push(part) - 1;
        break;
      }
    }
    const payload = reader.bytes(reader.varint());
    const covered = data.subarray(start, reader.position);
    const [a, b, c, d] = reader.bytes(4);
    if (crc32(covered) !== ((a << 24) | (b << 16) | (c << 8) | d) >>> 0) {
      throw new CorruptFile(`chunk ${type}: the checksum is wrong`);
    }
    const known = KNOWN_CHUNKS.includes(type);
    if (!known && type === type.toUpperCase()) throw new UnsupportedFile(`chunk ${type} is not known to this reader`);
    if (header === null) {
      if (type !== 'H') throw new CorruptFile('the first chunk must be the header');
      header = readHeader(payload, version);
      if (header.width * header.height > maxPixels) {
        throw new ImageTooLarge(`${header.width}x${header.height} pixels are more than the limit of ${maxPixels}`);
      }
      continue;
    }
    if (type === 'R') {
      const index = pieces.push(payload) - 1;
      if (lengths && lengths[index] !== payload.length) {
        throw new CorruptFile(`chunk R ${index}: its length is not that of the index`);
      }
      continue;
    }
    if (pieces.length) throw new CorruptFile(`chunk ${type} must not follow the regions`);
    if (type === 'H' || (known && chunks.has(type))) throw new CorruptFile(`chunk ${type} must occur once`);
    if (known) chunks.set(type, payload);
    if (type === 'I') {
      const index = new Reader(payload, 'chunk I');
      lengths = [];
      while (index.left) lengths.push(index.varint());
    }
  }
  if (header === null) throw new CorruptFile('the file ends too early');
  const scans = header.scans ?? 1;
  const count = regionCount(header.width, header.height) * scans;
  if (chunks.has('I') !== count > 1 || (lengths && lengths.length !== count)) {
    throw new CorruptFile(`chunk I must be there, with ${count} entries, exactly if there are several regions`);
  }
  const begun = pieces.length > 0;
  while (pieces.length < count) {
    if (scans > 1 && lengths?.[pieces.length] === 0) pieces.push(new Uint8Array());
    else if (partial && begun) pieces.push(null);
    else break;
  }
  if (pieces.length !== count) throw new CorruptFile(`there must be ${count} regions, got ${pieces.length}`);
  if (chunks.has('Q') !== header.mapped) throw new CorruptFile('chunk Q must be there exactly if the header says so');
  if (chunks.has('A') !== header.alpha) throw new CorruptFile('chunk A must be there exactly if the header says so');
  const { regions, cut } = joinedPieces(pieces, scans, unfinished);
  regions.forEach((region, index) => {
    if (region && !cut[index] && (!region.length || region.length % 4)) {
      throw new CorruptFile(`chunk R ${index}: must have a multiple of 4 bytes, got ${region.length}`);
    }
  });
  const block = (type: string) => {
    const payload = chunks.get(type);
    return payload === undefined ? null : unpacked(payload, MOST_METADATA, `chunk ${type}`);
  };
  const { mapped: _, ...plain } = header;
  const alpha = chunks.get('A');
  if (alpha && (alpha.length < 2 || alpha[0] > 1 || (alpha[0] === 0 && alpha.length !== 2))) {
    throw new CorruptFile('chunk A: its method must be 0 or 1, with the data that belong to it');
  }
  const map = chunks.get('Q');
  const caption = chunks.get('c');
  return {
    header: plain,
    version,
    caption: caption === undefined ? null : readCaption(caption),
    qualityMap: map === undefined ? null : readMap(map, header),
    alpha: alpha === undefined ? null : { method: alpha[0], data: alpha.subarray(1) },
    icc: block('i'),
    exif: block('e'),
    xmp: block('x'),
    grid: regionGrid(header.width, header.height),
    regions,
    cut,
  };
}
