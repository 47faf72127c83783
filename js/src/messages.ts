/** What a page and the worker that decodes for it tell each other. */

import type { DecodedImage } from './decoder.js';
import type { Backend } from './synthesiser.js';

/** The first message to a worker: where things lie. */
export interface Setup {
  kind: 'setup';
  /** The folder of the weights, which are named by their identifiers: `ID.safetensors`. */
  weights: string;
  /** How many threads; 0 for as many as there are, where the page is allowed to have several. */
  threads: number;
  /** Whether to compute pixels on the GPU; `auto` does so where there is one, as soon as it is ready. */
  backend: 'auto' | Backend;
}

/** Asks for weights to be loaded, since a file that needs them is under way. */
export interface Prepare {
  kind: 'prepare';
  /** Their identifier. */
  id: string;
}

/** Asks for a file to be decoded. */
export interface Request {
  kind: 'decode';
  number: number;
  /** The bytes of the file; of one that arrives, those that have come since the last request. */
  data: Uint8Array;
  maxPixels?: number;
  /** The number of a file that arrives, so that only what is new is sent and decoded. */
  arrival?: number;
  /** Whether only the beginning is there. */
  partial?: boolean;
}

/** Gives a request up. */
export interface Abandon {
  kind: 'abandon';
  number: number;
}

/** Says that no more comes of a file that arrived. */
export interface Forget {
  kind: 'forget';
  arrival: number;
}

export type Message = Setup | Prepare | Request | Abandon | Forget;

/** The answer to a request, and before it, which share of the work is done. */
export type Reply = { number: number } & (
  { image: DecodedImage | null } | { error: { name: string; message: string } } | { share: number }
);
