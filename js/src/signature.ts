/** The first nine bytes of a file: the signature, which a transfer in text mode would change visibly; the version. */

import { listed } from './bytes.js';
import { CorruptFile, UnsupportedFile } from './errors.js';

export const SIGNATURE_LENGTH = 9; // bytes of signature and version: where the first chunk begins

const SIGNATURE = '\x89TCT\r\n\x1a\n';
const NEWEST = 3; // the newest version
const TELLING = 16; // bytes that are enough to say what a file is instead

/** What the signature becomes in a transfer that takes the file for text. */
const TEXT_MODE: [string, string][] = [
  ['\x89TCT\n\x1a\n', 'CR LF became LF'],
  ['\x89TCT\r\x1a\n', 'CR LF became CR'],
  ['\x89TCT\r\r\n\x1a\r\n', 'LF became CR LF'],
  ['\x89TCT\r\n\x1a\r\n', 'LF became CR LF'],
  ['\x89TCT\r\r\x1a\r', 'LF became CR'],
  ['\x89TCT\n\n\x1a\n', 'CR became LF'],
  ['\x09TCT', 'the eighth bit was lost'],
  ['\xc2\x89TCT', 'bytes were recoded as UTF-8'],
  ['\xef\xbf\xbdTCT', 'bytes were replaced by U+FFFD'],
  ['?TCT', 'bytes were replaced by question marks'],
];

/**
 * Return the version of a file's format.
 *
 * @throws CorruptFile - The signature is damaged or the version is impossible.
 * @throws UnsupportedFile - This is another kind of file, or one of a newer version.
 */
export function checkSignature(data: Uint8Array): number {
  const start = String.fromCharCode(...data.subarray(0, TELLING));
  const first = listed(data.subarray(0, 8), ' ');
  if (!start.startsWith(SIGNATURE)) {
    if (start && SIGNATURE.startsWith(start)) {
      throw new CorruptFile(`the file ends after ${start.length} bytes, inside the signature`);
    }
    for (const [damaged, how] of TEXT_MODE) {
      if (start.startsWith(damaged)) {
        throw new CorruptFile(`signature ${first} was damaged by a transfer in text mode (${how})`);
      }
    }
    if (start.startsWith(SIGNATURE.slice(0, 4))) {
      throw new CorruptFile(
        `signature must be ${listed(
          Uint8Array.from(SIGNATURE, (letter) => letter.charCodeAt(0)),
          ' ',
        )}, got ${first}`,
      );
    }
    throw new UnsupportedFile(`not a .tacit file: it begins with ${first || 'nothing, it is empty'}`);
  }
  if (data.length === SIGNATURE.length) throw new CorruptFile('the file ends after the signature');
  const version = data[SIGNATURE.length];
  if (version > NEWEST) {
    throw new UnsupportedFile(
      `format version must be at most ${NEWEST} for this tacit, got ${version}: a newer tacit is needed`,
    );
  }
  if (version < 1) throw new CorruptFile(`format version must be at least 1, got ${version}`);
  return version;
}
