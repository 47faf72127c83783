// The golden files decode to the same integers as in Python, and to its pixels within one level.
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Decoder, Weights } from '../dist/index.js';
import { GOLDEN, MODELS, ROOT, goldenFiles, hashOf, runtime, weightsOf } from './support.mjs';

const SAMPLES = 8; // along each side, of the grid of pixels that the golden files have; it reaches the corners
const CHANNELS = { L: [0], LA: [0, 3], RGB: [0, 1, 2], RGBA: [0, 1, 2, 3] };

/** Return the places of the grid along a side, as numpy's linspace gives them, cut to whole numbers. */
function grid(size) {
  return Array.from({ length: SAMPLES }, (_, i) => Math.floor((i * (size - 1)) / (SAMPLES - 1)));
}

for (const model of MODELS) {
  test(`${model}: every golden file`, async () => {
    const data = await weightsOf(model);
    const decoder = new Decoder(await runtime(), { weights: async () => data });
    for (const [name, bytes, expected] of await goldenFiles(model)) {
      const latents = await decoder.latents(bytes);
      assert.deepEqual(
        [latents.values.length / latents.rows / latents.columns, latents.rows, latents.columns],
        expected.shape,
        name,
      );
      assert.equal(hashOf(latents), expected.latents, name);
      for (const [size, hash] of Object.entries(expected.beginnings ?? {})) {
        const part = await decoder.latents(bytes.subarray(0, Number(size)), { partial: true });
        assert.equal(hashOf(part), hash, `${name}, the first ${size} bytes`);
      }
      const image = await decoder.decode(bytes);
      const places = grid(image.height).flatMap((row) => grid(image.width).map((column) => row * image.width + column));
      assert.equal(places.length, expected.samples.length);
      for (const [i, place] of places.entries()) {
        const found = CHANNELS[expected.mode].map((channel) => image.data[4 * place + channel]);
        for (const [channel, value] of found.entries()) {
          assert.ok(Math.abs(value - expected.samples[i][channel]) <= 1, `${name} ${i}: ${found}`);
        }
      }
    }
  });

  test(`${model}: the hash of the weights is what they say`, async () => {
    const weights = new Weights(await weightsOf(model));
    await weights.verify();
    const damaged = (await weightsOf(model)).slice();
    damaged[weights.places.get('synthesis.project.weight').offset] ^= 1;
    await assert.rejects(new Weights(damaged).verify(), { name: 'CorruptWeights' });
  });
}

test('a Buffer of Node.js is as good as any bytes', async () => {
  const decoder = new Decoder(await runtime(), {
    weights: () => readFile(path.join(ROOT, 'src', 'tacit', 'weights', 'tacit-s.safetensors')),
  });
  const image = await decoder.decode(await readFile(path.join(GOLDEN, 'tacit-s', 'pixel.tacit')));
  assert.equal(image.width * image.height, 1);
});
