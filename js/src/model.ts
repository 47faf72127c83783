/**
 * A model on ONNX Runtime: from a region's bytes to its latents, and from latents to pixels.
 *
 * All arithmetic is in the graphs; what is done here is to decode symbols and to pass arrays on (docs/onnx.md).
 */

import type { InferenceSession, Tensor, TypedTensor } from 'onnxruntime-common';
import { LATENT_STEP } from './container.js';
import { placed } from './external_data.js';
import { RangeDecoder, type Table } from './range_decoder.js';
import type { Weights } from './weights.js';

/** What is used of ONNX Runtime, which differs between browsers and Node.js. */
export interface Runtime {
  InferenceSession: { create(model: Uint8Array, options?: InferenceSession.SessionOptions): Promise<InferenceSession> };
  Tensor: new (type: any, data: any, dims: readonly number[]) => Tensor;
}

const Y_UNIT = 16; // of y, in a quantisation step
const PER_HYPER = 4; // latents along a side of a hyper-latent
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

/** Return the positions where row + column is odd, and the others, row by row. */
function checkerboard(rows: number, columns: number): [number[], number[]] {
  const anchors: number[] = [];
  const others: number[] = [];
  for (let position = 0; position < rows * columns; position++) {
    const odd = (Math.floor(position / columns) + (position % columns)) % 2;
    (odd ? anchors : others).push(position);
  }
  return [anchors, others];
}

/** Runs the graphs of one weights file. */
export class Model {
  /** How many latents around a tile its pixels depend on. */
  readonly reach: number;
  /** Channels of y. */
  readonly channels: number;
  private readonly sessions = new Map<string, Promise<InferenceSession>>();
  private readonly y: Table[];
  private readonly z: Table[];

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

  private async run(name: string, inputs: Record<string, Tensor>, outputs: string[]): Promise<Tensor[]> {
    const session = await this.session(name);
    const results = await session.run(inputs, outputs);
    return outputs.map((output) => results[output]);
  }

  private tensor(type: string, data: ArrayBufferView, dims: number[]): Tensor {
    return new this.runtime.Tensor(type, data, dims);
  }

  private wholes(values: readonly number[]): Tensor {
    return this.tensor('int64', BigInt64Array.from(values, BigInt), [values.length]);
  }

  /**
   * Decode a region.
   *
   * @param data - The region's bytes.
   * @param rows - Of its latents.
   * @param columns - Of its latents.
   * @param quality - The quality of its latents.
   * @param falling - Whether the file is progressive.
   * @param cut - Whether only the beginning of the bytes is there.
   * @throws CorruptFile - No encoder can have written the bytes.
   */
  async decodeRegion(
    data: Uint8Array,
    rows: number,
    columns: number,
    quality: QualityPlane,
    falling = false,
    cut = false,
  ): Promise<Latents> {
    const { groups, plane, skip } = this.weights.about.entropy;
    const decoder = new RangeDecoder(data, falling, cut);
    const hyperRows = Math.ceil(rows / PER_HYPER);
    const hyperColumns = Math.ceil(columns / PER_HYPER);
    const each = hyperRows * hyperColumns;
    const zSymbols = new Int16Array(this.z.length * each);
    decoder.batch(
      this.z,
      Uint16Array.from(zSymbols, (_, i) => Math.floor(i / each)),
      0,
      zSymbols,
    );

    const [anchorPlaces, otherPlaces] = checkerboard(rows, columns);
    const anchors = this.wholes(anchorPlaces);
    const others = this.wholes(otherPlaces);
    const inputs: Record<string, Tensor> = {
      symbols: this.tensor('int32', Int32Array.from(zSymbols), [1, this.z.length, hyperRows, hyperColumns]),
      size: this.wholes([rows, columns]),
      anchors,
      others,
    };
    if (plane) {
      const single = quality.hundredths.length === 1;
      const values = Int32Array.from({ length: each }, (_, i) => {
        const row = PER_HYPER * Math.floor(i / hyperColumns);
        return quality.hundredths[single ? 0 : row * quality.columns + PER_HYPER * (i % hyperColumns)];
      });
      inputs.quality = this.tensor('int32', values, [1, hyperRows, hyperColumns]);
    }
    const [anchorFeatures, otherFeatures] = await this.run('hyper', inputs, ['anchors_features', 'others_features']);

    const total = groups.reduce((sum, channels) => sum + channels, 0);
    const y = new Int16Array(rows * columns * total); // [rows, columns, M]
    let start = 0;
    for (const [group, channels] of groups.entries()) {
      /** Decode the symbols of a step, and put its values into y. */
      const decode = (places: readonly number[], tables: Tensor, means: Tensor): void => {
        const mean = (means as TypedTensor<'int16'>).data as unknown as Int16Array;
        const numbers = (tables as TypedTensor<'uint8'>).data;
        const symbols = new Int16Array(numbers.length);
        decoder.batch(this.y, numbers, skip, symbols);
        for (let i = 0, at = 0; i < places.length; i++) {
          const to = places[i] * total + start;
          for (let c = 0; c < channels; c++, at++) y[to + c] = Y_UNIT * symbols[at] + mean[at];
        }
      };
      /** Return some channels of y as they are now. */
      const part = (first: number, count: number): Tensor => {
        const values = new Int16Array(rows * columns * count);
        for (let p = 0; p < rows * columns; p++) {
          values.set(y.subarray(p * total + first, p * total + first + count), p * count);
        }
        return this.tensor('int16', values, [1, rows, columns, count]);
      };

      let context: Tensor | undefined;
      const known: Record<string, Tensor> = { features: anchorFeatures };
      if (group) Object.assign(known, { earlier: part(0, start), anchors, others });
      const names = group ? ['tables', 'means', 'context'] : ['tables', 'means'];
      let tables: Tensor;
      let means: Tensor;
      [tables, means, context] = await this.run(`anchor.${group}`, known, names);
      decode(anchorPlaces, tables, means);

      const seen: Record<string, Tensor> = { features: otherFeatures, decoded: part(start, channels), others };
      if (context) seen.context = context;
      [tables, means] = await this.run(`other.${group}`, seen, ['tables', 'means']);
      decode(otherPlaces, tables, means);
      start += channels;
    }
    decoder.finish();

    const values = new Int16Array(y.length);
    const count = rows * columns;
    for (let p = 0, at = 0; p < count; p++) for (let c = 0; c < total; c++) values[c * count + p] = y[at++];
    return { values, rows, columns };
  }

  /**
   * Synthesise a rectangle of latents.
   *
   * @param raw - Whether the values are about 0 to 1, in planes [3, H, W], rather than levels [H, W, 3].
   */
  async synthesise(latents: Latents, quality: QualityPlane, raw: boolean): Promise<Float32Array | Uint8Array> {
    const single = quality.hundredths.length === 1;
    const inputs = {
      latents: this.tensor('int16', latents.values, [1, this.channels, latents.rows, latents.columns]),
      quality: this.tensor(
        'float32',
        Float32Array.from(quality.hundredths, (value) => value / 100),
        single ? [1, 1, 1] : [1, quality.rows, quality.columns],
      ),
    };
    const [result] = await this.run('synthesis', inputs, [raw ? 'image' : 'pixels']);
    return result.data as Float32Array | Uint8Array;
  }
}

/** Return how many latents lie along a side of so many pixels. */
export function latentSize(pixels: number): number {
  return Math.ceil(pixels / LATENT_STEP);
}
