// The choice of a quality or a size.

import { $ } from "./dom.js";
import { bytes } from "./format.js";
import { coupleSlider, fillTrack, setSlider } from "./sliders.js";
import { model } from "./state.js";

const RATES = [0.02, 3]; // bits per pixel at the ends of the size slider

let sizes = [1, 2]; // bytes at the ends of the size slider

/** The quality or the size that is chosen; nothing for a model of one fixed rate. */
export function rate() {
  if (!model().variable_rate) return {};
  const bySize = document.querySelector("[name=target]:checked").value === "size";
  return bySize
    ? { size: Math.max(1, Math.round(1000 * Number($("size-number").value))) }
    : { quality: Math.min(100, Math.max(0, Number($("quality-number").value))) };
}

/** Show the quality that a size led to. */
export function showQuality(quality) {
  setSlider($("quality"), $("quality-number"), quality);
}

/** Fit the size slider to a photo: logarithmic, from a very small file to a very good one. */
export function setSizeRange({ width, height }) {
  sizes = RATES.map((bpp) => (bpp * width * height) / 8);
  const size = 1000 * Number($("size-number").value);
  if (size > 0) setSize(size);
}

function sizeAt(place) {
  const [low, high] = sizes;
  return low * (high / low) ** (place / 1000);
}

function placeOf(size) {
  const [low, high] = sizes;
  return (1000 * Math.log(size / low)) / Math.log(high / low);
}

function setSize(size) {
  $("size").value = placeOf(size);
  $("size-number").value = (size / 1000).toFixed(size < 10_000 ? 2 : 1);
  fillTrack($("size"));
  $("size").setAttribute("aria-valuetext", bytes(Math.round(size)));
}

/** Call `changed` when another quality or size is chosen. currentSize: returns the bytes of the file that is shown. */
export function connectRate(changed, currentSize) {
  coupleSlider($("quality"), $("quality-number"), changed);
  $("size").addEventListener("input", () => {
    setSize(sizeAt(Number($("size").value)));
    changed();
  });
  $("size-number").addEventListener("change", () => {
    const size = 1000 * Number($("size-number").value);
    if (!(size > 0)) return;
    $("size").value = placeOf(size);
    fillTrack($("size"));
    changed();
  });
  for (const choice of document.querySelectorAll("[name=target]")) {
    choice.addEventListener("change", () => {
      const bySize = choice.value === "size";
      $("by-quality").hidden = bySize;
      $("by-size").hidden = !bySize;
      const size = currentSize();
      if (bySize && size) setSize(size);
      changed();
    });
  }
}
