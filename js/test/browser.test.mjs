// The viewer, the element and the service worker, in a real browser.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { browser, served } from './browser.mjs';
import { GOLDEN, goldenFiles } from './support.mjs';

const folders = { golden: path.join(GOLDEN, 'tacit-s') };
const ELEMENT = `<!doctype html><script type="module" src="/element.js"></script>`;
let chrome;

before(async () => {
  chrome = await browser();
});
after(() => chrome?.close());

/** Run `work` with a page of a server. */
async function withPage(options, where, work) {
  const server = await served({ folders, ...options });
  const context = await chrome.newContext();
  try {
    const page = await context.newPage();
    const errors = [];
    page.on('pageerror', (error) => errors.push(String(error)));
    await page.goto(server.address + where);
    await work(page, server);
    assert.deepEqual(errors, []);
  } finally {
    await context.close();
    await server.close();
  }
}

/** Return in the page the SHA-256 of the latents of files, by the module. */
const HASHES = async ([names, isolated]) => {
  const { Decoder } = await import('/index.js');
  const ort = await import('/ort/ort.wasm.min.mjs');
  ort.env.wasm.wasmPaths = new URL('/ort/', location.href).href;
  ort.env.wasm.numThreads = isolated ? 2 : 1;
  const decoder = new Decoder(ort, {
    weights: async (id) => new Uint8Array(await (await fetch(`/weights/${id}.safetensors`)).arrayBuffer()),
    session: { executionProviders: ['wasm'] },
  });
  const found = {};
  for (const name of names) {
    const data = new Uint8Array(await (await fetch(`/golden/${name}`)).arrayBuffer());
    const { values } = await decoder.latents(data);
    const digest = await crypto.subtle.digest('SHA-256', new Uint8Array(values.buffer));
    found[name] = [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  }
  return found;
};

for (const isolated of [false, true]) {
  test(`golden files have Python's latents ${isolated ? 'with two threads' : 'with one thread'}`, async () => {
    const files = await goldenFiles('tacit-s');
    await withPage({ isolated, pages: { '/empty': '<!doctype html>' } }, '/empty', async (page) => {
      assert.equal(await page.evaluate('crossOriginIsolated'), isolated);
      const hashes = await page.evaluate(HASHES, [files.map(([name]) => name), isolated]);
      for (const [name, , expected] of files) assert.equal(hashes[name], expected.latents, name);
    });
  });
}

test('the viewer shows a file, its caption and what is wrong with a bad one', async () => {
  await withPage({}, '/index.html', async (page) => {
    const caption = path.join(GOLDEN, 'tacit-s', 'caption.tacit');
    const bad = (await readFile(caption)).subarray(0, 100);
    await page.setInputFiles('#files', [caption]);
    await page.waitForSelector('#canvas:not([hidden])');
    assert.notEqual(await page.textContent('#caption'), '');
    assert.match(await page.textContent('#facts'), /Bytes/);
    const [download] = await Promise.all([page.waitForEvent('download'), page.click('#save')]);
    assert.equal(download.suggestedFilename(), 'caption.png');
    assert.equal((await readFile(await download.path())).subarray(1, 4).toString(), 'PNG');
    await page.setInputFiles('#files', [{ name: 'bad.tacit', mimeType: '', buffer: bad }]);
    await page.waitForSelector('#status.error');
    assert.match(await page.textContent('#status'), /bad\.tacit: .*(ends too early|checksum)/);
  });
});

test('the element has its size, its picture and the stored caption', async () => {
  await withPage(
    { pages: { '/page': `${ELEMENT}<tacit-image src="/golden/caption.tacit"></tacit-image>` } },
    '/page',
    async (page) => {
      await page.waitForFunction('document.querySelector("tacit-image").complete');
      const found = await page.evaluate(() => {
        const element = document.querySelector('tacit-image');
        const { width, height } = element.getBoundingClientRect();
        const canvas = element.shadowRoot.querySelector('canvas');
        const pixel = [...canvas.getContext('2d').getImageData(5, 5, 1, 1).data];
        return {
          width,
          height,
          natural: element.naturalWidth,
          label: element.getAttribute('aria-label'),
          role: element.role,
          pixel,
        };
      });
      assert.equal(found.width, found.natural);
      assert.ok(found.height > 0);
      assert.ok(found.label);
      assert.equal(found.pixel[3], 255);
    },
  );
});

test('the element says what is wrong with a file that is not there', async () => {
  const page = `${ELEMENT}<script>addEventListener('error', (e) => (window.failure = e.message), true)</script><tacit-image src="/golden/none.tacit"></tacit-image>`;
  await withPage({ pages: { '/page': page } }, '/page', async (opened) => {
    await opened.waitForFunction('document.querySelector("tacit-image").complete');
    assert.match(await opened.evaluate('window.failure'), /404/);
  });
});

test('the service worker lets <img> show a file', async () => {
  const start = `<!doctype html><script>navigator.serviceWorker.register('/service_worker.js');</script>`;
  await withPage({ pages: { '/page': start } }, '/page', async (page) => {
    await page.waitForFunction('navigator.serviceWorker.controller');
    const [width, height] = await page.evaluate(async () => {
      const image = new Image();
      image.src = '/golden/caption.tacit';
      await image.decode();
      return [image.naturalWidth, image.naturalHeight];
    });
    assert.ok(width > 0 && height > 0);
  });
});
