/** What a page and the worker that decodes for it tell each other. */

import type { DecodedImage } from './decoder.js';

/** The first message to a worker: where things lie. */
export interface Setup {
  /** The folder of the weights, which are named by their identifiers: `ID.safetensors`. */
  weights: string;
  /** How many threads; 0 for as many as there are, where the page is allowed to have several. */
  threads: number;
}

/** Asks for a file to be decoded. */
export interface Request {
  number: number;
  data: Uint8Array;
  maxPixels?: number;
}

/** The answer to a request. */
export type Reply = { number: number } & ({ image: DecodedImage } | { error: { name: string; message: string } });
