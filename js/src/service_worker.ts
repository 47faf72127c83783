/**
 * A service worker that lets plain `<img src="x.tacit">` work: it decodes `.tacit` images and answers with PNG.
 *
 * A service worker can load no code later, so the runtime is bundled, and computes on one thread.
 */

import * as ort from 'onnxruntime-web/wasm';
import { Decoder } from './decoder.js';
import { pngOf } from './png.js';
import { forgetWeights, storedWeights } from './stored_weights.js';

declare const self: ServiceWorkerGlobalScope;

ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmPaths = { wasm: new URL('./ort/ort-wasm-simd-threaded.wasm', self.location.href).href };
ort.env.logLevel = 'error';

const weights = new URL('./weights/', self.location.href).href;
const decoder = new Decoder(ort, {
  weights: storedWeights(weights),
  discard: (id) => forgetWeights(weights, id),
  session: { executionProviders: ['wasm'], logSeverityLevel: 3 },
});

async function asPng(request: globalThis.Request): Promise<Response> {
  const response = await fetch(request.url, { credentials: 'same-origin' });
  if (!response.ok) return response;
  const image = await decoder.decode(new Uint8Array(await response.arrayBuffer()));
  return new Response(await pngOf(image), { headers: { 'Content-Type': 'image/png' } });
}

self.addEventListener('install', () => void self.skipWaiting());
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));
self.addEventListener('fetch', (event) => {
  const isImage = event.request.destination === 'image';
  if (isImage && new URL(event.request.url).pathname.endsWith('.tacit')) {
    event.respondWith(asPng(event.request).catch((error) => new Response(String(error), { status: 502 })));
  }
});
