/**
 * From a region's bytes to its latents.
 *
 * All arithmetic is in the graphs; what is done here is to decode symbols and to pass arrays on (docs/onnx.md). Where
 * the bytes come piece by piece, the steps whose symbols were all there are not done again.
 */

import type { Tensor, TypedTensor } from 'onnxruntime-common';
import type { Latents, Model, QualityPlane } from './model.js';
import { type Position, RangeDecoder } from './range_decoder.js';

const Y_UNIT = 16; // of y, in a quantisation step
const PER_HYPER = 4; // latents along a side of a hyper-latent

/** The outputs of a step's graph. */
interface Prediction {
  tables: Tensor;
  means: Tensor;
  /** Of anchors from the second group on: what the group's other positions are predicted from. */
  context?: Tensor;
}

/** What the steps so far have given. */
interface Progress {
  /** The number of the next step: two for each group, first its anchors, then its others. */
  step: number;
  /** Of the range decoder, before that step. */
  position: Position | undefined;
  features?: { anchors: Tensor; others: Tensor };
  /** The latents: [rows, columns, M]. */
  y: Int16Array;
  /** What the step's graph gave, once it has run. */
  prediction?: Prediction;
  /** What the group's anchors gave to its others. */
  context?: Tensor;
}

/** Called between steps; it may wait, or throw to give up. */
export type Pause = () => Promise<void>;

/** Return the positions where row + column is odd, and the others, row by row. */
function checkerboard(rows: number, columns: number): [number[], number[]] {
  const anchors: number[] = [];
  const others: number[] = [];
  for (let row = 0, position = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++, position++) ((row + column) % 2 ? anchors : others).push(position);
  }
  return [anchors, others];
}

/** The decoding of one region, of which more and more bytes come. */
export class RegionDecoding {
  private readonly places: [number[], number[]];
  private readonly anchors: Tensor;
  private readonly others: Tensor;
  private readonly total: number; // channels
  private known: Progress; // after the steps whose symbols were all there

  /**
   * @param rows - Of its latents.
   * @param columns - Of its latents.
   * @param quality - The quality of its latents.
   * @param falling - Whether the file is progressive.
   */
  constructor(
    private readonly model: Model,
    private readonly rows: number,
    private readonly columns: number,
    private readonly quality: QualityPlane,
    private readonly falling: boolean,
  ) {
    this.places = checkerboard(rows, columns);
    [this.anchors, this.others] = this.places.map((places) => model.wholes(places));
    this.total = model.weights.about.entropy.groups.reduce((sum, channels) => sum + channels, 0);
    this.known = { step: -1, position: undefined, y: new Int16Array(rows * columns * this.total) };
  }

  /**
   * Decode what is there.
   *
   * @param data - The region's bytes: those of the last call, and perhaps more.
   * @param cut - Whether only their beginning is there.
   * @param pause - Called before each step.
   * @throws CorruptFile - No encoder can have written the bytes.
   */
  async decode(data: Uint8Array, cut: boolean, pause: Pause = async () => undefined): Promise<Latents> {
    const { groups } = this.model.weights.about.entropy;
    const coder = new RangeDecoder(data, this.falling, cut, this.known.position);
    let now = this.known;
    while (now.step < 2 * groups.length) {
      await pause();
      const next = now.step < 0 ? await this.begun(coder) : await this.stepped(now, coder);
      next.position = coder.position ?? undefined;
      // What comes after missing bytes is a guess: it is made anew when they are there.
      if (coder.position && now === this.known) this.known = next;
      now = next;
    }
    coder.finish();
    return { values: this.planes(now.y), rows: this.rows, columns: this.columns };
  }

