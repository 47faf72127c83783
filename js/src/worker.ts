/** The worker that decodes for a page, so that the page stays responsive. */

// The runtime lies beside this file: it starts workers of its own, and must not be bundled for that.
import * as ort from './ort/ort.wasm.min.mjs';
import { Decoder } from './decoder.js';
import { TacitError } from './errors.js';
import { gpuRuntime } from './gpu_runtime.js';
import type { IncrementalDecoder } from './incremental_decoder.js';
import type { Message, Reply, Request, Setup } from './messages.js';
import { forgetWeights, storedWeights } from './stored_weights.js';

let decoder: Decoder | undefined;
const arrivals = new Map<number, IncrementalDecoder>();
const running = new Map<number, AbortController>();

function setUp({ weights, threads, backend }: Setup): void {
  ort.env.wasm.wasmPaths = new URL('./ort/', import.meta.url).href;
  // Without isolation there is no shared memory, and so no threads.
  const most = crossOriginIsolated ? navigator.hardwareConcurrency : 1;
  ort.env.wasm.numThreads = Math.min(threads || most, most);
  ort.env.logLevel = 'error';
  const load = storedWeights(weights);
  decoder = new Decoder(ort, {
    weights: load,
    session: { executionProviders: ['wasm'], logSeverityLevel: 3 },
    discard: (id) => forgetWeights(weights, id),
    gpu: backend === 'wasm' ? undefined : () => gpuRuntime(backend === 'webgpu'),
    gpuFirst: backend === 'webgpu',
  });
}

async function decoded({ number, data, maxPixels, arrival, partial }: Request, signal: AbortSignal) {
  const progress = (share: number) => self.postMessage({ number, share } satisfies Reply);
  if (arrival === undefined) return decoder!.decode(data, { maxPixels, partial, signal, progress });
  let incremental = arrivals.get(arrival);
  if (!incremental) arrivals.set(arrival, (incremental = decoder!.incremental({ maxPixels })));
  incremental.feed(data);
  return partial ? incremental.image(signal) : incremental.close(signal);
}

async function answer(request: Request): Promise<Reply> {
  const { number } = request;
  const controller = new AbortController();
  running.set(number, controller);
  try {
    return { number, image: await decoded(request, controller.signal) };
  } catch (error) {
    const { name, message } = error as Error;
    const known = error instanceof TacitError;
    return { number, error: known ? { name, message } : { name: 'TacitError', message: `${name}: ${message}` } };
  } finally {
    running.delete(number);
  }
}

self.onmessage = async ({ data: message }: MessageEvent<Message>) => {
  switch (message.kind) {
    case 'setup':
      return setUp(message);
    case 'prepare':
      return void decoder!.model(message.id).catch(() => undefined); // decoding says what is wrong
    case 'abandon':
      return running.get(message.number)?.abort();
    case 'forget':
      return void arrivals.delete(message.arrival);
    case 'decode': {
      const reply = await answer(message);
      self.postMessage(reply, { transfer: 'image' in reply && reply.image ? [reply.image.data.buffer] : [] });
    }
  }
};
