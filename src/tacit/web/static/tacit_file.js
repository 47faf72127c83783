// A .tacit file that was opened, and what its header says.

import { post } from "./api.js";
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

/** Decode a file: its header, its image as PNG (`data`) and as bitmap, and when decoding began (`start`). */
export async function decodeTacit(file) {
  const body = withoutType(file);
  const info = await post("v1/info", body);
  const start = performance.now();
  const data = await post("v1/decode", body, { accept: "image/png" });
  return { ...info, data, bitmap: await createImageBitmap(data), name: file.name ?? "file.tacit", start };
}

/** The header as elements of a list. */
export function headerRows(info) {
  const rows = {
    "Size": `${info.width} × ${info.height} pixels, ${info.mode}`,
    "Bytes": `${info.bytes.toLocaleString("en")}, ${info.bpp.toFixed(3)} bits per pixel`,
    "Quality": info.quality === null ? "fixed" : plain(info.quality),
    "Model": info.model ?? info.architecture ?? "unknown",
    "Weights": info.weights_hash,
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
