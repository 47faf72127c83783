// What matters most in the photo: what the caption names or boxes that a person draws, and what these get for it.

import { boxText, layer } from "./box_layer.js";
import { $ } from "./dom.js";
import { bytes } from "./format.js";
import { postForImage } from "./images.js";
import { announce } from "./messages.js";
import { coupleSlider } from "./sliders.js";
import { model, state } from "./state.js";

const REST = 300; // ms after which a box that was moved is used
const MOST = 16; // boxes or phrases of a promise, as the service allows
const NEW_SHARE = 0.25; // of the image's sides, for a box that is added without drawing
const SIDES = ["left", "top", "width", "height"];
const MEASURES = { psnr: { unit: "dB", usual: 36, most: 55 }, ssimulacra2: { unit: "ssimulacra2", usual: 70, most: 100 } };

let changed = () => {};
let waiting = 0;

const chosen = (name) => document.querySelector(`[name=${name}]:checked`).value;
const byBoxes = () => chosen("places") === "boxes";
const promises = () => chosen("gain") === "promise";
const boxOf = (sides) => Object.fromEntries(SIDES.map((side, place) => [side, sides[place]]));
const parameter = (box) => SIDES.map((side) => box[side]).join(",");
const within = ({ value, min, max }) => Math.min(Number(max), Math.max(Number(min), Number(value)));

// -- what the encoder is asked for ------------------------------------------------------------------------------------

/** What the encoder steers to and how far, as the service takes it. */
export function steering() {
  if (!model().steers) return {};
  if (promises()) return { steer: 0 };
  const steer = within($("steer-number"));
  return byBoxes() ? { steer, box: state.image.boxes.map(parameter) } : { steer };
}

/** What the encoder must keep, as the service takes it; null if nothing is promised. */
export function promise() {
  if (!model().steers || !promises()) return null;
  const least = `${within($("least"))}${MEASURES[$("measure").value].unit}`;
  const names = byBoxes() ? state.image.boxes.map(parameter) : chosenPhrases(state.image);
  if (!names.length) return null;
  return { [byBoxes() ? "keep_box" : "keep"]: names.map((name) => `${name}=${least}`), best_effort: $("best-effort").checked };
}

function chosenPhrases({ things, unkept }) {
  const found = (things?.list ?? []).filter(({ phrase, sure, boxes }) => boxes.length && sure && !unkept.has(phrase));
  return found.map(({ phrase }) => phrase).slice(0, MOST);
}

// -- what is known of a photo -----------------------------------------------------------------------------------------

/** Begin with a photo: nothing is found and nothing is drawn. */
export function beginMatters(image) {
  Object.assign(image, {
    boxes: [], // that are drawn
    things: null, // that a caption names: { caption, list }
    unkept: new Set(), // phrases that are not to be kept
    kept: null, // what an encoding has kept: { list, cost, warnings, stale }
    broken: "", // why a promise cannot be kept
  });
  check("places", "caption");
  check("gain", "more");
  $("things-note").textContent = "";
  $("things").replaceChildren();
}

/** Take from an encoding where things are, and what it has kept. */
export function showEncodingMatters(encoding) {
  const { image } = state;
  if (encoding.things) image.things = { caption: encoding.request.caption, list: encoding.things };
  if (encoding.refined) {
    const { kept: list, kept_bytes: cost, warnings } = encoding;
    image.kept = list.length || (promise() && warnings.length) ? { list, cost, warnings, stale: false } : null;
  }
  showMatters();
}

/** Find what the caption names, if no encoding has said it. */
export async function findThings(image, caption, signal) {
  if (!model().steers || byBoxes() || image.things?.caption === caption) return;
  const { things } = caption ? await postForImage(image, "find", { caption }, { signal }) : { things: [] };
  signal.throwIfAborted();
  image.things = { caption, list: things };
  showMatters();
}

/** Say why a promise cannot be kept. */
export function breakPromise(text) {
  state.image.broken = text;
  state.image.kept = null;
  showMatters();
}

/** What was found and what was not, in words. */
export function foundSentence() {
  const things = byBoxes() ? [] : (state.image.things?.list ?? []);
  const names = (wanted) => things.filter(({ boxes }) => boxes.length > 0 === wanted).map(({ phrase }) => phrase).join(", ");
  const [found, missed] = [names(true), names(false)];
  return [found && ` Found: ${found}.`, missed && ` Not found: ${missed}.`].join("");
}

// -- what is shown ----------------------------------------------------------------------------------------------------

function showMatters() {
  const { image } = state;
  if (!image || !model().steers) {
    layer.clear();
    return;
  }
  if (byBoxes()) showDrawn(image);
  else showFound(image);
  showPromise(image);
}

