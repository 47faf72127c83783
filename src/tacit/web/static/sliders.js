// Sliders with a number beside them.

import { plain } from "./format.js";

/** Colour the part of the track before the thumb. */
export function fillTrack(slider) {
  const share = (slider.value - slider.min) / (slider.max - slider.min);
  slider.style.setProperty("--share", share.toFixed(4));
}

/** Show a value on a slider and in its number. */
export function setSlider(slider, number, value) {
  slider.value = value;
  number.value = plain(value);
  fillTrack(slider);
}

/** Let a slider and a number follow each other, and call `changed` when either is moved. */
export function coupleSlider(slider, number, changed) {
  fillTrack(slider);
  slider.addEventListener("input", () => {
    setSlider(slider, number, Number(slider.value));
    changed();
  });
  number.addEventListener("input", () => {
    if (number.value === "" || !number.checkValidity()) return;
    slider.value = number.value;
    fillTrack(slider);
    changed();
  });
}
