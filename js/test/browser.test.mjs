// The viewer, the element and the service worker, in a real browser.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Decoder, Weights, parse } from '../dist/index.js';
import { browser, served } from './browser.mjs';
import { GOLDEN, exchangedProfile, goldenFiles, runtime, weightsOf, withChunk } from './support.mjs';

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
  context.setDefaultTimeout(120_000); // on a busy machine, loading takes long
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
    assert.match(await page.textContent('#status'), /bad\.tacit: chunk .*(must fit in the file|checksum)/);
  });
});

test('the viewer says how far it is, and leaves a file for another at once', async () => {
  await withPage({}, '/index.html', async (page) => {
    const paths = ['regions', 'small'].map((name) => path.join(GOLDEN, 'tacit-s', `${name}.tacit`));
    const sizes = await Promise.all(paths.map(async (file) => parse(await readFile(file)).header.width));
    const widthIs = (width) => page.waitForSelector(`#canvas[width="${width}"]:not([hidden])`);
    await page.setInputFiles('#files', paths);
    await page.getByText(/^Decoding … \d+ %$/).waitFor();
    await page.click('#list button >> nth=1');
    await widthIs(sizes[1]);
    assert.equal(await page.locator('#list .failed').count(), 0);
    await page.click('#list button >> nth=0');
    await widthIs(sizes[0]);
    assert.match(await page.textContent('#facts'), /Format version1Progressiveno/);
  });
});

/** Return a route that sends a file up to some places, and waits at each of them until `go` is called. */
function stepwise(data, places) {
  let opened;
  const response = new Promise((resolve) => (opened = resolve));
  let sent = 0;
  const go = async () => {
    const end = places.shift() ?? data.length;
    (await response).write(data.subarray(sent, end));
    if (end === data.length) (await response).end();
    sent = end;
  };
  return [opened, go];
}

