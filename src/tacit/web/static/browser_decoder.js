// Decoding `.tacit` files here, in the browser, with the viewer that the service has at viewer/.

const MOST_PIXELS = 8_000_000; // more take this decoder too long; the service is faster
const COARSE_PIXELS = 1_000_000; // from here on a coarse image comes first
const COARSE_SHARE = 0.15; // of the file, for the coarse image
const PATIENCE = 60_000; // ms

let client = null;

/** Why this browser leaves a file to the service; an empty text if it does not. `info` is what /v1/info says. */
export function leaves(info, offered) {
  if (!offered) return "this service has no decoder for browsers";
  if (typeof WebAssembly === "undefined") return "this browser has no WebAssembly";
  if (info.width * info.height > MOST_PIXELS) return "the image is large";
  return "";
}

/** Decode a file. showCoarse: called with a coarse bitmap before, where decoding takes long. Returns a bitmap and how
 * many threads decoded it. */
export async function decodeHere(file, info, showCoarse) {
  const { Client, bitmapOf } = await import("./viewer/client.js"); // bitmapOf gives sRGB, whatever the file's profile
  const own = (client ??= new Client());
  const data = new Uint8Array(await file.arrayBuffer());
  const late = AbortSignal.timeout(PATIENCE);
  try {
    const image = await withSignal(decodeInSteps(own, data, info, async (coarse) => showCoarse(await bitmapOf(coarse))), late);
    return { bitmap: await bitmapOf(image), threads: crossOriginIsolated ? navigator.hardwareConcurrency : 1 };
  } catch (error) {
    client = null; // the next file gets another worker
    own.close();
    throw late.aborted ? new Error("it takes this browser too long") : error;
  }
}

async function decodeInSteps(decoder, data, { width, height, progressive }, showCoarse) {
  const pixels = width * height;
  if (!progressive || pixels < COARSE_PIXELS) return decoder.decode(data, { maxPixels: pixels });
  const arrival = decoder.arrival(pixels);
  arrival.feed(data.subarray(0, COARSE_SHARE * data.length));
  const coarse = await arrival.image();
  if (coarse) await showCoarse(coarse);
  arrival.feed(data.subarray(COARSE_SHARE * data.length));
  return arrival.close();
}

function withSignal(work, signal) {
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    work.then(resolve, reject);
  });
}
