/** Decodes files in a worker: what pages use. */

import type { DecodedImage } from './decoder.js';
import * as errors from './errors.js';
import type { Reply, Request, Setup } from './messages.js';

export type { DecodedImage } from './decoder.js';
export * from './errors.js';

/** Options of a client. */
export interface ClientOptions {
  /** The address of the folder that has the weights as `ID.safetensors`; `weights/` beside this file if not given. */
  weights?: string | URL;
  /** How many threads decode; as many as there are if not given. A page needs cross-origin isolation for several. */
  threads?: number;
}

interface Waiting {
  resolve: (image: DecodedImage) => void;
  reject: (error: Error) => void;
}

const KINDS: Record<string, new (message: string) => Error> = { ...errors };

/** Decodes files in a worker of its own, one after the other. */
export class Client {
  private worker: Worker | undefined;
  private count = 0;
  private readonly waiting = new Map<number, Waiting>();

  constructor(private readonly options: ClientOptions = {}) {}

  /**
   * Decode a file.
   *
   * @param data - The bytes of the file.
   * @param maxPixels - A limit on width times height.
   * @throws TacitError - The file or its weights are damaged, missing or not supported.
   */
  decode(data: Uint8Array, maxPixels?: number): Promise<DecodedImage> {
    const worker = (this.worker ??= this.started());
    const request: Request = { number: this.count++, data, maxPixels };
    return new Promise((resolve, reject) => {
      this.waiting.set(request.number, { resolve, reject });
      worker.postMessage(request);
    });
  }

  /** End the worker; what is still waiting fails. */
  close(): void {
    this.worker?.terminate();
    this.failed('the decoder was closed');
  }

  private started(): Worker {
    const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module', name: 'tacit' });
    worker.onmessage = ({ data: reply }: MessageEvent<Reply>) => {
      const waiting = this.waiting.get(reply.number);
      this.waiting.delete(reply.number);
      if ('image' in reply) waiting?.resolve(reply.image);
      else waiting?.reject(new (KINDS[reply.error.name] ?? errors.TacitError)(reply.error.message));
    };
    worker.onerror = (event) => this.failed(`the decoder's worker failed: ${event.message ?? 'it cannot be loaded'}`);
    const setup: Setup = {
      weights: new URL(this.options.weights ?? './weights/', import.meta.url).href,
      threads: this.options.threads ?? 0,
    };
    worker.postMessage(setup);
    return worker;
  }

  private failed(message: string): void {
    this.worker = undefined; // the next file starts another
    for (const { reject } of this.waiting.values()) reject(new errors.TacitError(message));
    this.waiting.clear();
  }
}
