/** A weights file: safetensors with ONNX graphs inside (docs/format.md, "Models and weights"; docs/onnx.md). */

import { type Json, canonicalJson, members, parseJson } from './canonical_json.js';
import { CorruptWeights } from './errors.js';
import type { Place } from './external_data.js';
import { type Table, tablesOf } from './range_decoder.js';
import { sha256 } from './sha256.js';

/** What the metadata say of the entropy networks, as far as a decoder needs it. */
export interface EntropyShapes {
  groups: number[];
  plane: boolean;
  skip: number;
  bits?: number;
}

interface About {
  architecture: string;
  config: Record<string, unknown> & { latent: number; synthesis16: number; synthesis8: number };
  entropy: EntropyShapes;
  decode_hash: string;
  contents_hash: string;
}

interface Entry extends Place {
  dtype: string;
  shape: number[];
}

const TORCH_TYPES: Record<string, string> = {
  F16: 'torch.float16',
  F32: 'torch.float32',
  I8: 'torch.int8',
  I16: 'torch.int16',
  I32: 'torch.int32',
  I64: 'torch.int64',
  U8: 'torch.uint8',
  F64: 'torch.float64',
  BF16: 'torch.bfloat16',
};
const DECODED_CONFIG = ['latent', 'synthesis16', 'synthesis8', 'knots'];
const DECODED_PREFIXES = ['entropy.', 'synthesis.', 'inverse_gain.'];

/** A weights file in memory. */
export class Weights {
  readonly about: About;
  /** The same as it is written, for the hashes. */
  private readonly written: Json;
  /** Where each tensor lies in `data`. */
  readonly places = new Map<string, Entry>();

  /** The bytes of the file. */
  readonly data: Uint8Array;

  /**
   * @param file - The bytes of the file.
   * @throws CorruptWeights - The file is damaged, or is not of an architecture that this package decodes.
   */
  constructor(file: Uint8Array) {
    // Whatever kind of view it is: what slice() of a Buffer of Node.js returns is no copy.
    const data = new Uint8Array(file.buffer, file.byteOffset, file.byteLength);
    this.data = data;
    try {
      const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
      const length = Number(view.getBigUint64(0, true));
      const header = JSON.parse(new TextDecoder().decode(data.subarray(8, 8 + length)));
      this.about = JSON.parse(header.__metadata__.tacit);
      this.written = parseJson(header.__metadata__.tacit);
      delete header.__metadata__;
      for (const [name, { dtype, shape, data_offsets }] of Object.entries<any>(header)) {
        const [begin, end] = data_offsets;
        if (!(0 <= begin && begin <= end && 8 + length + end <= data.length))
          throw new CorruptWeights('the weights file ends too early');
        this.places.set(name, { dtype, shape, offset: 8 + length + begin, length: end - begin });
      }
      if (this.about.architecture !== 'tacit-s' || this.about.entropy.bits !== 24) {
        throw new CorruptWeights(
          `weights must be of tacit-s with integers of 24 bits, got ${this.about.architecture} with ${this.about.entropy.bits ?? 53}`,
        );
      }
    } catch (error) {
      if (error instanceof CorruptWeights) throw error;
      throw new CorruptWeights(`not a weights file of tacit: ${(error as Error).message}`);
    }
    if (!this.places.has('graphs.synthesis')) {
      throw new CorruptWeights(
        'the weights file has no graphs: tacit.weights.add_graphs(FILE) of the Python package adds them',
      );
    }
  }

  /** What files call these weights: the first 8 bytes of the decode hash, in hexadecimal. */
  get id(): string {
    return this.about.decode_hash.slice(0, 16);
  }

  /** Return the bytes of a tensor: a view. */
  bytes(name: string): Uint8Array {
    const place = this.places.get(name);
    if (!place) throw new CorruptWeights(`the weights file has no tensor ${name}`);
    return this.data.subarray(place.offset, place.offset + place.length);
  }

  /** Return the whole numbers of a tensor. */
  private integers(name: string): number[] {
    const bytes = this.bytes(name).slice(); // aligned
    const { dtype } = this.places.get(name)!;
    switch (dtype) {
      case 'I16':
        return Array.from(new Int16Array(bytes.buffer));
      case 'I32':
        return Array.from(new Int32Array(bytes.buffer));
      case 'I64':
        return Array.from(new BigInt64Array(bytes.buffer), Number);
      default:
        throw new CorruptWeights(`the tensor ${name} must have integers, got ${dtype}`);
    }
  }

  /** Return the tables of y or z. */
  tables(name: 'y' | 'z'): Table[] {
    const [frequencies, sizes, lows] = ['frequencies', 'sizes', 'lows'].map((part) =>
      this.integers(`entropy.tables.${name}.${part}`),
    );
    return tablesOf(frequencies, sizes, lows);
  }

  /** Return a hash of metadata and of the tensors whose names begin like this, as docs/format.md says. */
  private async hashOf(metadata: Json, prefixes: readonly string[]): Promise<string> {
    const encoder = new TextEncoder();
    const parts: Uint8Array[] = [encoder.encode(canonicalJson(metadata))];
    const names = [...this.places.keys()].filter((name) => prefixes.some((prefix) => name.startsWith(prefix)));
    for (const name of names.sort()) {
      const { dtype, shape } = this.places.get(name)!;
      parts.push(encoder.encode(`\n${name} ${TORCH_TYPES[dtype]} [${shape.join(', ')}]\n`), this.bytes(name));
    }
    return sha256(parts);
  }

  /** Return the SHA-256 of all that decoding needs, in hexadecimal, by which files name these weights. */
  async decodeHash(): Promise<string> {
    const about = members(this.written, ['architecture', 'config', 'entropy']);
    about['"config'] = members(about['"config'], DECODED_CONFIG);
    return this.hashOf(about, DECODED_PREFIXES);
  }

  /** Return the SHA-256 of the whole file but this hash itself, in hexadecimal: of the graphs, too. */
  async contentsHash(): Promise<string> {
    const { '"contents_hash': _, ...about } = members(this.written);
    return this.hashOf(about, ['']);
  }

  /**
   * Compare both hashes with what the file says.
   *
   * @throws CorruptWeights - They differ.
   */
  async verify(): Promise<void> {
    const { decode_hash, contents_hash } = this.about;
    if ((await this.decodeHash()) !== decode_hash || (await this.contentsHash()) !== contents_hash) {
      throw new CorruptWeights('the weights file is damaged: its contents do not fit its hash');
    }
  }
}
