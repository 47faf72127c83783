/** A file whose bytes come piece by piece. */

import { MAX_PIXELS, checkPixels } from './container.js';
import type { Header } from './header.js';
import { outline, parseHeader } from './outline.js';

/** The bytes of a file that have come so far, and what they say of the file. */
export class IncomingFile {
  /** How many bytes have come. */
  received = 0;
  /** What the header says; null until it is there. */
  header: Header | null = null;
  /** Whether the first region has begun, so that there is something to show. */
  begun = false;
  /** How many bytes the whole file has; null until that is known. */
  total: number | null = null;
  private buffer = new Uint8Array(4096);

  /** @param maxPixels - A limit on width times height. */
  constructor(private readonly maxPixels = MAX_PIXELS) {}

  /**
   * Take the next bytes.
   *
   * @throws TacitError - It is no `.tacit` file, its header is damaged, or the image is too large.
   */
  feed(piece: Uint8Array): void {
    const needed = this.received + piece.length;
    if (needed > this.buffer.length) {
      const larger = new Uint8Array(Math.max(needed, 2 * this.buffer.length));
      larger.set(this.bytes);
      this.buffer = larger;
    }
    this.buffer.set(piece, this.received);
    this.received = needed;
    if (!this.header) {
      this.header = parseHeader(this.bytes);
      if (this.header) checkPixels(this.header, this.maxPixels);
    }
    if (this.header && this.total === null) {
      const found = outline(this.bytes);
      this.begun = found !== null;
      this.total = found?.total ?? null;
    }
  }

  /** What has come: a view, until the next bytes come. */
  get bytes(): Uint8Array {
    return this.buffer.subarray(0, this.received);
  }
}
