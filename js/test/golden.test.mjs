// The golden files decode to the same integers as in Python, and to its pixels within one level.
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode as decodePng } from 'fast-png';
import { Decoder, IncomingFile, Weights, pngOf } from '../dist/index.js';
import {
  GOLDEN,
  MODELS,
  ROOT,
  exchangedProfile,
  goldenFiles,
  hashOf,
  runtime,
  weightsOf,
  withChunk,
} from './support.mjs';

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
    const data = await weightsOf(model);
    for (const name of ['synthesis.project.weight', 'entropy.tables.y.lows', 'graphs.synthesis', 'graphs.other.4']) {
      const damaged = data.slice();
      damaged[weights.places.get(name).offset] ^= 1;
      await assert.rejects(new Weights(damaged).verify(), { name: 'CorruptWeights' }, name);
    }
  });
}

test('weights are verified where there is no SHA-256, as on pages without HTTPS', async (context) => {
  const data = await weightsOf('tacit-s');
  context.mock.getter(globalThis, 'crypto', () => undefined);
  await new Weights(data).verify();
  data[data.length - 1] ^= 1;
  await assert.rejects(new Weights(data).verify(), { name: 'CorruptWeights' });
});

test('a damaged header of weights is one of the errors', async () => {
  const data = await weightsOf('tacit-s');
  const header = new TextDecoder().decode(data.subarray(8, 400_000));
  const wrong = (from, to) => {
    const changed = data.slice();
    changed.set(new TextEncoder().encode(to), 8 + header.indexOf(from));
    return changed;
  };
  for (const damaged of [
    data.slice(0, 7),
    data.slice(0, 5000),
    data.slice(0, -1),
    wrong('__metadata__', '__metadaten_'),
    wrong('"data_offsets"', '"data_offsetz"'),
    wrong('\\"entropy\\"', '\\"entropz\\"'),
    wrong('\\"decode_hash\\"', '\\"decodz_hash\\"'),
    wrong('graphs.synthesis', 'graphs.zynthesis'),
  ]) {
    await assert.rejects(async () => new Weights(damaged).verify(), { name: 'CorruptWeights' });
  }
});

test('a Buffer of Node.js is as good as any bytes', async () => {
  const decoder = new Decoder(await runtime(), {
    weights: () => readFile(path.join(ROOT, 'src', 'tacit', 'weights', 'tacit-s.safetensors')),
  });
  const image = await decoder.decode(await readFile(path.join(GOLDEN, 'tacit-s', 'pixel.tacit')));
  assert.equal(image.width * image.height, 1);
});

/** Return ONNX Runtime, and a map in which it counts the runs of each graph by the names of its outputs. */
async function counting() {
  const ort = await runtime();
  const runs = new Map();
  const create = async (...given) => {
    const session = await ort.InferenceSession.create(...given);
    const run = (inputs, outputs) => {
      runs.set(outputs.join(), (runs.get(outputs.join()) ?? 0) + 1);
      return session.run(inputs, outputs);
    };
    return { run };
  };
  return [{ Tensor: ort.Tensor, InferenceSession: { create } }, runs];
}

for (const name of ['progressive', 'scans', 'alpha']) {
  test(`${name}: while its bytes come, the image is that of its beginning, and nothing is done twice`, async () => {
    const [ort, runs] = await counting();
    const data = await weightsOf('tacit-s');
    const decoder = new Decoder(ort, { weights: async () => data });
    const bytes = new Uint8Array(await readFile(path.join(GOLDEN, 'tacit-s', `${name}.tacit`)));
    const expectedWhole = await decoder.decode(bytes);
    const once =
      runs.get('tables,means') + runs.get('tables,means,context') + runs.get('anchors_features,others_features');
    const incremental = decoder.incremental();
    assert.equal(await incremental.image(), null);
    const shares = name === 'scans' ? [0.3, 0.9] : [0.02, 0.3, 0.31, 0.6, 0.9]; // the large one takes longer
    let before = 0;
    let guessed = 0;
    for (const share of shares) {
      const end = Math.round(share * bytes.length);
      incremental.feed(bytes.subarray(before, end));
      before = end;
      const start = total(runs);
      const image = await incremental.image();
      guessed += total(runs) - start;
      const expected = await decoder.decode(bytes.subarray(0, end), { partial: true }).catch(() => null);
      assert.deepEqual(image, expected, `${share}`);
    }
    await assert.rejects(incremental.close(), { name: 'CorruptFile' });
    incremental.feed(bytes.subarray(before));
    const start = total(runs);
    const whole = await incremental.close();
    assert.ok(total(runs) - start < once, `the last steps only, not all ${once}: ${total(runs) - start}`);
    assert.ok(guessed < shares.length * once);
    assert.deepEqual(whole, expectedWhole);
  });
}

/** Return how many runs there were of the graphs that predict. */
function total(runs) {
  return [...runs].reduce((sum, [outputs, count]) => sum + (/tables|features/.test(outputs) ? count : 0), 0);
}

test('a file says how long it is before its end is there', async () => {
  for (const [name, bytes] of await goldenFiles('tacit-s')) {
    const file = new IncomingFile();
    let known = 0;
    for (let at = 0; at < bytes.length; at++) {
      file.feed(bytes.subarray(at, at + 1));
      if (file.total === null) continue;
      known ||= at;
      assert.equal(file.total, bytes.length, name);
      assert.ok(file.begun && file.header);
    }
    assert.ok(known && known < 4000, `${name}: ${known}`);
    assert.deepEqual(file.bytes, bytes);
  }
});

test('a decoding is given up when its signal says so', async () => {
  const data = await weightsOf('tacit-s');
  const decoder = new Decoder(await runtime(), { weights: async () => data });
  const bytes = await readFile(path.join(GOLDEN, 'tacit-s', 'scans.tacit'));
  const controller = new AbortController();
  const given = decoder.decode(bytes, { signal: controller.signal });
  const next = decoder.decode(bytes);
  controller.abort(new Error('another is wanted'));
  await assert.rejects(given, /another is wanted/);
  assert.ok((await next).width);
});

test('a PNG has the very pixels, and the ICC profile', async () => {
  const weights = await weightsOf('tacit-s');
  const decoder = new Decoder(await runtime(), { weights: async () => weights });
  const profile = exchangedProfile();
  for (const name of ['small', 'grey', 'alpha']) {
    const plain = new Uint8Array(await readFile(path.join(GOLDEN, 'tacit-s', `${name}.tacit`)));
    const image = await decoder.decode(withChunk(plain, 'i', Buffer.from([0, ...profile])));
    assert.deepEqual(image.icc, profile);
    for (const compressed of [true, false]) {
      const png = decodePng(new Uint8Array(await (await pngOf(image, compressed)).arrayBuffer()), { checkCrc: true });
      assert.deepEqual(png.iccEmbeddedProfile.profile, profile);
      assert.deepEqual([png.width, png.height, png.depth], [image.width, image.height, 8]);
      assert.equal(png.channels < 3, image.grey);
      const channels = { 1: [0], 2: [0, 3], 3: [0, 1, 2], 4: [0, 1, 2, 3] }[png.channels];
      assert.equal(png.channels % 2 === 0, name === 'alpha');
      const expected = Array.from(image.data).filter((_, i) => channels.includes(i % 4));
      assert.deepEqual(Array.from(png.data), expected);
    }
  }
});
