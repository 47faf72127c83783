/** ONNX Runtime with WebGPU, which is loaded only where there is a GPU: it is larger than all else together. */

import type { Runtime } from './model.js';

/** What is used of an adapter of WebGPU. */
interface Adapter {
  info?: { isFallbackAdapter?: boolean };
  isFallbackAdapter?: boolean;
}

/**
 * Return ONNX Runtime with WebGPU.
 *
 * @param slow - Whether a GPU will do that is simulated by a processor.
 * @throws Error - This browser has no WebGPU, or no GPU.
 */
export async function gpuRuntime(slow: boolean): Promise<Runtime> {
  const { gpu } = navigator as { gpu?: { requestAdapter(): Promise<Adapter | null> } };
  // Without it, the runtime needs twice as many bytes, and time for each call.
  if (!gpu || !('Suspending' in WebAssembly)) throw new Error('this browser has no WebGPU, or cannot wait for it');
  const adapter = await gpu.requestAdapter();
  if (!adapter) throw new Error('there is no GPU');
  const simulated = adapter.info?.isFallbackAdapter ?? adapter.isFallbackAdapter ?? false;
  if (simulated && !slow) throw new Error('the GPU is simulated');
  const ort = await import('./ort/ort.jspi.min.mjs');
  ort.env.wasm.wasmPaths = new URL('./ort/', import.meta.url).href;
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = 'error';
  return ort;
}
