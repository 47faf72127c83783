/** The synthesis on a GPU. Its pixels differ from those of a processor in the last bits, by a level at most. */

import type { InferenceSession } from 'onnxruntime-common';
import { floatGraph } from './float_graph.js';
import type { Latents, Model, QualityPlane, Runtime } from './model.js';

const PROBE = 4; // latents along a side of what it is tried with
const TOLERANCE = 1.5 / 255; // of the probe's pixels

/** Synthesises latents to planes. */
type Reference = (latents: Latents, quality: QualityPlane) => Promise<Float32Array>;

/** Synthesises with the weights of a model on a GPU. */
export class GpuSynthesis {
  private constructor(
    private readonly model: Model,
    private readonly runtime: Runtime,
    private readonly session: InferenceSession,
  ) {}

  /**
   * Return the synthesis of a model on the GPU, once it has given the same pixels as the model.
   *
   * @param runtime - ONNX Runtime with WebGPU.
   * @param reference - What the model gives for latents, in planes.
   * @throws Error - The GPU cannot do it, or does it wrong.
   */
  static async start(model: Model, runtime: Runtime, reference: Reference): Promise<GpuSynthesis> {
    const session = await runtime.InferenceSession.create(floatGraph(model.weights), {
      executionProviders: ['webgpu'],
      logSeverityLevel: 3,
    });
    const synthesis = new GpuSynthesis(model, runtime, session);
    const probe: Latents = { values: new Int16Array(model.channels * PROBE * PROBE), rows: PROBE, columns: PROBE };
    probe.values.forEach((_, i, values) => (values[i] = 8 * ((i % 7) - 3))); // up to a step and a half
    const quality = { hundredths: Int32Array.of(5000), rows: 1, columns: 1 };
    const expected = await reference(probe, quality);
    const found = await synthesis.synthesise(probe, quality);
    const away = found.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i])), 0);
    if (!(away <= TOLERANCE)) {
      await synthesis.release();
      throw new Error(`the GPU's pixels must be within ${TOLERANCE} of the processor's, got ${away}`);
    }
    return synthesis;
  }

  /** Synthesise a rectangle of latents: about 0 to 1, in planes [3, H, W]. */
  async synthesise(latents: Latents, quality: QualityPlane): Promise<Float32Array> {
    const { Tensor } = this.runtime;
    const size = [1, this.model.channels, latents.rows, latents.columns];
    const { image } = await this.session.run({
      latents: new Tensor('float32', Float32Array.from(latents.values), size),
      quality: new Tensor('float32', ...this.model.qualityInput(quality)),
    });
    return (await image.getData()) as Float32Array;
  }

  /** Free the memory of the GPU. */
  release(): Promise<void> {
    return this.session.release();
  }
}
