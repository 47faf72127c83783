// A .tacit file that was opened, and what its header says.

import { post } from "./api.js";
import { decodeHere, leaves } from "./browser_decoder.js";
import { plain } from "./format.js";
import { withoutType } from "./images.js";

const SIGNATURE = [0x89, 0x54, 0x43, 0x54];
const SIZE_NAMES = { icc: "ICC profile", exif: "EXIF", xmp: "XMP" };

/** Whether a file is a .tacit file, by its name or its first bytes. */
export async function isTacit(file) {
  if (file.name?.toLowerCase().endsWith(".tacit")) return true;
  const start = new Uint8Array(await file.slice(0, 4).arrayBuffer());
  return SIGNATURE.every((byte, i) => start[i] === byte);
}

/** Decode a file, in this browser where it can and otherwise by the service. Returns its header, its image as bitmap, how
 * it was decoded (`decoded`), when that began (`start`), and what makes a PNG of it (`png`).
 *
 * offered: whether the service has a decoder for browsers. showCoarse: called with the same before, where that takes long
 * and a coarse image comes first.
 */
export async function decodeTacit(file, offered, showCoarse) {
  const body = withoutType(file);
  const info = await post("v1/info", body);
  const about = { ...info, name: file.name ?? "file.tacit", start: performance.now() };
  let why = leaves(info, offered);
  if (!why) {
    try {
      const coarse = (bitmap) => showCoarse({ ...about, bitmap, decoded: "a coarse image so far" });
      const { bitmap, threads } = await decodeHere(body, info, coarse);
      const decoded = `in this browser, with ${threads === 1 ? "one thread" : `${threads} threads`}`;
      const png = () => post("v1/decode", body, { accept: "image/png" }).catch(() => pngOf(bitmap));
      return { ...about, bitmap, decoded, png };
    } catch (error) {
      why = error.message;
    }
  }
  const data = await post("v1/decode", body, { accept: "image/png" });
  const bitmap = await createImageBitmap(data);
  return { ...about, bitmap, decoded: `by the service: ${why}`, png: async () => data };
}

/** A PNG of what is shown, without the metadata of the file. */
function pngOf(bitmap) {
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
  return canvas.convertToBlob({ type: "image/png" });
}

/** The header as elements of a list. */
export function headerRows(info) {
  const rows = {
    "Size": `${info.width} × ${info.height} pixels, ${info.mode}`,
    "Bytes": `${info.bytes.toLocaleString("en")}, ${info.bpp.toFixed(3)} bits per pixel`,
    "Quality": info.quality === null ? "fixed" : plain(info.quality),
    "Model": info.model ?? info.architecture ?? "unknown",
    "Weights": info.weights_hash,
    "Decoded": info.decoded,
    "Regions": info.regions,
    "Format version": info.format_version,
  };
  for (const [key, size] of Object.entries(info)) {
    if (key.endsWith("_bytes") && size) rows[sizeName(key)] = `${size.toLocaleString("en")} bytes`;
  }
  return Object.entries(rows).map(([name, value]) => {
    const row = document.createElement("div");
    const term = document.createElement("dt");
    const text = document.createElement("dd");
    term.textContent = name;
    text.textContent = value;
    row.append(term, text);
    return row;
  });
}

function sizeName(key) {
  const name = key.slice(0, -"_bytes".length);
  return SIZE_NAMES[name] ?? (name[0].toUpperCase() + name.slice(1)).replaceAll("_", " ");
}
