// What the tests share: the repository's golden files and weights, and ONNX Runtime for Node.js.
import { createHash } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { crc32, outline } from '../dist/index.js';

export const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', '..');
export const GOLDEN = path.join(ROOT, 'tests', 'vectors', 'golden');
export const MODELS = ['tacit-s', 'tacit-s-mse'];

/** Return the bytes of a weights file of the Python package. */
export async function weightsOf(model) {
  return new Uint8Array(await readFile(path.join(ROOT, 'src', 'tacit', 'weights', `${model}.safetensors`)));
}

/** Return the golden files of a model: [name, bytes, what they must decode to]. */
export async function goldenFiles(model) {
  const expected = JSON.parse(await readFile(path.join(GOLDEN, model, 'golden.json'), 'utf8'));
  const names = (await readdir(path.join(GOLDEN, model))).filter((name) => name.endsWith('.tacit'));
  return Promise.all(
    names.map(async (name) => [
      name,
      new Uint8Array(await readFile(path.join(GOLDEN, model, name))),
      expected[name.replace('.tacit', '')],
    ]),
  );
}

/** Return the SHA-256 of latents, each in two bytes with the lower first. */
export function hashOf({ values }) {
  return createHash('sha256')
    .update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
    .digest('hex');
}

/** Return an ICC profile like that of sRGB, but with red and green exchanged. */
export function exchangedProfile() {
  const numbers = (...values) =>
    values.flatMap((value) => [value >>> 24, (value >> 16) & 255, (value >> 8) & 255, value & 255]);
  const text = (value) => [...Buffer.from(value, 'latin1')];
  const xyz = (...values) => [...text('XYZ '), ...numbers(0, ...values.map((value) => Math.round(value * 65536)))];
  const curve = [...text('curv'), ...numbers(0, 1), 2, 51, 0, 0]; // a gamma of 2.2
  const description = [...text('desc'), ...numbers(0, 10), ...text('exchanged\0'), ...new Array(78 + 2).fill(0)];
  const tags = {
    desc: description,
    cprt: [...text('text'), ...numbers(0), ...text('none\0\0\0\0')],
    wtpt: xyz(0.9642, 1, 0.8249),
    rXYZ: xyz(0.3851, 0.7169, 0.0971),
    gXYZ: xyz(0.4361, 0.2225, 0.0139),
    bXYZ: xyz(0.1431, 0.0606, 0.7141),
    rTRC: curve,
    gTRC: curve,
    bTRC: curve,
  };
  const entries = Object.entries(tags);
  let at = 128 + 4 + 12 * entries.length;
  const table = [...numbers(entries.length)];
  const data = [];
  for (const [name, bytes] of entries) {
    table.push(...text(name), ...numbers(at, bytes.length));
    data.push(...bytes);
    at += bytes.length;
  }
  const head = new Array(128).fill(0);
  head.splice(0, 4, ...numbers(at));
  head.splice(8, 4, 2, 16, 0, 0);
  head.splice(12, 12, ...text('mntrRGB XYZ '));
  head.splice(36, 4, ...text('acsp'));
  head.splice(68, 12, ...numbers(63190, 65536, 54061)); // the illuminant, D50
  return Uint8Array.from([...head, ...table, ...data]);
}

/** Return a file with a chunk before its first region. */
export function withChunk(file, type, payload) {
  const { front } = outline(file);
  const size = [];
  for (let left = payload.length; ; left >>= 7) {
    size.push((left & 127) + (left > 127 ? 128 : 0));
    if (left < 128) break;
  }
  const covered = Buffer.concat([Buffer.from([type.charCodeAt(0), ...size]), payload]);
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32BE(crc32(covered));
  return new Uint8Array(Buffer.concat([file.subarray(0, front), covered, checksum, file.subarray(front)]));
}

const sessions = new Map(); // by the hash of a graph and of its weights

/** Return ONNX Runtime as Node.js runs it: its WebAssembly, on one thread. A session is made once, for all decoders. */
export async function runtime() {
  const ort = await import(path.join(ROOT, 'js', 'node_modules', 'onnxruntime-web', 'dist', 'ort.node.min.mjs'));
  ort.env.logLevel = 'error';
  const create = (graph, options) => {
    const hash = createHash('sha256').update(graph);
    for (const { data } of options?.externalData ?? []) hash.update(data);
    const key = hash.digest('hex');
    if (!sessions.has(key)) sessions.set(key, ort.InferenceSession.create(graph, options));
    return sessions.get(key);
  };
  return { Tensor: ort.Tensor, InferenceSession: { create } };
}
