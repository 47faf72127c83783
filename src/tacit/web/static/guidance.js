// What guides the encoder besides the rate: the caption, its strength, its words' weights, and the model.

import { post } from "./api.js";
import { $ } from "./dom.js";
import { showMattersControls, steering } from "./matters.js";
import { setStatus, showError } from "./messages.js";
import { coupleSlider } from "./sliders.js";
import { model, state } from "./state.js";

const TYPING_DELAY = 400; // ms without a key before a changed caption is used

/** What guides the encoder, as the service takes it. */
export function guidance() {
  return {
    caption: $("caption").value.trim(),
    ...steering(),
    word_weights: $("by-weight").checked,
    model: model().name,
  };
}

/** The effort that is chosen; 0 where the model or the service has none. */
export function effort() {
  const number = $("effort-number");
  if ($("effort-part").hidden) return 0;
  return Math.min(Number(number.max), Math.max(0, Math.round(Number(number.value))));
}

/** Let efforts up to the service's highest be chosen. */
export function setEfforts(highest) {
  for (const id of ["effort", "effort-number"]) $(id).max = highest;
}

/** Show the controls that the model has. */
export function showModelControls() {
  const { variable_rate: variable, steers } = model();
  $("rate").hidden = state.file !== null || !variable;
  $("named").hidden = !steers;
  showMattersControls();
  $("effort-part").hidden = state.file !== null || !variable || $("effort").max === "0";
  $("caption-note").textContent = steers
    ? "What the caption names is looked for, and encoded at a higher quality than the rest. This lowers the PSNR of the "
      + "whole image. Decoding does not need the caption."
    : "The caption guides the encoder. Decoding does not need it.";
}

/** Show the weights of the words of a photo's caption. */
export async function showWordWeights(image, caption, signal) {
  if (image.weighedCaption === caption) return;
  const { words, names } = caption ? await post("preview/words", { caption }, { signal }) : { words: [] };
  image.weighedCaption = caption;
  $("words-note").textContent = `Names and rare nouns weigh most. Names are found by ${names}.`;
  $("words").hidden = !words.length;
  $("words").querySelector("ul").replaceChildren(...words.map(wordItem));
}

function wordItem({ text, weight, reason }) {
  const item = document.createElement("li");
  const share = Math.min(Math.max((weight - 1) / 0.5, 0), 1);
  item.style.setProperty("--share", share.toFixed(3));
  item.append(text);
  if (weight > 1) {
    const figure = document.createElement("small");
    figure.textContent = weight.toFixed(2);
    item.append(figure);
  }
  item.classList.toggle("heavy", weight > 1);
  item.title = `${weight.toFixed(2)}: ${reason}`;
  return item;
}

/** Call `changed` when the guidance changes, and `modelChanged` before it when the model does. */
export function connectGuidance(changed, modelChanged) {
  let typing = 0;
  $("caption").addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(changed, TYPING_DELAY);
  });
  coupleSlider($("effort"), $("effort-number"), changed);
  for (const id of ["store", "by-weight"]) $(id).addEventListener("change", () => changed());
  $("model").addEventListener("change", () => {
    modelChanged();
    changed();
  });
  $("generate").addEventListener("click", () => writeCaption(changed));
}

async function writeCaption(changed) {
  const { image } = state;
  $("generate").disabled = true;
  setStatus("Writing a caption");
  try {
    const { caption } = await post("v1/caption", image.data);
    if (image !== state.image) return;
    $("caption").value = caption;
    changed();
  } catch (error) {
    showError(error);
  } finally {
    $("generate").disabled = false;
    setStatus("");
  }
}
