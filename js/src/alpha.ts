/** The alpha channel of a file. */

import { decode } from 'fast-png';
import type { TacitFile } from './container.js';
import { CorruptFile } from './errors.js';

/**
 * Return the alpha of each pixel, row by row; null where there is none.
 *
 * @throws CorruptFile - The channel is damaged.
 */
export function alphaOf({ alpha, header }: TacitFile): Uint8Array | null {
  if (!alpha) return null;
  const { width, height } = header;
  if (alpha.method === 0) return new Uint8Array(width * height).fill(alpha.data[0]);
  let png: ReturnType<typeof decode>;
  try {
    // The size is verified before anything is inflated: it is in the first chunk, at a fixed place.
    const view = new DataView(alpha.data.buffer, alpha.data.byteOffset, alpha.data.byteLength);
    if (view.getUint32(16) !== width || view.getUint32(20) !== height) throw new Error("its size must be the image's");
    png = decode(alpha.data, { checkCrc: true });
  } catch (error) {
    throw new CorruptFile(`chunk A: ${(error as Error).message}`);
  }
  if (png.channels !== 1 || png.depth !== 8) throw new CorruptFile('chunk A: must be greyscale with 8 bits');
  return png.data as Uint8Array;
}
