/** The worker that decodes for a page, so that the page stays responsive. */

// The runtime lies beside this file: it starts workers of its own, and must not be bundled for that.
import * as ort from './ort/ort.wasm.min.mjs';
import { Decoder } from './decoder.js';
import { TacitError } from './errors.js';
import type { Reply, Request, Setup } from './messages.js';
import { forgetWeights, storedWeights } from './stored_weights.js';

let decoder: Decoder | undefined;

function setUp({ weights, threads }: Setup): void {
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
  });
}

async function answer({ number, data, maxPixels }: Request): Promise<Reply> {
  try {
    return { number, image: await decoder!.decode(data, { maxPixels }) };
  } catch (error) {
    const { name, message } = error as Error;
    const known = error instanceof TacitError;
    return { number, error: known ? { name, message } : { name: 'TacitError', message: `${name}: ${message}` } };
  }
}

self.onmessage = async ({ data }: MessageEvent<Setup | Request>) => {
  if ('weights' in data) {
    setUp(data);
    return;
  }
  const reply = await answer(data);
  self.postMessage(reply, { transfer: 'image' in reply ? [reply.image.data.buffer] : [] });
};
