// Maps over the right image: where the bits go, what the caption and boxes change, and what they raise.

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
  const { request } = encoding;
  const fetchMap = async (guided) => {
    if (!state.maps.has(guided)) {
      setStatus("Counting bits");
      const guide = guided ? { file: encoding.digest } : { caption: "", box: undefined };
      const asked = { ...request, size: undefined, quality: encoding.quality, ...guide };
      state.maps.set(guided, await postForImage(image, "bits", asked, { signal }));
    }
    return state.maps.get(guided);
  };
  try {
    const own = kind === "without" ? null : await fetchMap(true);
    const without = kind === "with" ? state.maps.get(false) : await fetchMap(false);
    signal.throwIfAborted();
    const overlay = kind === "change"
      ? await changeOverlay(without, own)
      : await bitOverlay(own ?? without, own ? without : state.maps.get(true));
    signal.throwIfAborted();
    if (kind !== state.bits) return; // another map was selected meanwhile
    state.overlay = overlay;
    $("bits-note").textContent = bitsNote(kind, encoding, own, without);
    await showOverlay();
  } finally {
    setStatus("");
  }
}

/** The overlay of the qualities, or null if all places have the same. */
export function namedOverlay(encoding) {
  return encoding.steps ? stepOverlay(encoding.steps) : null;
}

/** Show where the quality is higher and where it is lower. */
export async function showNamed(encoding) {
  state.overlay = await namedOverlay(encoding);
  $("bits-note").textContent = state.overlay
    ? "How much the quality of each 64×64 pixels is raised or lowered."
    : "Nothing is steered: every place has the same quality.";
  await showOverlay();
}

function bitsNote(kind, { request, steps }, own, without) {
  if (!request.caption && !steps && kind !== "without") return "There is no caption and no box, so both maps are the same.";
  const parts = [];
  if (own) parts.push(`with the ${request.box ? "boxes" : "caption"} ${bytes(Math.round(totalBytes(own)))}`);
  if (without) parts.push(`without ${bytes(Math.round(totalBytes(without)))}`);
  return `At this quality: ${parts.join(", ")}. Bits for each 16×16 pixels.`;
}
