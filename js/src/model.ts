/** A model on ONNX Runtime: the graphs of a weights file, and from latents to pixels (docs/onnx.md). */

import type { InferenceSession, Tensor } from 'onnxruntime-common';
import { placed } from './external_data.js';
import type { Table } from './range_decoder.js';
import type { Weights } from './weights.js';

/** What is used of ONNX Runtime, which differs between browsers and Node.js. */
export interface Runtime {
  InferenceSession: { create(model: Uint8Array, options?: InferenceSession.SessionOptions): Promise<InferenceSession> };
  Tensor: new (type: any, data: any, dims: readonly number[]) => Tensor;
}

export const LATENT_STEP = 16; // pixels of a side of a latent

const WEIGHTS_FILE = 'weights';

/** The quality of a rectangle of latents: one for all, or one for each position, row by row. */
export interface QualityPlane {
  /** Hundredths: one value, or rows times columns of them. */
  hundredths: Int32Array;
  rows: number;
  columns: number;
}

/** Latents y of a rectangle, in sixteenths of a step: [M, rows, columns]. */
export interface Latents {
  values: Int16Array;
  rows: number;
  columns: number;
}

/** Runs the graphs of one weights file. */
export class Model {
  /** How many latents around a tile its pixels depend on. */
  readonly reach: number;
  /** Channels of y. */
  readonly channels: number;
  private readonly sessions = new Map<string, Promise<InferenceSession>>();
  /** The tables of y, by their scale. */
  readonly y: Table[];
  /** The tables of z, by their channel. */
  readonly z: Table[];

  constructor(
    readonly weights: Weights,
    private readonly runtime: Runtime,
    private readonly options: InferenceSession.SessionOptions = {},
  ) {
    const { synthesis16, synthesis8, latent } = weights.about.config;
    this.reach = synthesis16 + Math.ceil(synthesis8 / 2);
    this.channels = latent;
    this.y = weights.tables('y');
    this.z = weights.tables('z');
  }

  /** Make the sessions of all that decodes, which would otherwise be made when they are first needed. */
  async load(): Promise<void> {
    await this.session('hyper');
    for (const group of this.weights.about.entropy.groups.keys()) {
      await this.session(`anchor.${group}`);
      await this.session(`other.${group}`);
    }
    await this.session('synthesis');
  }

  /** Free the memory of the sessions. */
  async release(): Promise<void> {
    for (const session of this.sessions.values()) await (await session).release();
    this.sessions.clear();
  }

  private session(name: string): Promise<InferenceSession> {
    let session = this.sessions.get(name);
    if (!session) {
      const graph = placed(this.weights.bytes(`graphs.${name}`), WEIGHTS_FILE, this.weights.places);
      session = this.runtime.InferenceSession.create(graph, {
        ...this.options,
        externalData: [{ path: WEIGHTS_FILE, data: this.weights.data }],
      });
      this.sessions.set(name, session);
    }
    return session;
  }

  /** Run a graph, and return some of its outputs. */
  async run(name: string, inputs: Record<string, Tensor>, outputs: string[]): Promise<Tensor[]> {
    const session = await this.session(name);
    const results = await session.run(inputs, outputs);
    return outputs.map((output) => results[output]);
  }

  /** Return an array as a tensor. */
  tensor(type: string, data: ArrayBufferView, dims: number[]): Tensor {
    return new this.runtime.Tensor(type, data, dims);
  }

  /** Return numbers as a tensor of one dimension. */
  wholes(values: readonly number[]): Tensor {
    return this.tensor('int64', BigInt64Array.from(values, BigInt), [values.length]);
  }

  /** Return the quality as the synthesis takes it: its values and their shape. */
  qualityInput({ hundredths, rows, columns }: QualityPlane): [Float32Array, number[]] {
    const single = hundredths.length === 1;
    return [Float32Array.from(hundredths, (value) => value / 100), single ? [1, 1, 1] : [1, rows, columns]];
  }

  /**
   * Synthesise a rectangle of latents.
   *
   * @param raw - Whether the values are about 0 to 1, in planes [3, H, W], rather than levels [H, W, 3].
   */
  async synthesise(latents: Latents, quality: QualityPlane, raw: boolean): Promise<Float32Array | Uint8Array> {
    const inputs = {
      latents: this.tensor('int16', latents.values, [1, this.channels, latents.rows, latents.columns]),
      quality: this.tensor('float32', ...this.qualityInput(quality)),
    };
    const [result] = await this.run('synthesis', inputs, [raw ? 'image' : 'pixels']);
    return result.data as Float32Array | Uint8Array;
  }
}

/** Return how many latents lie along a side of so many pixels. */
export function latentSize(pixels: number): number {
  return Math.ceil(pixels / LATENT_STEP);
}
