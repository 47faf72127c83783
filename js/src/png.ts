/** Images as PNG files, with exactly the pixels and the ICC profile that were decoded. */

import { zlibSync } from 'fflate';
import { crc32 } from './framing.js';
import type { DecodedImage } from './decoder.js';

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const COLOUR_TYPES = [0, 4, 2, 6]; // by the number of channels, from one on
const PAETH = 4;

/** Return a chunk. */
function chunk(type: string, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(payload.length + 12);
  const view = new DataView(out.buffer);
  view.setUint32(0, payload.length);
  out.set(new TextEncoder().encode(type), 4);
  out.set(payload, 8);
  view.setUint32(out.length - 4, crc32(out.subarray(4, -4)));
  return out;
}

/** Return which channels of RGBA an image needs. */
function channelsOf({ grey, data }: DecodedImage): number[] {
  const colours = grey ? [0] : [0, 1, 2];
  for (let at = 3; at < data.length; at += 4) if (data[at] < 255) return [...colours, 3];
  return colours;
}

/** Return the rows with their filters: each value less what its neighbours predict, or as it is. */
function rowsOf({ width, height, data }: DecodedImage, channels: number[], filtered: boolean): Uint8Array<ArrayBuffer> {
  const count = channels.length;
  const length = width * count;
  const rows = new Uint8Array(height * (1 + length));
  let above = new Uint8Array(length);
  let row = new Uint8Array(length);
  for (let y = 0; y < height; y++) {
    for (let x = 0, to = 0; x < width; x++) {
      for (let c = 0; c < count; c++) row[to++] = data[4 * (y * width + x) + channels[c]];
    }
    const start = y * (1 + length);
    if (!filtered) {
      rows.set(row, start + 1);
      continue;
    }
    rows[start] = PAETH;
    for (let i = 0; i < length; i++) {
      const left = i < count ? 0 : row[i - count];
      const corner = i < count ? 0 : above[i - count];
      const [toLeft, toAbove] = [Math.abs(above[i] - corner), Math.abs(left - corner)];
      const toCorner = Math.abs(left + above[i] - 2 * corner);
      const predicted = toLeft <= toAbove && toLeft <= toCorner ? left : toAbove <= toCorner ? above[i] : corner;
      rows[start + 1 + i] = row[i] - predicted;
    }
    [above, row] = [row, above];
  }
  return rows;
}

async function deflated(data: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const stream = new Blob([data]).stream().pipeThrough(new CompressionStream('deflate'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/**
 * Return an image as a PNG file.
 *
 * @param compressed - Whether it is to be small; if not it is made faster.
 */
export async function pngOf(image: DecodedImage, compressed = true): Promise<Blob> {
  const { width, height, icc } = image;
  const channels = channelsOf(image);
  const rows = rowsOf(image, channels, compressed);
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header[8] = 8; // bits
  header[9] = COLOUR_TYPES[channels.length - 1];
  const parts = [Uint8Array.from(SIGNATURE), chunk('IHDR', header)];
  if (icc) {
    const name = new TextEncoder().encode('ICC profile\0\0'); // the last byte: deflate
    const profile = zlibSync(icc);
    const payload = new Uint8Array(name.length + profile.length);
    payload.set(name);
    payload.set(profile, name.length);
    parts.push(chunk('iCCP', payload));
  }
  parts.push(chunk('IDAT', compressed ? await deflated(rows) : zlibSync(rows, { level: 0 })));
  parts.push(chunk('IEND', new Uint8Array()));
  return new Blob(parts, { type: 'image/png' });
}

/** Return an image as the browser shows it: in sRGB, converted by its ICC profile if it has one. */
export async function bitmapOf(image: DecodedImage): Promise<ImageBitmap> {
  if (image.icc) {
    try {
      return await createImageBitmap(await pngOf(image, false));
    } catch {
      // The browser takes no such profile: the colours are taken for sRGB.
    }
  }
  return createImageBitmap(new ImageData(image.data, image.width, image.height));
}
