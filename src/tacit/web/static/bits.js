// Maps over the right image: where the bits go, what the caption changes, and what it names.

import { $ } from "./dom.js";
import { bytes } from "./format.js";
import { postForImage } from "./images.js";
import { setStatus } from "./messages.js";
import { bitOverlay, changeOverlay, stepOverlay, totalBytes } from "./overlays.js";
import { state } from "./state.js";
import { viewer } from "./viewer.js";

const PLAIN_NOTE = "Bits for each 16×16 pixels, drawn over the right image.";

/** Select a map: "off", "with", "without", "change" or "named". It is not made here. */
export function selectBits(kind) {
  state.bits = kind;
  for (const choice of document.querySelectorAll("[name=bits]")) choice.checked = choice.value === kind;
  if (kind !== "off") return;
  state.overlay = null;
  $("bits-note").textContent = PLAIN_NOTE;
  showOverlay();
}

/** Draw the overlay and its legend, on tacit's tab: the bits are tacit's. */
export function showOverlay() {
  const overlay = state.codec === "tacit" ? state.overlay : null;
  $("legend").hidden = overlay === null;
  if (overlay) {
    $("legend-low").textContent = overlay.low;
    $("legend-high").textContent = overlay.high;
    $("legend").className = `legend ${overlay.kind}`;
  }
  return viewer.setOverlay(overlay);
}

/** Make the map of bits that is selected, and show it. */
export async function showBits(image, encoding, signal) {
  const kind = state.bits;
  const fetchMap = async (caption) => {
    if (!state.maps.has(caption)) {
      setStatus("Counting bits");
      const request = { ...encoding.request, size: undefined, quality: encoding.quality, caption };
      state.maps.set(caption, await postForImage(image, "bits", request, { signal }));
    }
    return state.maps.get(caption);
  };
  try {
    const { caption } = encoding.request;
    const own = kind === "without" ? null : await fetchMap(caption);
    const without = kind === "with" ? state.maps.get("") : await fetchMap("");
    signal.throwIfAborted();
    const overlay = kind === "change"
      ? await changeOverlay(without, own)
      : await bitOverlay(own ?? without, own ? without : state.maps.get(caption));
    signal.throwIfAborted();
    if (kind !== state.bits) return; // another map was selected meanwhile
    state.overlay = overlay;
    $("bits-note").textContent = bitsNote(kind, caption, own, without);
    await showOverlay();
  } finally {
    setStatus("");
  }
}

/** The overlay of what the caption names, or null if the caption changes the quality nowhere. */
export function namedOverlay(encoding) {
  return encoding.steps ? stepOverlay(encoding.steps) : null;
}

/** Show what the caption names. */
export async function showNamed(encoding) {
  state.overlay = await namedOverlay(encoding);
  $("bits-note").textContent = state.overlay
    ? "How much the caption raises or lowers the quality of each 64×64 pixels."
    : "Nothing is steered: every place has the same quality.";
  await showOverlay();
}

function bitsNote(kind, caption, own, without) {
  if (!caption && kind !== "without") return "There is no caption, so both maps are the same.";
  const parts = [];
  if (own) parts.push(`with the caption ${bytes(Math.round(totalBytes(own)))}`);
  if (without) parts.push(`without ${bytes(Math.round(totalBytes(without)))}`);
  return `At this quality: ${parts.join(", ")}. Bits for each 16×16 pixels.`;
}
