/** Bytes, put together and written down. */

/** Return bytes one after the other. */
export function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Return a number in hexadecimal, of at least so many digits. */
export function hexadecimal(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}

/** Return bytes in hexadecimal. */
export function listed(bytes: Uint8Array, between = ''): string {
  return Array.from(bytes, (byte) => hexadecimal(byte, 2)).join(between);
}
