// The photo that is open: sent to the service once, and then worked on there.

import { Problem, post } from "./api.js";

const SMOOTH_PIXELS = 2_000_000; // encoding this many follows a slider well; larger photos are reduced
// If the service runs on the browser's own machine, sending bytes is free and compressing them takes time.
export const UNCOMPRESSED = ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);
const IMAGES = `preview/images?uncompressed=${UNCOMPRESSED}`;

/** Send a photo, { file } or { sample }, and return what the service made of it. full: do not reduce it. */
export function sendImage({ file, sample }, full) {
  if (sample) return post(`preview/samples/${sample}?uncompressed=${UNCOMPRESSED}`, null);
  return post(full ? IMAGES : `${IMAGES}&pixels=${SMOOTH_PIXELS}`, withoutType(file));
}

/** Ask for `work` on a photo. If the service does not keep the photo any more, it is sent again. */
export async function postForImage(image, work, body, options) {
  const path = `preview/images/${image.digest}/${work}`;
  try {
    return await post(path, body, options);
  } catch (error) {
    if (!(error instanceof Problem) || error.status !== 404 || !image.data) throw error;
    await post(IMAGES, image.data);
    return post(path, body, options);
  }
}

/** A file without its media type: its bytes say more reliably than its name what it is. */
export function withoutType(file) {
  return new Blob([file], { type: "application/octet-stream" });
}
