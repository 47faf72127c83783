/**
 * The range decoder, with words of 32 bits, and tables of symbols (docs/format.md, "Entropy-coded regions").
 *
 * Its numbers have 64 bits. They are kept as two of 32, since a number of JavaScript is exact to 53 bits only; what is
 * divided is estimated and then verified, so that every step is exact.
 */

import { CorruptFile } from './errors.js';

const WORD = 2 ** 32;
const TOTAL = 2 ** 24; // of the frequencies of a table
const HALF = 2 ** 20; // a scale has up to 40 bits, and is multiplied in halves of 20
const ESCAPE_ENTRIES = 2048;
const ESCAPE_OFFSET = 1024;

/** Frequencies of symbols that follow each other; the last entry is the escape. */
export interface Table {
  /** The symbol of the first entry. */
  low: number;
  /** The sum of the frequencies before each entry, and at last 2^24. */
  sums: Uint32Array;
}

/** The values that escapes stand for, all equally frequent. */
const ESCAPES: Table = {
  low: -ESCAPE_OFFSET,
  sums: Uint32Array.from({ length: ESCAPE_ENTRIES + 1 }, (_, i) => i * (TOTAL / ESCAPE_ENTRIES)),
};

/** Where a decoder stands: enough to go on from there when more bytes have come. */
export interface Position {
  next: number;
  rangeHigh: number;
  rangeLow: number;
  high: number;
  low: number;
  untouched: boolean;
}

/** Decodes the bytes of one region. */
export class RangeDecoder {
  private readonly words: Uint32Array;
  private next = 0;
  private rangeHigh = WORD - 1;
  private rangeLow = WORD - 1;
  private high: number; // the distance of the coded point from the interval's lower end
  private low: number;
  private untouched = true;
  private ended = false;

  /**
   * @param data - The bytes, or only their beginning.
   * @param falling - Whether the tables of a batch come in falling order, as in progressive files.
   * @param cut - Whether only the beginning is there. Symbols that need more are then zero.
   * @param position - Where a decoder of fewer of the same bytes stood; the beginning if not given.
   * @throws CorruptFile - The bytes are not whole words.
   */
  constructor(
    data: Uint8Array,
    private readonly falling = false,
    private readonly cut = false,
    position?: Position,
  ) {
    if (!cut && !data.length) throw new CorruptFile('entropy-coded data must not be empty');
    if (!cut && data.length % 4) {
      throw new CorruptFile(`entropy-coded data must have a multiple of 4 bytes, got ${data.length}`);
    }
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    this.words = Uint32Array.from({ length: data.length >> 2 }, (_, i) => view.getUint32(4 * i, true));
    if (position) {
      this.next = position.next;
      this.rangeHigh = position.rangeHigh;
      this.rangeLow = position.rangeLow;
      this.high = position.high;
      this.low = position.low;
      this.untouched = position.untouched;
    } else {
      this.high = this.word();
      this.low = this.word();
    }
  }

  /** Where the decoder stands; null if it has missed bytes already, so that more of them change what it has decoded. */
  get position(): Position | null {
    if (this.ended || this.next > this.words.length) return null;
    const { next, rangeHigh, rangeLow, high, low, untouched } = this;
    return { next, rangeHigh, rangeLow, high, low, untouched };
  }

  private word(): number {
    const at = this.next++;
    return at < this.words.length ? this.words[at] : 0;
  }

