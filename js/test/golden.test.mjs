// The golden files decode to the same integers as in Python, and to its pixels within one level.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Decoder, Weights } from '../dist/index.js';
import { MODELS, goldenFiles, hashOf, runtime, weightsOf } from './support.mjs';

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
      const image = await decoder.decode(bytes);
      const channels = expected.mode.replace('L', 'R').length;
      for (let channel = 0; channel < expected.means.length; channel++) {
        const from = expected.mode === 'L' ? 0 : expected.mode === 'LA' && channel === 1 ? 3 : channel;
        let sum = 0;
        for (let at = from; at < image.data.length; at += 4) sum += image.data[at];
        const mean = sum / (image.width * image.height);
        assert.ok(Math.abs(mean - expected.means[channel]) < 0.01, `${name} ${channels}: ${mean}, ${expected.means}`);
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
