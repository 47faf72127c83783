/** Decodes a file while its bytes come. */

import type { Limits } from './container.js';
import type { DecodeOptions, DecodedImage } from './decoder.js';
import { IncomingFile } from './incoming_file.js';

/** Decodes bytes, with what it remembers of fewer of the same bytes. */
type Decode = (data: Uint8Array, options: DecodeOptions) => Promise<DecodedImage>;

/**
 * Decodes a file whose bytes come piece by piece: `Decoder.incremental` makes it.
 *
 *     for await (const piece of response.body) {
 *       incremental.feed(piece);
 *       const image = await incremental.image(); // null until there is something to show; then finer and finer
 *     }
 *     const image = await incremental.close(); // the whole image, verified
 *
 * Each call of `image` takes nearly as long as decoding the file: a viewer calls it now and then.
 */
export class IncrementalDecoder {
  private readonly file: IncomingFile;

  constructor(
    private readonly decode: Decode,
    limits: Limits,
  ) {
    this.file = new IncomingFile(limits.maxPixels);
  }

  /**
   * Take the next bytes.
   *
   * @throws TacitError - It is no `.tacit` file, its header is damaged, or the image is too large.
   */
  feed(piece: Uint8Array): void {
    this.file.feed(piece);
  }

  /** Return the image that the bytes give so far; null until the first region has begun. */
  async image(signal?: AbortSignal): Promise<DecodedImage | null> {
    return this.file.begun ? this.decode(this.file.bytes.slice(), { partial: true, signal }) : null;
  }

  /**
   * Return the image of the whole file, every byte of it verified.
   *
   * @throws CorruptFile - Bytes are missing, or damaged.
   */
  async close(signal?: AbortSignal): Promise<DecodedImage> {
    return this.decode(this.file.bytes, { signal });
  }
}
