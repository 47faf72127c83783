/** Decodes whole files, with the weights that they name. */

import type { InferenceSession } from 'onnxruntime-common';
import { alphaOf } from './alpha.js';
import { type Limits, type TacitFile, parse } from './container.js';
import { CorruptFile, MissingWeights, UnsupportedFile } from './errors.js';
import { begin } from './identity_graph.js';
import { IncrementalDecoder } from './incremental_decoder.js';
import { LATENT_STEP, type Latents, Model, type QualityPlane, type Runtime, latentSize } from './model.js';
import { type Pause, RegionDecoding } from './region_decoding.js';
import { CELL } from './regions.js';
import { type Backend, Synthesiser } from './synthesiser.js';
import { Weights } from './weights.js';

const TACIT_S = 1; // the number of the architecture
const TILE = 512; // pixels of a side that are synthesised at once
const SYNTHESIS = 0.8; // of the time, about
const MOST_KEPT = 4; // regions whose steps are kept until more bytes come; each may take some ten megabytes

/** A decoded image. */
export interface DecodedImage {
  /** Pixels. */
  width: number;
  /** Pixels. */
  height: number;
  /** Red, green, blue and alpha of each pixel, row by row, as ImageData has them. */
  data: Uint8ClampedArray<ArrayBuffer>;
  /** What the file says the image shows; null if it says nothing. */
  caption: string | null;
  /** Whether the file is greyscale: red, green and blue are then equal. */
  grey: boolean;
  /** The ICC profile, which says what the values mean; null where they are sRGB. `bitmapOf` applies it. */
  icc: Uint8Array | null;
  /** Where its pixels were computed. */
  backend: Backend;
}

/** Options of a decoder. */
export interface DecoderOptions {
  /** Returns the bytes of the weights that files call by this name: 16 hexadecimal digits. */
  weights: (id: string) => Promise<Uint8Array>;
  /** Options of ONNX Runtime's sessions. */
  session?: InferenceSession.SessionOptions;
  /** Called with the name of weights that turned out to be damaged, before they are refused. */
  discard?: (id: string) => Promise<void>;
  /** Loads ONNX Runtime with WebGPU, or fails where there is none: then the first one computes pixels, too. */
  gpu?: () => Promise<Runtime>;
  /** Whether the first image waits until the GPU is ready. */
  gpuFirst?: boolean;
}

/** Options of decoding a file. */
export interface DecodeOptions extends Limits {
  /** Gives the decoding up, which then fails with the signal's reason. */
  signal?: AbortSignal;
  /** Called now and then with the share of the work that is done, 0 to 1; first when the weights are loaded. */
  progress?: (share: number) => void;
}

