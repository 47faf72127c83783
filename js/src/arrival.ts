/** A file that is decoded in a worker while its bytes come. */

import type { DecodedImage } from './decoder.js';
import { IncomingFile } from './incoming_file.js';

/** Decodes all bytes that have come; null until the first region has begun. */
type Decode = (bytes: Uint8Array, partial: boolean, signal?: AbortSignal) => Promise<DecodedImage | null>;

/** What decodes a file whose bytes come piece by piece: `Client.arrival` makes it. */
export class Arrival extends IncomingFile {
  constructor(
    maxPixels: number | undefined,
    private readonly decode: Decode,
    private readonly forget: () => void,
  ) {
    super(maxPixels);
  }

  /** Return the image that the bytes give so far; null until the first region has begun. */
  async image(signal?: AbortSignal): Promise<DecodedImage | null> {
    return this.begun ? this.decode(this.bytes, true, signal) : null;
  }

  /**
   * Return the image of the whole file, every byte of it verified.
   *
   * @throws CorruptFile - Bytes are missing, or damaged.
   */
  async close(signal?: AbortSignal): Promise<DecodedImage> {
    try {
      return (await this.decode(this.bytes, false, signal))!;
    } finally {
      this.forget();
    }
  }

  /** Free what is kept of the file, if it will not be closed. */
  abandon(): void {
    this.forget();
  }
}