/** What is kept, unless something has changed since. */
function keptNow({ kept }) {
  return promises() && kept && !kept.stale ? kept.list : [];
}

function showDrawn(image) {
  const kept = keptNow(image);
  layer.showDrawn(image, image.boxes, image.boxes.map((box) => {
    const own = kept.find((one) => parameter(boxOf(one.box)) === parameter(box));
    return own && { text: reached(own), missed: !own.kept };
  }));
  const rows = $("boxes");
  $("add-box").disabled = image.boxes.length >= MOST;
  $("remove-boxes").hidden = !image.boxes.length;
  if (rows.contains(document.activeElement)) return; // somebody types
  rows.replaceChildren(...(image.boxes.length ? [boxHeadings(), ...image.boxes.map(boxRow)] : []));
}

function showFound(image) {
  const things = image.things?.list ?? [];
  const kept = keptNow(image);
  const boxes = kept.length
    ? kept.map((one) => ({ box: boxOf(one.box), name: one.phrase, label: `${one.phrase}: ${reached(one)}`, missed: !one.kept }))
    : things.flatMap(({ phrase, boxes: own }) =>
      own.map((box, place) => ({ box: boxOf(box), name: phrase, label: place ? "" : phrase })));
  layer.showFound(image, $("show-found").checked ? boxes : []);
  if (!$("things").contains(document.activeElement)) $("things").replaceChildren(...things.map((thing) => thingItem(image, thing)));
  $("show-found").parentElement.hidden = !boxes.length;
  $("things-note").textContent = thingsNote(image.things);
}

function thingsNote(things) {
  if (!things) return "";
  if (!things.caption) return "There is no caption, so every place has the same quality.";
  if (!things.list.length) return "The caption names nothing that can be looked for. You can draw boxes instead.";
  if (things.list.some(({ boxes }) => boxes.length)) return "";
  return "Nothing of the caption is found, so every place has the same quality. Try other words, or draw boxes.";
}

function thingItem(image, { phrase, cues, sure, boxes }) {
  const found = boxes.length > 0;
  const name = document.createElement("span");
  name.textContent = phrase;
  let label = name;
  if (found && sure && promises()) {
    const box = document.createElement("input");
    box.type = "checkbox";
    box.checked = !image.unkept.has(phrase);
    box.addEventListener("change", () => {
      if (box.checked) image.unkept.delete(phrase);
      else image.unkept.add(phrase);
      changed();
    });
    label = document.createElement("label");
    label.className = "check";
    label.append(box, name);
  }
  const item = pair(label, found ? `by ${listed(cues)}${sure ? "" : ", not surely"}` : "not found", !found);
  item.addEventListener("pointerenter", () => layer.light(phrase));
  item.addEventListener("pointerleave", () => layer.light(null));
  return item;
}

/** An item of a list: a name, and in small letters what is to be said about it. */
function pair(name, text, missing) {
  const item = document.createElement("li");
  const small = document.createElement("small");
  small.textContent = text;
  item.classList.toggle("missing", missing);
  item.append(name, small);
  return item;
}

function listed(words) {
  return words.length > 1 ? `${words.slice(0, -1).join(", ")} and ${words.at(-1)}` : (words[0] ?? "the finder");
}

function reached({ measure, reached: value }) {
  return measure === "psnr" ? `${value.toFixed(1)} dB` : `SSIMULACRA 2 ${value.toFixed(1)}`;
}

function showPromise(image) {
  const { kept } = image;
  $("kept-list").classList.toggle("stale", kept?.stale ?? false);
  $("kept-list").replaceChildren(...(promises() && kept ? kept.list : []).map((one, place) => {
    const name = document.createElement("span");
    name.textContent = one.phrase ?? `Box ${place + 1}`;
    const item = pair(name, one.kept ? reached(one) : `only ${reached(one)}`, !one.kept);
    item.title = boxText(boxOf(one.box));
    return item;
  }));
  $("promise-note").textContent = promises() ? promiseNote(image) : "";
  $("promise-note").classList.toggle("wrong", image.broken !== "");
}

function promiseNote(image) {
  if (image.broken) return image.broken;
  if (!promise()) {
    if (byBoxes()) return "Nothing is promised yet: draw a box on the photo.";
    return image.things ? "Nothing is promised: choose something above that is found, or draw boxes." : "";
  }
  if (!image.kept) return "";
  const { list, cost, warnings } = image.kept;
  const price = cost > 0 ? `This costs ${bytes(cost)}.` : "This costs nothing: the quality is enough.";
  return [list.length ? price : "Nothing is kept.", ...warnings.map((text) => `${text}.`)].join(" ");
}

