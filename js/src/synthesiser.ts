/** From latents to pixels, on the GPU where there is one, else on the processor. */

import { GpuSynthesis } from './gpu_synthesis.js';
import type { Latents, Model, QualityPlane, Runtime } from './model.js';

const MOST_SLOW = 3; // the first runs of a size make programs for the GPU

/** Where the pixels of an image were computed. */
export type Backend = 'wasm' | 'webgpu';

/** Runs the synthesis of a model. */
export class Synthesiser {
  private gpu: GpuSynthesis | undefined;
  private wasmPace = Infinity; // milliseconds for a latent
  private slow = 0; // how many of the last runs the GPU was slower

  constructor(private readonly model: Model) {}

  /** Where the next pixels will be computed. */
  get backend(): Backend {
    return this.gpu ? 'webgpu' : 'wasm';
  }

  /**
   * Use the GPU from now on; where that fails, the processor goes on.
   *
   * @param runtime - Loads ONNX Runtime with WebGPU.
   * @param inTurn - Waits until nothing else runs on the processor.
   */
  async accelerate(runtime: () => Promise<Runtime>, inTurn: <T>(work: () => Promise<T>) => Promise<T>): Promise<void> {
    const expected = (latents: Latents, quality: QualityPlane) =>
      inTurn(() => this.model.synthesise(latents, quality, true) as Promise<Float32Array>);
    this.gpu = await runtime()
      .then((ort) => GpuSynthesis.start(this.model, ort, expected))
      .catch(() => undefined);
  }

  /**
   * Synthesise a rectangle of latents.
   *
   * @param raw - Whether the values must be about 0 to 1, in planes [3, H, W], which are floats. If not, they may also
   *   be levels [H, W, 3], which are bytes.
   */
  async synthesise(latents: Latents, quality: QualityPlane, raw: boolean): Promise<Float32Array | Uint8Array> {
    const { gpu } = this;
    const start = performance.now();
    const pace = () => (performance.now() - start) / (latents.rows * latents.columns);
    if (gpu) {
      try {
        const values = await gpu.synthesise(latents, quality);
        this.slow = pace() > this.wasmPace ? this.slow + 1 : 0;
        if (this.slow === MOST_SLOW) this.release();
        return values;
      } catch {
        this.release(); // the GPU is lost, or has no room
      }
    }
    const values = await this.model.synthesise(latents, quality, raw);
    if (!gpu) this.wasmPace = pace();
    return values;
  }

  private release(): void {
    void this.gpu?.release();
    this.gpu = undefined;
  }
}
