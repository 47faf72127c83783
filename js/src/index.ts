/** Decodes `.tacit` images in browsers and Node.js. */

export * from './errors.js';
export { type Limits, MAX_PIXELS, type TacitFile, parse } from './container.js';
export { type DecodedImage, type DecodeOptions, Decoder, type DecoderOptions } from './decoder.js';
export { crc32 } from './framing.js';
export type { Header } from './header.js';
export { IncomingFile } from './incoming_file.js';
export { IncrementalDecoder } from './incremental_decoder.js';
export { type Latents, Model, type QualityPlane, type Runtime } from './model.js';
export { type Outline, outline } from './outline.js';
export { bitmapOf, pngOf } from './png.js';
export type { Region, Streams } from './regions.js';
export type { Backend } from './synthesiser.js';
export { Weights } from './weights.js';
