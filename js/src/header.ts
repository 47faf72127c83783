/** The header of a file. */

import { listed } from './bytes.js';
import { CorruptFile } from './errors.js';
import { readVarint } from './framing.js';

const FIXED_RATE = 10_001; // what stands for the quality of weights that have one rate
const MOST_NUMBER = 2 ** 32 - 1;

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
  /** Whether there is a quality map. */
  mapped: boolean;
}

/**
 * Return what the payload of a header chunk says.
 *
 * @param version - That of the file.
 * @throws CorruptFile - A number is missing or has an impossible value.
 */
export function readHeader(payload: Uint8Array, version: number): Header {
  let position = 0;
  const checked = (name: string, value: number, low: number, high: number): number => {
    if (value < low || value > high) {
      throw new CorruptFile(`chunk H: ${name} must be ${low} to ${high}, got ${value}`);
    }
    return value;
  };
  const varint = (name: string, low: number, high: number): number => {
    const [value, next] = readVarint(payload, position, `chunk H: ${name}`);
    position = next;
    return checked(name, value, low, high);
  };
  const bytes = (name: string, size: number): Uint8Array => {
    const found = payload.subarray(position, position + size);
    if (found.length < size) throw new CorruptFile(`chunk H: ${name} must have ${size} bytes, got ${found.length}`);
    position += size;
    return found;
  };
  const width = varint('width', 1, MOST_NUMBER);
  const height = varint('height', 1, MOST_NUMBER);
  const mode = checked('mode', bytes('mode', 1)[0], 0, 15);
  const quality = varint('quality', 0, FIXED_RATE);
  const [model] = bytes('model', 1);
  const weights = listed(bytes('weights', 8));
  const scans = mode & 8 ? checked('scans', bytes('scans', 1)[0], 1, 255) : null;
  if (position !== payload.length) {
    throw new CorruptFile(`chunk H must have the ${position} bytes of its numbers, got ${payload.length}`);
  }
  const mapped = Boolean(mode & 4);
  if (mapped && quality === FIXED_RATE) {
    throw new CorruptFile(`chunk H: mode must have no quality map for a model of one fixed rate, got ${mode}`);
  }
  const fitting = scans ? 3 : mapped ? 2 : 1;
  if (version !== fitting) throw new CorruptFile(`format version must be ${fitting} for this header, got ${version}`);
  return {
    width,
    height,
    color: Boolean(mode & 1),
    alpha: Boolean(mode & 2),
    hundredths: quality === FIXED_RATE ? null : quality,
    model,
    weights,
    scans,
    mapped,
  };
}