/** Decodes `.tacit` files; weights are loaded once, and kept. */
export class Decoder {
  private readonly models = new Map<string, Promise<Loaded>>();
  private queue: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly runtime: Runtime,
    private readonly options: DecoderOptions,
  ) {}

  /**
   * Return the model of weights by the name that files have for them.
   *
   * @throws MissingWeights - There are no weights of this name.
   * @throws CorruptWeights - They are damaged, or are others.
   */
  async model(id: string): Promise<Model> {
    return (await this.loaded(id)).model;
  }

  private loaded(id: string): Promise<Loaded> {
    let loaded = this.models.get(id);
    if (!loaded) {
      loaded = this.load(id);
      this.models.set(id, loaded);
      loaded.catch(() => this.models.delete(id)); // the next file may find them
    }
    return loaded;
  }

  private async load(id: string): Promise<Loaded> {
    let weights: Weights;
    try {
      const begun = begin(this.runtime, this.options.session);
      weights = new Weights(await this.options.weights(id));
      await begun;
      await weights.verify();
      if (weights.id !== id) throw new MissingWeights(`the file needs the weights ${id}, got ${weights.id}`);
    } catch (error) {
      await this.options.discard?.(id);
      throw error;
    }
    const model = new Model(weights, this.runtime, this.options.session);
    await model.load();
    const synthesiser = new Synthesiser(model);
    const { gpu, gpuFirst } = this.options;
    const ready = gpu && synthesiser.accelerate(gpu, (work) => this.inTurn(work));
    if (gpuFirst) await ready;
    return { model, synthesiser };
  }

  /** Do work when what was asked for before is done: sessions share their threads, and memory is bounded. */
  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.queue.then(work);
    this.queue = done.catch(() => undefined);
    return done;
  }

  /**
   * Decode a file.
   *
   * @throws TacitError - The file or its weights are damaged, missing or not supported.
   */
  async decode(data: Uint8Array, options: DecodeOptions = {}): Promise<DecodedImage> {
    return this.decodeParts(data, options, new Map());
  }

  /** Decode a file to its latents alone: [M, h, w] in sixteenths of a step, which are equal everywhere. */
  async latents(data: Uint8Array, limits: Limits = {}): Promise<Latents> {
    const file = parse(data, limits);
    return decodeLatents(file, await this.model(file.header.weights), new Map());
  }

  /** Return what decodes a file whose bytes come piece by piece. */
  incremental(limits: Omit<Limits, 'partial'> = {}): IncrementalDecoder {
    const parts: RegionDecodings = new Map();
    return new IncrementalDecoder((data, options) => this.decodeParts(data, { ...limits, ...options }, parts), limits);
  }

  private async decodeParts(
    data: Uint8Array,
    { signal, progress, ...limits }: DecodeOptions,
    parts: RegionDecodings,
  ): Promise<DecodedImage> {
    const file = parse(data, limits);
    const { header } = file;
    if (header.model !== TACIT_S || header.hundredths === null) {
      throw new UnsupportedFile(`files of model ${header.model} cannot be decoded here: it must be tacit-s`);
    }
    const alpha = alphaOf(file);
    const { model, synthesiser } = await this.loaded(header.weights);
    const { width, height, color } = header;
    const [steps, tiles] = [stepsOf(file, model), Math.ceil(width / TILE) * Math.ceil(height / TILE)];
    let done = 0;
    const pauseOf = (share: number) => async () => {
      progress?.(Math.min(1, done));
      done += share;
      if (!signal) return;
      await nextTask(); // in which the signal may come
      signal.throwIfAborted();
    };
    return this.inTurn(async () => {
      const latents = await decodeLatents(file, model, parts, pauseOf((1 - SYNTHESIS) / steps));
      done = 1 - SYNTHESIS;
      const painted = await paint(file, latents, alpha, model, synthesiser, pauseOf(SYNTHESIS / tiles));
      const { caption } = file;
      const icc = file.icc?.slice() ?? null; // not a view: what goes to another thread is all that it views
      return { width, height, data: painted, caption, grey: !color, icc, backend: synthesiser.backend };
    });
  }
}

/** A model, and what runs its synthesis. */
interface Loaded {
  model: Model;
  synthesiser: Synthesiser;
}

/** The decodings of regions by their numbers, which are kept while a file arrives. */
type RegionDecodings = Map<number, RegionDecoding>;

/** Let other tasks of the thread run, such as messages that have come. */
function nextTask(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}

/** Return how many steps the latents of a file take. */
function stepsOf({ grid }: TacitFile, model: Model): number {
  return grid.length * (1 + 2 * model.weights.about.entropy.groups.length);
}

/** Return the quality of a rectangle of latents of the image. */
function qualityAt(
  { header, qualityMap }: TacitFile,
  row: number,
  column: number,
  rows: number,
  columns: number,
): QualityPlane {
  const base = header.hundredths ?? 0;
  if (!qualityMap) return { hundredths: Int32Array.of(base), rows: 1, columns: 1 };
  const across = Math.ceil(header.width / CELL);
  const down = Math.ceil(header.height / CELL);
  const each = CELL / LATENT_STEP;
  const hundredths = new Int32Array(rows * columns);
  for (let r = 0, at = 0; r < rows; r++) {
    const cellRow = Math.min(down - 1, Math.floor((row + r) / each));
    for (let c = 0; c < columns; c++) {
      const cellColumn = Math.min(across - 1, Math.floor((column + c) / each));
      const value = base + 100 * qualityMap[cellRow * across + cellColumn];
      hundredths[at++] = Math.max(0, Math.min(10_000, value));
    }
  }
  return { hundredths, rows, columns };
}