  /** Return the number of the next entry of a table, or -1 if the bytes for it are missing. */
  entry(sums: Uint32Array): number {
    this.untouched = false;
    if (this.cut && (this.ended || this.next > this.words.length)) {
      this.ended = true;
      return -1;
    }
    const scale = this.rangeHigh * 256 + Math.floor(this.rangeLow / TOTAL);
    // The estimate is off by one at most, and only at an entry's edge.
    const quantile = Math.floor((this.high * WORD + this.low) / scale);
    let first = 0;
    let last = sums.length - 2;
    while (first < last) {
      const middle = (first + last + 1) >> 1;
      if (sums[middle] <= quantile) first = middle;
      else last = middle - 1;
    }
    const scaleHigh = Math.floor(scale / HALF);
    const scaleLow = scale - scaleHigh * HALF;
    for (;;) {
      const below = sums[first];
      // offset - scale * below, in two parts
      const upper = scaleHigh * below;
      const upperHigh = Math.floor(upper / 4096);
      const low = (upper - upperHigh * 4096) * HALF + scaleLow * below;
      const carry = Math.floor(low / WORD);
      let high = this.high - upperHigh - carry;
      let rest = this.low - (low - carry * WORD);
      if (rest < 0) {
        rest += WORD;
        high -= 1;
      }
      if (high < 0) {
        first -= 1; // the estimate was too large; entry 0 begins at 0, and is never too large
        continue;
      }
      const frequency = sums[first + 1] - below;
      const wide = scaleHigh * frequency;
      const wideHigh = Math.floor(wide / 4096);
      const narrow = (wide - wideHigh * 4096) * HALF + scaleLow * frequency;
      const more = Math.floor(narrow / WORD);
      const rangeHigh = wideHigh + more;
      const rangeLow = narrow - more * WORD;
      if (high > rangeHigh || (high === rangeHigh && rest >= rangeLow)) {
        first += 1; // the estimate was too small
        if (first > sums.length - 2) {
          this.ended = true;
          if (this.cut) return -1;
          throw new CorruptFile('entropy-coded data cannot have been written by an encoder');
        }
        continue;
      }
      if (rangeHigh === 0) {
        // both are multiplied by 2^32
        this.rangeHigh = rangeLow;
        this.rangeLow = 0;
        this.high = rest;
        this.low = this.word();
      } else {
        this.rangeHigh = rangeHigh;
        this.rangeLow = rangeLow;
        this.high = high;
        this.low = rest;
      }
      return first;
    }
  }

  /**
   * Decode a batch of symbols.
   *
   * @param tables - All tables.
   * @param numbers - The number of each symbol's table.
   * @param skip - Symbols of tables below this number are 0, and are not coded.
   * @param symbols - Where the symbols go.
   */
  batch(tables: readonly Table[], numbers: ArrayLike<number>, skip: number, symbols: Int16Array): void {
    const count = numbers.length;
    const starts = new Uint32Array(tables.length + 1);
    for (let i = 0; i < count; i++) {
      if (numbers[i] >= tables.length) throw new CorruptFile(`there is no table ${numbers[i]}`);
      starts[numbers[i] + 1] += 1;
    }
    for (let i = 0; i < tables.length; i++) starts[i + 1] += starts[i];
    const ends = starts.slice();
    const order = new Uint32Array(count); // by table, and in the order of the batch inside a table
    for (let i = 0; i < count; i++) order[ends[numbers[i]]++] = i;
    const escaped: number[] = [];
    symbols.fill(0);
    for (let turn = skip; turn < tables.length; turn++) {
      const number = this.falling ? tables.length - 1 - (turn - skip) : turn;
      const { low, sums } = tables[number];
      const escape = sums.length - 2;
      for (let at = starts[number]; at < starts[number + 1]; at++) {
        const entry = this.entry(sums);
        if (entry < 0) break;
        if (entry === escape) escaped.push(order[at]);
        else symbols[order[at]] = low + entry;
      }
    }
    for (const place of escaped) {
      const entry = this.entry(ESCAPES.sums);
      if (entry === 0 && !this.cut)
        throw new CorruptFile(
          'entropy-coded data cannot have been written by an encoder: a symbol must be at least -1023, got -1024',
        );
      if (entry <= 0) {
        this.ended = true;
        break;
      }
      symbols[place] = entry + ESCAPES.low;
    }
  }

  /** Verify that everything has been decoded and that nothing is left over. */
  finish(): void {
    if (this.cut) return;
    const left = this.high > 1 || (this.high === 1 && this.low >= WORD - 1);
    if (this.next < this.words.length || (!this.untouched && left)) {
      throw new CorruptFile('entropy-coded data go on after the last symbol');
    }
  }
}

/** Return the tables that a weights file's frequencies, sizes and lowest symbols stand for. */
export function tablesOf(frequencies: ArrayLike<number>, sizes: ArrayLike<number>, lows: ArrayLike<number>): Table[] {
  let at = 0;
  return Array.from(sizes, (size, number) => {
    const sums = new Uint32Array(size + 1);
    for (let i = 0; i < size; i++) sums[i + 1] = sums[i] + frequencies[at++];
    return { low: lows[number], sums };
  });
}
