/** SHA-256: the browser's own where it has it, which pages without HTTPS do not. */

import { joined, listed } from './bytes.js';

const BLOCK = 64; // bytes

/** Return the first 32 bits of the fractional parts of roots of the first primes. */
function fractions(count: number, root: (prime: number) => number): Uint32Array {
  const primes: number[] = [];
  for (let n = 2; primes.length < count; n++) if (primes.every((prime) => n % prime)) primes.push(n);
  return Uint32Array.from(primes, (prime) => (root(prime) % 1) * 2 ** 32);
}

const START = fractions(8, Math.sqrt);
const CONSTANTS = fractions(64, Math.cbrt);

/** Mix blocks of 64 bytes into the state. */
function mix(state: Uint32Array, data: Uint8Array, begin: number, end: number): void {
  const view = new DataView(data.buffer, data.byteOffset);
  const w = new Int32Array(64);
  const k = CONSTANTS;
  for (let at = begin; at < end; at += BLOCK) {
    for (let i = 0; i < 16; i++) w[i] = view.getInt32(at + 4 * i);
    for (let i = 16; i < 64; i++) {
      const [x, y] = [w[i - 15], w[i - 2]];
      const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
      const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
      w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    let [a, b, c, d, e, f, g, h] = state;
    for (let i = 0; i < 64; i++) {
      const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
      const t1 = (h + s1 + ((e & f) ^ (~e & g)) + k[i] + w[i]) | 0;
      const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
      const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g;
      g = f;
      f = e;
      e = (d + t1) | 0;
      d = c;
      c = b;
      b = a;
      a = (t1 + t2) | 0;
    }
    [a, b, c, d, e, f, g, h].forEach((value, i) => (state[i] += value));
  }
}

/** Return the SHA-256 of bytes, computed here. */
export function ownSha256(data: Uint8Array): string {
  const state = START.slice();
  const whole = data.length - (data.length % BLOCK);
  mix(state, data, 0, whole);
  const rest = data.length - whole;
  const last = new Uint8Array(rest < BLOCK - 8 ? BLOCK : 2 * BLOCK);
  last.set(data.subarray(whole));
  last[rest] = 128;
  new DataView(last.buffer).setBigUint64(last.length - 8, 8n * BigInt(data.length));
  mix(state, last, 0, last.length);
  return Array.from(state, (word) => word.toString(16).padStart(8, '0')).join('');
}

/** Return the SHA-256 of bytes one after the other, in hexadecimal. */
export async function sha256(parts: readonly Uint8Array[]): Promise<string> {
  const data = joined(parts);
  if (!globalThis.crypto?.subtle) return ownSha256(data);
  return listed(new Uint8Array(await crypto.subtle.digest('SHA-256', data)));
}