/** Copy a rectangle of latents from one array to another. */
function copy(
  from: Latents,
  fromRow: number,
  fromColumn: number,
  to: Latents,
  toRow: number,
  toColumn: number,
  rows: number,
  columns: number,
): void {
  const channels = from.values.length / (from.rows * from.columns);
  for (let c = 0; c < channels; c++) {
    for (let r = 0; r < rows; r++) {
      const start = (c * from.rows + fromRow + r) * from.columns + fromColumn;
      to.values.set(from.values.subarray(start, start + columns), (c * to.rows + toRow + r) * to.columns + toColumn);
    }
  }
}

function emptyLatents(model: Model, rows: number, columns: number): Latents {
  return { values: new Int16Array(model.channels * rows * columns), rows, columns };
}

async function decodeLatents(file: TacitFile, model: Model, parts: RegionDecodings, pause?: Pause): Promise<Latents> {
  const { header, grid, regions, cut } = file;
  const whole = grid.length > 1 ? emptyLatents(model, latentSize(header.height), latentSize(header.width)) : null;
  for (const [index, region] of grid.entries()) {
    const bytes = regions[index] ?? (whole ? null : new Uint8Array());
    if (!bytes) continue; // its latents stay zero
    const [rows, columns] = [latentSize(region.height), latentSize(region.width)];
    const [row, column] = [region.top / LATENT_STEP, region.left / LATENT_STEP];
    let part = parts.get(index);
    if (!part) {
      const quality = qualityAt(file, row, column, rows, columns);
      part = new RegionDecoding(model, rows, columns, quality, header.scans !== null);
      if (grid.length <= MOST_KEPT) parts.set(index, part);
    }
    const latents = await part.decode(bytes, cut[index], pause).catch((error: Error) => {
      throw error instanceof CorruptFile ? new CorruptFile(`chunk R ${index}: ${error.message}`) : error;
    });
    if (!whole) return latents;
    copy(latents, 0, 0, whole, row, column, rows, columns);
  }
  return whole!;
}

/** Return the colours of all pixels, with alpha. */
async function paint(
  file: TacitFile,
  latents: Latents,
  alpha: Uint8Array | null,
  model: Model,
  synthesiser: Synthesiser,
  pause: Pause,
): Promise<Uint8ClampedArray<ArrayBuffer>> {
  const { width, height, color } = file.header;
  const out = new Uint8ClampedArray(4 * width * height);
  const step = width * height <= 2 * TILE * TILE ? Math.max(width, height) : TILE; // small images at once
  for (let top = 0; top < height; top += step) {
    for (let left = 0; left < width; left += step) {
      await pause();
      const bottom = Math.min(top + step, height);
      const right = Math.min(left + step, width);
      const row = Math.max(0, Math.floor(top / LATENT_STEP) - model.reach);
      const column = Math.max(0, Math.floor(left / LATENT_STEP) - model.reach);
      const rows = Math.min(latents.rows, latentSize(bottom) + model.reach) - row;
      const columns = Math.min(latents.columns, latentSize(right) + model.reach) - column;
      let tile = latents;
      if (rows !== latents.rows || columns !== latents.columns) {
        tile = emptyLatents(model, rows, columns);
        copy(latents, row, column, tile, 0, 0, rows, columns);
      }
      const values = await synthesiser.synthesise(tile, qualityAt(file, row, column, rows, columns), !color);
      const planes = values instanceof Float32Array;
      const across = columns * LATENT_STEP;
      const plane = rows * LATENT_STEP * across;
      for (let y = top; y < bottom; y++) {
        let from = (y - row * LATENT_STEP) * across + left - column * LATENT_STEP;
        let to = 4 * (y * width + left);
        for (let x = left; x < right; x++, from++, to += 4) {
          if (!color) {
            const clamped = (at: number) => Math.max(0, Math.min(1, values[at]));
            const mean = (clamped(from) + clamped(from + plane) + clamped(from + 2 * plane)) / 3;
            out[to] = out[to + 1] = out[to + 2] = 255 * mean; // rounded by the array
          } else if (planes) {
            out[to] = 255 * values[from]; // rounded and clipped by the array
            out[to + 1] = 255 * values[from + plane];
            out[to + 2] = 255 * values[from + 2 * plane];
          } else {
            out[to] = values[3 * from];
            out[to + 1] = values[3 * from + 1];
            out[to + 2] = values[3 * from + 2];
          }
          out[to + 3] = alpha ? alpha[y * width + x] : 255;
        }
      }
    }
  }
  return out;
}
