/** The coarse images that are shown while a file arrives. */

import type { Arrival } from './arrival.js';
import type { Client } from './client.js';
import type { DecodedImage } from './decoder.js';

const SHARES = [0.15, 0.4]; // of the bytes, at which a coarse image is shown: recognisable, and useful
const PATIENCE = 250; // milliseconds; a file whose rest comes this soon is not shown coarse

/** The coarse images of a file that arrives: one at each share, where the rest does not come soon. */
export class CoarseImages {
  private readonly giveUp = new AbortController();
  private readonly shares = [...SHARES];
  private timer: ReturnType<typeof setTimeout> | undefined;
  private decoding = false;

  constructor(
    private readonly arrival: Arrival,
    private readonly client: Client,
    private readonly show: (image: DecodedImage, signal: AbortSignal) => Promise<void>,
  ) {}

  /** Look whether the bytes that have come are enough for the next image. */
  consider(): void {
    const { received, total } = this.arrival;
    const due = this.shares[0];
    if (this.timer || this.decoding || !total || due === undefined || received < due * total) return;
    this.timer = setTimeout(() => void this.decode(), PATIENCE);
  }

  /** The file is there, or will not come: give up what is being decoded. */
  end(): void {
    clearTimeout(this.timer);
    this.giveUp.abort();
  }

  private async decode(): Promise<void> {
    this.timer = undefined;
    const { arrival, client, shares } = this;
    // Others wait: they are served first, and this one with what has come by then.
    if (client.busy) {
      this.timer = setTimeout(() => void this.decode(), PATIENCE);
      return;
    }
    while (shares.length && shares[0] * arrival.total! <= arrival.received) shares.shift();
    this.decoding = true;
    try {
      const image = await arrival.image(this.giveUp.signal);
      if (image) await this.show(image, this.giveUp.signal);
    } catch {
      // The whole file says what is wrong with it.
    } finally {
      this.decoding = false;
    }
    this.consider();
  }
}
