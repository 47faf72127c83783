// Pixels that a GPU computes. In Node.js, ONNX Runtime's WebAssembly stands for the GPU, and runs the GPU's graph.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { Decoder } from '../dist/index.js';
import { browser, served } from './browser.mjs';
import { GOLDEN, runtime, weightsOf } from './support.mjs';

const golden = async (name) => new Uint8Array(await readFile(path.join(GOLDEN, 'tacit-s', `${name}.tacit`)));

/** Return a decoder whose GPU is a session of WebAssembly, with its outputs changed by `change`. */
async function withGpu(change = (planes) => planes) {
  const ort = await runtime();
  const weights = await weightsOf('tacit-s');
  const created = [];
  const gpu = async () => ({
    Tensor: ort.Tensor,
    InferenceSession: {
      create: async (graph, { executionProviders }) => {
        created.push(...executionProviders);
        const session = await ort.InferenceSession.create(graph);
        const run = async (inputs) => {
          const { image } = await session.run(inputs, ['image']);
          return { image: { getData: async () => change(image.data) } };
        };
        return { run, release: async () => undefined };
      },
    },
  });
  return [new Decoder(ort, { weights: async () => weights, gpu, gpuFirst: true }), created];
}

/** Return the largest difference of two images. */
function distance(one, other) {
  assert.equal(one.data.length, other.data.length);
  return one.data.reduce((most, value, i) => Math.max(most, Math.abs(value - other.data[i])), 0);
}

test("the GPU's graph gives the same image", async () => {
  const weights = await weightsOf('tacit-s');
  const plain = new Decoder(await runtime(), { weights: async () => weights });
  const [decoder, created] = await withGpu();
  for (const name of ['small', 'grey', 'alpha']) {
    const expected = await plain.decode(await golden(name));
    const found = await decoder.decode(await golden(name));
    assert.deepEqual([expected.backend, found.backend], ['wasm', 'webgpu']);
    assert.ok(distance(found, expected) <= 1, name);
  }
  assert.deepEqual(created, ['webgpu']);
});

test('a GPU that computes something else is not used', async () => {
  const [decoder, created] = await withGpu((planes) => planes.map((value) => value + 0.02));
  assert.equal((await decoder.decode(await golden('small'))).backend, 'wasm');
  assert.deepEqual(created, ['webgpu']);
});

test('a GPU that gives none or is lost meanwhile gives way', async () => {
  let runs = 0;
  const [decoder] = await withGpu((planes) => {
    if (++runs > 2) throw new Error('the device was lost');
    return planes;
  });
  const first = await decoder.decode(await golden('small'));
  const second = await decoder.decode(await golden('small'));
  assert.deepEqual([first.backend, second.backend], ['webgpu', 'wasm']);
  assert.ok(distance(first, second) <= 1);
  const ort = await runtime();
  const weights = await weightsOf('tacit-s');
  const none = new Decoder(ort, {
    weights: async () => weights,
    gpu: () => Promise.reject(new Error('there is no GPU')),
    gpuFirst: true,
  });
  assert.equal((await none.decode(await golden('small'))).backend, 'wasm');
});

// Half a minute, nearly all of it for programs of a GPU that a processor simulates: SLOW=1 npm test
test('in Chromium, with WebGPU', { skip: !process.env.SLOW && 'takes half a minute: set SLOW=1' }, async () => {
  const chrome = await browser(['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader']);
  const server = await served({ folders: { golden: path.join(GOLDEN, 'tacit-s') }, pages: { '/page': '' } });
  try {
    const page = await chrome.newPage();
    await page.goto(`${server.address}/page`);
    const decode = (backend) =>
      page.evaluate(async (asked) => {
        const { Client } = await import('/client.js');
        const data = new Uint8Array(await (await fetch('/golden/small.tacit')).arrayBuffer());
        const client = new Client({ backend: asked });
        const image = await client.decode(data);
        client.close();
        return { backend: image.backend, data: [...image.data] };
      }, backend);
    const plain = await decode('auto'); // a simulated GPU is slower than none
    assert.equal(plain.backend, 'wasm');
    assert.ok(!server.requests.some((address) => address.includes('jspi')), 'it has not been loaded');
    const found = await decode('webgpu');
    assert.equal(found.backend, 'webgpu');
    assert.ok(distance(found, plain) <= 1);
    await page.route('**/*.jspi.wasm', (route) => route.abort());
    assert.equal((await decode('webgpu')).backend, 'wasm');
  } finally {
    await chrome.close();
    await server.close();
  }
});
