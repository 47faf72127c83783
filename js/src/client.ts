/** Decodes files in a worker: what pages use. */

import type { DecodedImage } from './decoder.js';
import * as errors from './errors.js';
import { Arrival } from './arrival.js';
import type { Message, Reply, Request, Setup } from './messages.js';
import type { Backend } from './synthesiser.js';

export { Arrival } from './arrival.js';
export type { DecodedImage } from './decoder.js';
export * from './errors.js';
export { bitmapOf, pngOf } from './png.js';

/** Options of a client. */
export interface ClientOptions {
  /** The address of the folder that has the weights as `ID.safetensors`; `weights/` beside this file if not given. */
  weights?: string | URL;
  /** How many threads decode; as many as there are if not given. A page needs cross-origin isolation for several. */
  threads?: number;
  /**
   * Where pixels are computed. With `auto`, which is the default, on the GPU where there is one; the images until it is
   * ready come from WebAssembly. With `webgpu` the first image waits for the GPU, and one that a processor simulates will
   * do. Where the GPU fails, WebAssembly goes on.
   */
  backend?: 'auto' | Backend;
}

/** Options of decoding a file. */
export interface RequestOptions {
  /** A limit on width times height. */
  maxPixels?: number;
  /** Whether the end of the file may be missing; what there is then gives a coarse image. */
  partial?: boolean;
  /** Gives the decoding up, which then fails with the signal's reason. */
  signal?: AbortSignal;
  /** Called now and then with the share of the work that is done, 0 to 1; first when the weights are loaded. */
  progress?: (share: number) => void;
}

interface Waiting {
  resolve: (image: DecodedImage | null) => void;
  reject: (error: Error) => void;
  progress?: (share: number) => void;
}

const KINDS: Record<string, new (message: string) => Error> = { ...errors };

/** Decodes files in a worker of its own, one after the other. */
export class Client {
  private worker: Worker | undefined;
  private count = 0;
  private arrivals = 0;
  private readonly waiting = new Map<number, Waiting>();

  constructor(private readonly options: ClientOptions = {}) {}

  /** Whether a file is being decoded. */
  get busy(): boolean {
    return this.waiting.size > 0;
  }

  /** Load weights by the name that files have for them, for a file that is under way. */
  prepare(id: string): void {
    this.send({ kind: 'prepare', id });
  }

  /**
   * Decode a file.
   *
   * @param data - The bytes of the file.
   * @throws TacitError - The file or its weights are damaged, missing or not supported.
   */
  async decode(data: Uint8Array, options: RequestOptions = {}): Promise<DecodedImage> {
    const { signal, progress, maxPixels, partial } = options;
    return (await this.request({ data, maxPixels, partial }, signal, progress))!;
  }

  /**
   * Return what decodes a file whose bytes come piece by piece.
   *
   * @param maxPixels - A limit on width times height.
   */
  arrival(maxPixels?: number): Arrival {
    const arrival = this.arrivals++;
    let sent = 0;
    let receiver: Worker | undefined;
    return new Arrival(
      maxPixels,
      async (bytes, partial, signal) => {
        signal?.throwIfAborted();
        const worker = (this.worker ??= this.started());
        const data = bytes.slice(worker === receiver ? sent : 0); // one that was started anew has nothing
        sent = bytes.length;
        receiver = worker;
        return this.request({ data, maxPixels, arrival, partial }, signal);
      },
      () => this.send({ kind: 'forget', arrival }),
    );
  }

  /** End the worker; what is still waiting fails. */
  close(): void {
    this.worker?.terminate();
    this.failed('the decoder was closed');
  }

  private request(
    asked: Omit<Request, 'kind' | 'number'>,
    signal?: AbortSignal,
    progress?: (share: number) => void,
  ): Promise<DecodedImage | null> {
    const number = this.count++;
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      this.waiting.set(number, { resolve, reject, progress });
      this.send({ kind: 'decode', number, ...asked });
      signal?.addEventListener('abort', () => {
        if (!this.waiting.has(number)) return;
        this.send({ kind: 'abandon', number });
        reject(signal.reason);
      });
    });
  }

  private send(message: Message): void {
    this.worker ??= this.started();
    this.worker.postMessage(message);
  }

  private started(): Worker {
    const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module', name: 'tacit' });
    worker.onmessage = ({ data: reply }: MessageEvent<Reply>) => {
      const waiting = this.waiting.get(reply.number);
      if ('share' in reply) return waiting?.progress?.(reply.share);
      this.waiting.delete(reply.number);
      if ('image' in reply) waiting?.resolve(reply.image);
      else waiting?.reject(new (KINDS[reply.error.name] ?? errors.TacitError)(reply.error.message));
    };
    worker.onerror = (event) => this.failed(`the decoder's worker failed: ${event.message ?? 'it cannot be loaded'}`);
    const setup: Setup = {
      kind: 'setup',
      weights: new URL(this.options.weights ?? './weights/', import.meta.url).href,
      threads: this.options.threads ?? 0,
      backend: this.options.backend ?? 'auto',
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
