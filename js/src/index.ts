/** Decodes `.tacit` images in browsers and Node.js. */

export * from './errors.js';
export {
  type Header,
  type Limits,
  MAX_PIXELS,
  type Outline,
  type Region,
  type TacitFile,
  crc32,
  outline,
  parse,
} from './container.js';
export { type DecodedImage, type DecodeOptions, Decoder, type DecoderOptions } from './decoder.js';
export { IncomingFile } from './incoming_file.js';
export { IncrementalDecoder } from './incremental_decoder.js';
export { type Latents, Model, type QualityPlane, type Runtime } from './model.js';
export { bitmapOf, pngOf } from './png.js';
export type { Backend } from './synthesiser.js';
export { Weights } from './weights.js';