  /** Decode the hyper-latents. */
  private async begun(coder: RangeDecoder): Promise<Progress> {
    const { model, quality } = this;
    const rows = Math.ceil(this.rows / PER_HYPER);
    const columns = Math.ceil(this.columns / PER_HYPER);
    const each = rows * columns;
    const symbols = new Int16Array(model.z.length * each);
    const numbers = new Uint16Array(symbols.length);
    for (let channel = 0; channel < model.z.length; channel++)
      numbers.fill(channel, channel * each, (channel + 1) * each);
    coder.batch(model.z, numbers, 0, symbols);
    const inputs: Record<string, Tensor> = {
      symbols: model.tensor('int32', Int32Array.from(symbols), [1, model.z.length, rows, columns]),
      size: model.wholes([this.rows, this.columns]),
      anchors: this.anchors,
      others: this.others,
    };
    if (model.weights.about.entropy.plane) {
      const single = quality.hundredths.length === 1;
      const values = Int32Array.from({ length: each }, (_, i) => {
        const row = PER_HYPER * Math.floor(i / columns);
        return quality.hundredths[single ? 0 : row * quality.columns + PER_HYPER * (i % columns)];
      });
      inputs.quality = model.tensor('int32', values, [1, rows, columns]);
    }
    const [anchors, others] = await model.run('hyper', inputs, ['anchors_features', 'others_features']);
    return { step: 0, position: undefined, features: { anchors, others }, y: this.known.y };
  }

  /** Predict what a step decodes, if that has not been done. */
  private async predicted({ step, features, y, context, prediction }: Progress): Promise<Prediction> {
    if (prediction) return prediction;
    const { groups } = this.model.weights.about.entropy;
    const group = step >> 1;
    const start = groups.slice(0, group).reduce((sum, channels) => sum + channels, 0);
    if (step % 2) {
      const seen: Record<string, Tensor> = {
        features: features!.others,
        decoded: this.channels(y, start, groups[group]),
        others: this.others,
      };
      if (context) seen.context = context;
      const [tables, means] = await this.model.run(`other.${group}`, seen, ['tables', 'means']);
      return { tables, means };
    }
    const known: Record<string, Tensor> = { features: features!.anchors };
    if (!group) {
      const [tables, means] = await this.model.run('anchor.0', known, ['tables', 'means']);
      return { tables, means };
    }
    Object.assign(known, { earlier: this.channels(y, 0, start), anchors: this.anchors, others: this.others });
    const names = ['tables', 'means', 'context'];
    const [tables, means, forOthers] = await this.model.run(`anchor.${group}`, known, names);
    return { tables, means, context: forOthers };
  }

  /** Decode the symbols of a step. */
  private async stepped(now: Progress, coder: RangeDecoder): Promise<Progress> {
    const { groups, skip } = this.model.weights.about.entropy;
    const group = now.step >> 1;
    const start = groups.slice(0, group).reduce((sum, channels) => sum + channels, 0);
    const prediction = (now.prediction = await this.predicted(now));
    const numbers = (prediction.tables as TypedTensor<'uint8'>).data;
    const means = (prediction.means as TypedTensor<'int16'>).data as unknown as Int16Array;
    const symbols = new Int16Array(numbers.length);
    coder.batch(this.model.y, numbers, skip, symbols);
    // What is known stays without the guesses.
    const y = now.y === this.known.y && !coder.position ? now.y.slice() : now.y;
    const places = this.places[now.step % 2];
    const channels = groups[group];
    for (let i = 0, at = 0; i < places.length; i++) {
      const to = places[i] * this.total + start;
      for (let c = 0; c < channels; c++, at++) y[to + c] = Y_UNIT * symbols[at] + means[at];
    }
    const { features } = now;
    return { step: now.step + 1, position: undefined, features, y, context: prediction.context };
  }

  /** Return some channels of y as they are now. */
  private channels(y: Int16Array, first: number, count: number): Tensor {
    const places = this.rows * this.columns;
    const values = new Int16Array(places * count);
    for (let place = 0, at = 0; place < places; place++) {
      const from = place * this.total + first;
      for (let c = 0; c < count; c++) values[at++] = y[from + c];
    }
    return this.model.tensor('int16', values, [1, this.rows, this.columns, count]);
  }

  /** Return y with its channels first. */
  private planes(y: Int16Array): Int16Array {
    const values = new Int16Array(y.length);
    for (let c = 0, at = 0; c < this.total; c++) {
      for (let from = c; from < y.length; from += this.total) values[at++] = y[from];
    }
    return values;
  }
}
