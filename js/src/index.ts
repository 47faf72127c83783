/** Decodes `.tacit` images in browsers and Node.js. */

export * from './errors.js';
export { type Header, type Limits, MAX_PIXELS, type Region, type TacitFile, parse } from './container.js';
export { type DecodedImage, Decoder, type DecoderOptions } from './decoder.js';
export { type Latents, Model, type QualityPlane, type Runtime } from './model.js';
export { Weights } from './weights.js';
