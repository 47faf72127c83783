// Damaged files: each gives one of this package's errors, and never anything else.
import assert from 'node:assert/strict';
import { readFile, readdir } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { Decoder, IncomingFile, TacitError, crc32, parse } from '../dist/index.js';
import { ROOT, goldenFiles, runtime, weightsOf } from './support.mjs';

const malformed = JSON.parse(await readFile(new URL('malformed.json', import.meta.url), 'utf8'));

const files = await goldenFiles('tacit-s');
const small = files.map(([, data]) => data).filter((data) => data.length < 2000);

/** Return pseudo-random whole numbers below a limit, the same ones every time. */
function numbers(seed) {
  let state = seed >>> 0;
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

test('a file that is cut anywhere is refused', () => {
  for (const data of small) {
    for (let length = 0; length < data.length; length++) {
      assert.throws(() => parse(data.subarray(0, length)), TacitError);
    }
  }
});

test('each rule that a file breaks gives the error that Python gives', () => {
  for (const { name, data, error, message } of malformed) {
    assert.throws(
      () => parse(new Uint8Array(Buffer.from(data, 'hex'))),
      (found) => {
        // What zlib says of damage differs, and there alone.
        const said = /zlib stream, got (other|one)/.test(message)
          ? message.replace(/(: Error| that ends).*/, '')
          : message;
        assert.deepEqual([found.name, found.message.startsWith(said)], [error, true], `${name}: ${found.message}`);
        return true;
      },
    );
  }
});

test('the beginning of a file is taken where it is asked for', () => {
  for (const data of small) {
    let first = 9;
    while (data[first] !== 'R'.charCodeAt(0)) {
      let length = 0;
      let next = first + 1;
      for (let shift = 0; ; shift += 7) {
        length += (data[next] & 127) << shift;
        if (data[next++] < 128) break;
      }
      first = next + length + 4;
    }
    const whole = parse(data);
    let known = 0;
    for (let length = 0; length <= data.length; length++) {
      if (length <= first) {
        assert.throws(() => parse(data.subarray(0, length), { partial: true }), TacitError);
        continue;
      }
      const part = parse(data.subarray(0, length), { partial: true });
      const bytes = part.regions.reduce((sum, region) => sum + (region?.length ?? 0), 0);
      assert.ok(bytes >= known);
      known = bytes;
      for (const [i, region] of part.regions.entries()) {
        assert.deepEqual(region ?? new Uint8Array(), whole.regions[i].subarray(0, region?.length ?? 0));
        assert.equal(part.cut[i] || region.length === whole.regions[i].length, true);
      }
    }
    assert.deepEqual(parse(data, { partial: true }), whole);
  }
});

test('a file with any byte changed is refused', () => {
  const random = numbers(1);
  for (const data of small) {
    for (let at = 0; at < data.length; at++) {
      const changed = data.slice();
      changed[at] ^= 1 + random(255);
      assert.throws(() => parse(changed), TacitError);
    }
  }
});

test('changes with checksums that fit give an image or an error of this package', () => {
  const random = numbers(2);
  let parsed = 0;
  for (let round = 0; round < 20_000; round++) {
    const data = small[random(small.length)].slice();
    // The header begins at 9, and all chunks follow each other; one of them is changed, and its checksum is right.
    const starts = [];
    for (let at = 9; at < data.length;) {
      let length = 0;
      let next = at + 1;
      for (let shift = 0; ; shift += 7) {
        length += (data[next] & 127) << shift;
        if (data[next++] < 128) break;
      }
      starts.push([at, next, next + length]);
      at = next + length + 4;
    }
    const [start, first, end] = starts[random(starts.length)];
    if (first === end) continue;
    for (let count = 1 + random(3); count; count--) data[first + random(end - first)] = random(256);
    new DataView(data.buffer, data.byteOffset).setUint32(end, crc32(data.subarray(start, end)));
    try {
      parse(data, { maxPixels: 1e6 });
      parsed++;
    } catch (error) {
      assert.ok(error instanceof TacitError, error.stack);
    }
  }
  assert.ok(parsed > 100);
});

test("the fuzzers' corpus, whole, cut, changed and piece by piece, gives a file or an error of this package", async () => {
  const random = numbers(4);
  const folder = path.join(ROOT, 'fuzz', 'corpus', 'container');
  const tried = (work) => {
    try {
      work();
      return true;
    } catch (error) {
      assert.ok(error instanceof TacitError, error.stack);
      return false;
    }
  };
  let parsed = 0;
  for (const name of await readdir(folder)) {
    const seed = new Uint8Array(await readFile(path.join(folder, name)));
    for (let round = 0; round < 300; round++) {
      const data = seed.slice(0, round % 3 ? seed.length : random(seed.length + 1));
      for (let count = random(4); count && data.length; count--) data[random(data.length)] = random(256);
      for (const partial of [false, true]) parsed += tried(() => parse(data, { maxPixels: 1e7, partial }));
      const file = new IncomingFile(1e7);
      tried(() => {
        for (let at = 0; at < data.length; at += 1 + (at % 11)) file.feed(data.subarray(at, at + 1 + (at % 11)));
      });
    }
  }
  assert.ok(parsed > 500);
});

test('entropy-coded bytes that no encoder has written are refused', async () => {
  const data = await weightsOf('tacit-s');
  const decoder = new Decoder(await runtime(), { weights: async () => data });
  const random = numbers(3);
  const [, good] = files.find(([name]) => name === 'pixel.tacit');
  let refused = 0;
  for (let round = 0; round < 40; round++) {
    const changed = good.slice();
    const file = parse(good);
    const [region] = file.regions;
    const start = region.byteOffset - good.byteOffset;
    for (let count = 3; count; count--) changed[start + random(region.length)] = random(256);
    const head = start - 2;
    new DataView(changed.buffer).setUint32(start + region.length, crc32(changed.subarray(head, start + region.length)));
    try {
      await decoder.decode(changed);
    } catch (error) {
      assert.equal(error.name, 'CorruptFile', error.stack);
      refused++;
    }
  }
  assert.ok(refused > 5);
});

test('weights that the file does not name, and weights that cannot be had', async () => {
  const [, file] = files[0];
  const other = await weightsOf('tacit-s-mse');
  const ort = await runtime();
  const wrong = new Decoder(ort, { weights: async () => other });
  await assert.rejects(wrong.decode(file), { name: 'MissingWeights' });
  const damaged = new Decoder(ort, { weights: async () => new Uint8Array(100) });
  await assert.rejects(damaged.decode(file), { name: 'CorruptWeights' });
});

test('no file, a newer file, a picture that is too large', () => {
  const [data] = small;
  assert.throws(() => parse(new Uint8Array()), { name: 'UnsupportedFile', message: /empty/ });
  assert.throws(() => parse(new TextEncoder().encode('<html>a page</html>')), { name: 'UnsupportedFile' });
  const newer = data.slice();
  newer[8] = 4;
  assert.throws(() => parse(newer), { name: 'UnsupportedFile', message: /newer/ });
  assert.throws(() => parse(data, { maxPixels: 1 }), { name: 'ImageTooLarge' });
});
