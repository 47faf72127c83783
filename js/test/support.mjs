// What the tests share: the repository's golden files and weights, and ONNX Runtime for Node.js.
import { createHash } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

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
