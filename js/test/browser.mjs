// A web server for the tests, and Debian's Chromium.
import { createReadStream } from 'node:fs';
import { readFile, readdir, stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import path from 'node:path';
import { chromium } from 'playwright-core';
import { Weights } from '../dist/index.js';
import { MODELS, ROOT, weightsOf } from './support.mjs';

const TYPES = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.css': 'text/css',
  '.wasm': 'application/wasm',
};

/**
 * Serve dist/, the weights under their identifiers, and other folders by their names, until `close` is called.
 *
 * `pages` are HTML by their paths, and `routes` functions that get the response with its head written.
 */
export async function served({ isolated = false, folders = {}, pages = {}, routes = {} } = {}) {
  const weights = new Map();
  for (const model of MODELS) {
    weights.set(
      new Weights(await weightsOf(model)).id,
      path.join(ROOT, 'src', 'tacit', 'weights', `${model}.safetensors`),
    );
  }
  const requests = [];
  const server = createServer(async (request, response) => {
    const where = new URL(request.url, 'http://localhost').pathname;
    requests.push(where);
    const head = isolated
      ? { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' }
      : {};
    if (where in pages) {
      response.writeHead(200, { ...head, 'Content-Type': 'text/html' }).end(pages[where]);
      return;
    }
    if (where in routes) {
      response.writeHead(200, { ...head, 'Content-Type': 'application/octet-stream', 'Cache-Control': 'no-store' });
      routes[where](response);
      return;
    }
    const [, first, ...rest] = where.split('/');
    const file =
      first === 'weights'
        ? weights.get(rest.join('/').replace('.safetensors', ''))
        : path.join(folders[first] ?? path.join(ROOT, 'js', 'dist', first), ...rest);
    try {
      if (!(await stat(file)).isFile()) throw new Error('a folder');
    } catch {
      response.writeHead(404, head).end();
      return;
    }
    const type = TYPES[path.extname(file)] ?? 'application/octet-stream';
    response.writeHead(200, { ...head, 'Content-Type': type, 'Cache-Control': 'no-store' });
    createReadStream(file).pipe(response);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    address: `http://127.0.0.1:${server.address().port}`,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(resolve);
      }),
  };
}

/** Start Chromium. */
export async function browser(options = []) {
  const found = process.env.CHROMIUM ?? '/usr/bin/chromium';
  await stat(found);
  return chromium.launch({ executablePath: found, args: ['--no-sandbox', ...options] });
}

export { readFile, readdir };