/** A page with the element, for all tests of it: its worker has loaded the weights after the first. */
describe('the element', () => {
  const golden = (name) => readFile(path.join(GOLDEN, 'tacit-s', `${name}.tacit`));
  const routes = {};
  let context;
  let page;
  let server;

  before(async () => {
    server = await served({ folders, routes, pages: { '/page': ELEMENT } });
    context = await chrome.newContext();
    context.setDefaultTimeout(120_000);
    page = await context.newPage();
    await page.goto(`${server.address}/page`);
    await page.waitForFunction('customElements.get("tacit-image")');
  });
  after(async () => {
    await context?.close();
    await server?.close();
  });

  /** Put an element and a line of text into the page, and note its events in `events`. */
  const placed = (attributes) =>
    page.evaluate((given) => {
      document.body.innerHTML = `<tacit-image ${given}></tacit-image><p id="below">below</p>`;
      const element = document.querySelector('tacit-image');
      window.events = [];
      window.pictures = [];
      for (const name of ['progress', 'load', 'error']) {
        element.addEventListener(name, ({ type, loaded, total, message }) => {
          const canvas = element.shadowRoot.querySelector('canvas');
          const { width, height } = canvas;
          if (width) pictures.push(canvas.getContext('2d').getImageData(0, 0, width, height).data);
          events.push({ type, loaded, total, message });
        });
      }
    }, attributes);
  const events = async (count) => {
    await page.waitForFunction(`events.length >= ${count}`);
    return page.evaluate('events');
  };
  const look = () =>
    page.evaluate(() => {
      const element = document.querySelector('tacit-image');
      const box = element.shadowRoot.querySelector('p');
      return {
        natural: [element.naturalWidth, element.naturalHeight],
        size: [element.clientWidth, element.clientHeight],
        label: element.ariaLabel,
        role: element.role,
        message: box.checkVisibility() ? box.textContent : null,
        below: document.getElementById('below').getBoundingClientRect().top,
      };
    });

  test('has its size, its picture and the stored caption', async () => {
    const { header, caption } = parse(await golden('caption'));
    await placed('src="/golden/caption.tacit"');
    assert.equal((await events(1))[0].type, 'load');
    assert.equal(await page.evaluate('pictures[0][3]'), 255);
    const { natural, size, label, role } = await look();
    assert.deepEqual([natural, size, label, role], [[header.width, header.height], natural, caption, 'img']);
  });

  test('shows an image while it arrives, and moves nothing on the page', async () => {
    const data = await golden('progressive');
    const { width, height } = parse(data).header;
    const places = [0.18, 0.3, 0.5, 0.9].map((share) => Math.round(share * data.length));
    let go;
    [routes['/slow'], go] = stepwise(data, [40, ...places]);
    await placed('src="/slow"');
    await go();
    await page.waitForFunction('document.querySelector("tacit-image").naturalWidth');
    const early = await look();
    assert.deepEqual([early.natural, early.size], [[width, height], early.natural]);
    for (const count of [1, 1, 2, 2, 3]) {
      await go();
      await events(count);
    }
    assert.deepEqual(await look(), early);
    const found = await events(3);
    assert.deepEqual(
      found.map(({ type, loaded, total }) => [type, loaded ?? 0, total ?? 0]),
      [
        ['progress', places[0], data.length],
        ['progress', places[2], data.length],
        ['load', 0, 0],
      ],
    );
    const [first, second] = await page.evaluate(() =>
      pictures.map((picture) => picture.reduce((sum, value, i) => sum + Math.abs(value - pictures[2][i]), 0)),
    );
    assert.ok(first > second && second > 0, 'each is nearer to the whole image');
  });

  test('gives up a file when it gets another', async () => {
    const data = await golden('progressive');
    let go;
    [routes['/stale'], go] = stepwise(data, [Math.round(0.6 * data.length)]);
    await placed('src="/stale"');
    await go();
    await events(1);
    await page.evaluate(() => {
      const element = document.querySelector('tacit-image');
      for (const name of ['small', 'alpha', 'grey', 'caption']) element.src = `/golden/${name}.tacit`;
    });
    await events(2);
    await go(); // the first file's end, to nobody
    await page.waitForTimeout(200);
    assert.deepEqual(
      (await events(2)).map(({ type }) => type),
      ['progress', 'load'],
    );
    const { width, height } = parse(await golden('caption')).header;
    assert.deepEqual((await look()).natural, [width, height]);
  });

  test('shows what is wrong with a file, until it gets another', async () => {
    const data = await golden('caption');
    const damaged = Buffer.from(data);
    damaged[data.length - 20] ^= 1;
    routes['/damaged'] = (response) => response.end(damaged);
    routes['/cut'] = (response) => response.end(data.subarray(0, 200));
    routes['/page.tacit'] = (response) => response.end('<!doctype html><p>A page, not a file.');
    routes['/empty'] = (response) => response.end();
    await placed('alt="A boat" width="200" height="100"');
    let count = 0;
    for (const [src, expected] of Object.entries({
      '/damaged': /chunk R 0: checksum must be/,
      '/cut': /must fit in the file/,
      '/page.tacit': /not a \.tacit file/,
      '/empty': /not a \.tacit file: it begins with nothing, it is empty/,
      '/golden/none.tacit': /404/,
    })) {
      await page.evaluate((address) => (document.querySelector('tacit-image').src = address), src);
      const { type, message } = (await events(++count)).at(-1);
      assert.equal(type, 'error', src);
      assert.match(message, expected);
      const { size, label, message: shown } = await look();
      assert.deepEqual([shown, size, label], [`A boat: ${message}`, [200, 100], `A boat: ${message}`]);
    }
    await page.evaluate(() => (document.querySelector('tacit-image').src = '/golden/caption.tacit'));
    assert.equal((await events(++count)).at(-1).type, 'load');
    const { size, label, message } = await look();
    assert.deepEqual([size, label, message], [[200, 100], 'A boat', null]);
  });

  test('shows the colours that the ICC profile means', async () => {
    const plain = await golden('caption');
    routes['/icc'] = (response) => response.end(withChunk(plain, 'i', Buffer.from([0, ...exchangedProfile()])));
    await placed('src="/icc"');
    assert.equal((await events(1))[0].type, 'load');
    const shown = await page.evaluate('[...pictures[0]]');
    const weights = await weightsOf('tacit-s');
    const { data } = await new Decoder(await runtime(), { weights: async () => weights }).decode(plain);
    assert.equal(shown.length, data.length);
    const away = (channels) =>
      shown.reduce((sum, value, i) => sum + Math.abs(value - data[i - (i % 4) + channels[i % 4]]), 0) / data.length;
    const [kept, exchanged] = [away([0, 1, 2, 3]), away([1, 0, 2, 3])];
    assert.ok(exchanged < 3 && kept > 2 * exchanged, `${exchanged} levels from the exchanged, ${kept} from the kept`);
  });

  test('has fetched the weights once, and needs the network no more', async () => {
    const fetched = () => server.requests.filter((address) => address.startsWith('/weights/')).length;
    assert.equal(fetched(), 1);
    const file = '/golden/small.tacit';
    /** Decode with a new worker, and return the error's name and message, if there is one. */
    const decode = () =>
      page.evaluate(async (address) => {
        const { Client } = await import('/client.js');
        const client = new Client();
        const data = new Uint8Array(await (await fetch(address)).arrayBuffer());
        const failed = await client.decode(data).then(
          () => null,
          ({ name, message }) => ({ name, message }),
        );
        client.close();
        return failed;
      }, file);
    await page.route('**/weights/*', (route) => route.abort());
    assert.equal(await decode(), null);
    // What the cache holds is verified as what comes from the network is, and damage is not kept.
    const whole = await weightsOf('tacit-s');
    const { offset } = new Weights(whole).places.get('synthesis.project.weight');
    await page.evaluate(async (at) => {
      const cache = await caches.open('tacit-weights');
      const [request] = await cache.keys();
      const bytes = new Uint8Array(await (await cache.match(request)).arrayBuffer());
      bytes[at] ^= 1;
      await cache.put(request, new Response(bytes));
    }, offset);
    const damage = { name: 'CorruptWeights', message: 'the weights file is damaged: its contents do not fit its hash' };
    assert.deepEqual(await decode(), damage);
    const offline = await decode();
    assert.equal(offline.name, 'MissingWeights');
    assert.match(offline.message, /^the weights 2e4657fc0b81227a cannot be loaded from http.*safetensors: /);
    await page.unroute('**/weights/*');
    whole[offset] ^= 1;
    await page.route('**/weights/*', (route) => route.fulfill({ body: Buffer.from(whole) }));
    assert.deepEqual(await decode(), damage);
    assert.equal(await page.evaluate(async () => (await (await caches.open('tacit-weights')).keys()).length), 0);
    assert.equal(fetched(), 1);
  });
});