// -- boxes ------------------------------------------------------------------------------------------------------------

/** What stands above the columns of numbers; each number has a label of its own. */
function boxHeadings() {
  const row = document.createElement("li");
  row.setAttribute("aria-hidden", "true");
  row.append(...["", ...SIDES].map((text) => {
    const heading = document.createElement("small");
    heading.textContent = text;
    return heading;
  }));
  return row;
}

function boxRow(box, number) {
  const row = document.createElement("li");
  const name = document.createElement("span");
  name.textContent = number + 1;
  const fields = SIDES.map((side) => {
    const field = document.createElement("input");
    field.type = "number";
    field.min = 0;
    field.step = 1;
    field.value = box[side];
    field.setAttribute("aria-label", `Box ${number + 1}, ${side} in pixels`);
    field.addEventListener("change", () => {
      if (field.value !== "") layer.change(number, { ...layer.boxes[number], [side]: Number(field.value) });
      const now = layer.boxes[number];
      for (const [place, other] of fields.entries()) other.value = now[SIDES[place]];
    });
    return field;
  });
  const remove = document.createElement("button");
  remove.type = "button";
  remove.className = "remove";
  remove.textContent = "×";
  remove.setAttribute("aria-label", `Remove box ${number + 1}`);
  remove.addEventListener("click", () => {
    remove.blur();
    layer.change(number, null);
    const left = $("boxes").querySelectorAll(".remove");
    (left[Math.min(number, left.length - 1)] ?? $("add-box")).focus();
  });
  row.append(name, ...fields, remove);
  return row;
}

/** Add a box without drawing: in the middle, and each one a little aside of the last. */
function addBox() {
  const { image } = state;
  const number = image.boxes.length;
  const [width, height] = [NEW_SHARE * image.width, NEW_SHARE * image.height];
  const place = 0.5 + 0.06 * (number % 6);
  layer.change(number, { left: (image.width - width) * place, top: (image.height - height) * place, width, height });
}

function boxesChanged(message) {
  const { image } = state;
  image.boxes = layer.boxes.slice(0, MOST);
  if (layer.boxes.length > MOST) message = `There can be at most ${MOST} boxes`;
  if (image.kept) image.kept.stale = true;
  showMatters();
  announce(message);
  clearTimeout(waiting);
  waiting = setTimeout(changed, REST);
}

function setDrawing(on) {
  layer.drawing = on;
  $("draw").setAttribute("aria-pressed", on);
  $("stage").classList.toggle("drawing", on);
}

// -- controls ---------------------------------------------------------------------------------------------------------

function check(name, value) {
  for (const choice of document.querySelectorAll(`[name=${name}]`)) choice.checked = choice.value === value;
}

/** Show the controls of what is chosen, if the model has any. */
export function showMattersControls() {
  const offered = state.image !== null && model().steers;
  $("matters-part").hidden = !offered;
  $("from-caption").hidden = byBoxes();
  $("from-boxes").hidden = !byBoxes();
  $("draw").hidden = !offered || !byBoxes();
  $("steer-part").hidden = promises();
  $("promise-part").hidden = !promises();
  setDrawing(offered && byBoxes());
  showMatters();
}

/** Call `work` when what matters changes. */
export function connectMatters(work) {
  changed = () => {
    clearTimeout(waiting);
    const { image } = state;
    if (!image) return;
    image.broken = "";
    image.kept = promise() && image.kept && { ...image.kept, stale: true };
    showMatters();
    work();
  };
  coupleSlider($("steer"), $("steer-number"), changed);
  layer.onchange = boxesChanged;
  for (const choice of document.querySelectorAll("[name=places], [name=gain]")) {
    choice.addEventListener("change", () => {
      state.image.kept = null;
      showMattersControls();
      changed();
      if (choice.value === "boxes") $("stage").scrollIntoView({ block: "nearest" });
    });
  }
  $("show-found").addEventListener("change", showMatters);
  $("draw").addEventListener("click", () => setDrawing(!layer.drawing));
  $("add-box").addEventListener("click", addBox);
  $("remove-boxes").addEventListener("click", () => {
    layer.clear();
    boxesChanged("All boxes removed");
    $("add-box").focus();
  });
  $("measure").addEventListener("change", () => {
    const { usual, most } = MEASURES[$("measure").value];
    Object.assign($("least"), { value: usual, max: most });
    changed();
  });
  for (const id of ["least", "best-effort"]) $(id).addEventListener("change", () => changed());
}