test('the service worker lets <img> show a file, and keeps no damaged weights', async () => {
  const start = `<!doctype html><script>navigator.serviceWorker.register('/service_worker.js');</script>`;
  await withPage({ pages: { '/page': start } }, '/page', async (page, server) => {
    await page.waitForFunction('navigator.serviceWorker.controller');
    await page.evaluate(async () => {
      const cache = await caches.open('tacit-weights');
      await cache.put(new URL('/weights/2e4657fc0b81227a.safetensors', location.href), new Response('damaged'));
    });
    const shown = (query) =>
      page.evaluate(async (address) => {
        const image = new Image();
        image.src = address;
        await image.decode().catch(() => undefined);
        return [image.naturalWidth, image.naturalHeight];
      }, `/golden/caption.tacit${query}`);
    assert.deepEqual(await shown(''), [0, 0]);
    const { width, height } = parse(await readFile(path.join(GOLDEN, 'tacit-s', 'caption.tacit'))).header;
    assert.deepEqual(await shown('?again'), [width, height]);
    assert.equal(server.requests.filter((address) => address.startsWith('/weights/')).length, 1);
  });
});

test('a page without HTTPS, to which browsers give less, shows a file', async () => {
  const server = await served({ folders, pages: { '/page': ELEMENT } });
  const plain = await browser(['--host-resolver-rules=MAP plain.example 127.0.0.1', '--no-proxy-server']);
  try {
    const page = await plain.newPage();
    page.setDefaultTimeout(120_000);
    await page.goto(`${server.address.replace('127.0.0.1', 'plain.example')}/page`);
    const [secure, event] = await page.evaluate(async () => {
      const element = document.createElement('tacit-image');
      element.src = '/golden/small.tacit';
      const done = new Promise((resolve) =>
        ['load', 'error'].forEach((name) => element.addEventListener(name, resolve)),
      );
      document.body.append(element);
      const { type, message } = await done;
      return [isSecureContext, message ?? type];
    });
    assert.deepEqual([secure, event], [false, 'load']);
  } finally {
    await plain.close();
    await server.close();
  }
});
