// The page: what was asked for, what came back, and where it is shown.

import { Problem, get, getBlob, post } from "./api.js";
import { draw } from "./chart.js";
import { bytes, decibels, milliseconds, plain } from "./format.js";
import { change, heat, named, total } from "./heat.js";
import { Idle, Latest } from "./tasks.js";
import { Viewer } from "./viewer.js";

const $ = (id) => document.getElementById(id);

const COMFORTABLE = 2_000_000; // pixels that follow a slider well; larger photographs are reduced to so many
const PATIENCE = 600; // ms without a picture, after which a bar moves; drawing it takes time from an encoder on this machine
const REST = 350; // ms without a change, after which figures that take longer are asked for
const CURVE = {
  tacit: [5, 20, 35, 50, 65, 80, 95],
  JPEG: [8, 20, 35, 55, 75, 88],
  WebP: [2, 20, 45, 70, 85, 94],
  AVIF: [15, 30, 45, 60, 72, 82],
};
const SIZES = [0.02, 3]; // bits per pixel at the ends of the size slider
// To a browser on the service's own machine bytes cost nothing, and packing them costs time.
const UNCOMPRESSED = ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);
const IMAGES = `preview/images?uncompressed=${UNCOMPRESSED}`;

const viewer = new Viewer($("stage"), $("picture"), $("divider"), $("zoom-level"));

/** What is on the page: the photograph (`image`), the last encoding (`shown`), what other codecs made of as many bytes
 * (`others`), its bit maps (`maps`), and the points of the curve. `models`: what it may be encoded with, the first where nothing is chosen. */
const state = {
  models: [],
  image: null,
  file: null,
  shown: null,
  others: new Map(),
  maps: new Map(),
  points: null,
  curving: false,
  codec: "tacit",
  bits: "off",
  overlay: null,
  refusal: "",
};

// -- the photograph -------------------------------------------------------------------------------------------------

async function open(source, { full = false } = {}) {
  const mine = begin();
  const since = performance.now();
  try {
    await started;
    const path = source.sample ? `preview/samples/${source.sample}?uncompressed=${UNCOMPRESSED}` : `${IMAGES}${full ? "" : `&pixels=${COMFORTABLE}`}`;
    const image = await post(path, source.file ? untyped(source.file) : null);
    if (mine !== state.opening) return;
    forget();
    const reading = createImageBitmap(image.data); // while the encoder is at work
    state.image = { ...image, source, reading, original: null, title: source.sample ?? source.file.name ?? "pasted photograph" };
    enter(state.image.title);
    $("caption").value = image.caption ?? "";
    $("store").checked = true;
    $("words").hidden = true;
    const reduced = image.own_width * image.own_height > image.width * image.height;
    const scaled = `${image.own_width}×${image.own_height} pixels, worked on at ${image.width}×${image.height} so that it follows the slider. `;
    const remarks = reduced ? [scaled, button("Use all pixels", () => open(source, { full: true })), ...image.warnings] : image.warnings;
    $("scaled").replaceChildren(...remarks.flatMap((remark) => [remark, " "]));
    $("scaled").hidden = !remarks.length;
    setSizeRange();
    state.chosen = since;
    ask();
    state.image.original = await reading;
    if (mine === state.opening) await present();
  } catch (error) {
    if (mine === state.opening) complain(error);
  } finally {
    if (mine === state.opening && !encoding.busy) busy(false);
  }
}

/** Something is being opened; what was before it, and has not come yet, shall not come any more. */
function begin() {
  hideAlert();
  busy(true);
  state.opening = Symbol("opening");
  return state.opening;
}

/** Let go what is shown, for something else. */
function forget() {
  encoding.forget();
  rest.stop();
  curve.stop();
  Object.assign(state, { image: null, file: null, shown: null, points: null, curving: false, refusal: "" });
  $("rate").classList.remove("wrong");
  $("download").disabled = true;
  state.others.clear();
  state.maps.clear();
}

function enter(title) {
  const file = state.file !== null;
  $("start").hidden = true;
  $("work").hidden = false;
  $("another").hidden = false;
  $("photo-name").textContent = title;
  document.body.classList.add("working");
  for (const id of ["tabs", "caption-part", "curve-part", "bits-part"]) $(id).hidden = file;
  $("model-part").hidden = file || state.models.length < 2;
  $("header-part").hidden = !file;
  suit();
  select("tacit");
  showBits("off");
  figures();
  drawCurve();
}

function leave() {
  begin();
  busy(false);
  forget();
  viewer.show(null, null);
  $("start").hidden = false;
  $("work").hidden = true;
  $("another").hidden = true;
  $("photo-name").textContent = "";
  document.body.classList.remove("working");
  $("pick").value = "";
}

// -- encoding -------------------------------------------------------------------------------------------------------

function model() {
  return state.models.find(({ name }) => name === $("model").value) ?? state.models[0];
}

/** Show what the model can be asked. */
function suit() {
  const { variable_rate: variable, steers } = model();
  $("rate").hidden = state.file !== null || !variable;
  $("steer-part").hidden = $("named").hidden = !steers;
  $("caption-note").textContent = steers
    ? "What it names is encoded at a higher quality, the rest at a lower one; “Named” and “Change”, below, show where. "
      + "That costs PSNR over the whole picture. Decoding never needs the caption."
    : "It guides the encoder. Decoding never needs it.";
  if (!steers && state.bits === "named") showBits("off");
}

function rate() {
  if (!model().variable_rate) return {};
  const size = document.querySelector("[name=ask]:checked").value === "size";
  return size
    ? { size: Math.max(1, Math.round(1000 * Number($("size-number").value))) }
    : { quality: Math.min(100, Math.max(0, Number($("quality-number").value))) };
}

/** What is asked of the encoder besides the rate. */
function guidance() {
  const steer = Math.min(100, Math.max(0, Number($("steer-number").value)));
  return {
    caption: $("caption").value.trim(),
    steer: model().steers ? steer : undefined,
    word_weights: $("by-weight").checked,
    model: model().name,
  };
}

function wanted() {
  return { ...rate(), ...guidance(), store_caption: $("store").checked };
}

function ask() {
  if (!state.image) return;
  rest.stop();
  curve.stop();
  encoding.ask({ image: state.image, asked: wanted(), since: performance.now() });
}

/** Of a size, first what one encoding finds, and then, with `exact`, the best that fits: nobody shall wait for a search
 * while the slider moves. */
const encoding = new Latest(async ({ image, asked, since, exact = false }) => {
  busy(true);
  try {
    const sent = performance.now();
    const answer = await again(image, () => post(`preview/images/${image.digest}/encode`, { ...asked, once: !exact, uncompressed: UNCOMPRESSED }));
    const came = performance.now();
    const bitmap = await createImageBitmap(answer.decoded);
    await image.reading;
    if (image !== state.image) return;
    const read = performance.now();
    const shown = { ...answer, asked, bitmap, since, image };
    state.shown = shown;
    if (state.bits === "named") state.overlay = await namedOverlay(shown);
    const key = rateKey(shown);
    if (state.rate !== key) {
      state.rate = key;
      state.others.clear();
      state.maps.clear();
    }
    const drawn = await present();
    if (!exact) {
      state.latency = drawn - since;
      image.first ??= drawn - state.chosen;
      const { encode, pack } = shown.work;
      state.steps = { wait: sent - since, encode, pack, send: came - sent - encode - pack, read: read - came, draw: drawn - read };
    }
    shown.latency = state.latency;
    refuse("");
    still(shown.exact ? "" : "Nearly. Looking for the best that fits…");
    $("download").disabled = !shown.exact;
    $("download").dataset.bytes = shown.bytes;
    if (asked.size !== undefined) follow($("quality"), $("quality-number"), shown.quality);
    drawCurve();
    if (!encoding.pending) rest.later(); // it is of what is shown, and something else is wanted already
  } catch (error) {
    if (image !== state.image) return;
    if (error instanceof Problem && error.status === 422) {
      still("");
      refuse(error.message);
    } else complain(error);
  } finally {
    if (!encoding.pending) busy(false);
  }
});

/** Once more where the service has let a photograph go. */
async function again(image, work) {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Problem) || error.status !== 404 || !image.data) throw error;
    await post(IMAGES, image.data);
    return work();
  }
}

/** What maps and other codecs' files are of. */
function rateKey({ bytes, asked }) {
  const { caption, steer, word_weights: weighed, model: name } = asked;
  return JSON.stringify([bytes, caption, steer, weighed, name]);
}

/** Put the pictures on the canvas that the tab asks for. */
async function present() {
  const { image, shown, file } = state;
  if (file) return viewer.show(null, file.bitmap);
  const other = state.codec === "tacit" ? shown : state.others.get(state.codec);
  const against = state.codec !== "tacit" && $("against").checked && shown;
  $("left-tag").textContent = against ? `tacit, ${bytes(shown.bytes)}` : "Original";
  $("right-tag").textContent = other ? `${state.codec}, ${bytes(other.bytes)}` : state.codec;
  $("picture").setAttribute("aria-label", describe(against, other));
  $("stage").classList.toggle("stale", !other && state.codec !== "tacit");
  showOverlay();
  return viewer.show(against ? shown.bitmap : image.original, other?.bitmap ?? shown?.bitmap ?? image.original, image);
}

function describe(against, other) {
  const subject = $("caption").value.trim() || state.image.title;
  return `${subject}: on the left ${against ? "tacit" : "the original"}, on the right ${other ? state.codec : "nothing yet"}`;
}

/** Beside the slider's own picture, what takes longer: times, the other codec of the tab, the map of bits. */
const rest = new Idle(async (signal) => {
  const { image, shown } = state;
  if (!image || !shown) return;
  curve.stop();
  if (!shown.exact) {
    encoding.ask({ image, asked: shown.asked, since: shown.since, exact: true });
    return;
  }
  announce();
  try {
    if (state.codec !== "tacit") await compare(image, shown, signal);
    else if (state.bits === "named") await showNamed(shown);
    else if (state.bits !== "off") await mapBits(image, shown, signal);
    await time(image, shown, signal);
    await weigh(image, shown.asked.caption, signal);
    if (state.curving || (state.points && state.points.guidance !== JSON.stringify(guidance()))) {
      state.curving = true;
      curve.later(0);
    }
  } catch (error) {
    if (error.name !== "AbortError") complain(error);
  }
}, REST);

async function time(image, shown, signal) {
  if (shown.times) return;
  const asked = { ...shown.asked, size: undefined, quality: shown.quality, file: shown.digest };
  shown.times = await again(image, () => post(`preview/images/${image.digest}/times`, asked, { signal }));
  figures();
}

async function compare(image, shown, signal) {
  const { codec } = state;
  if (!state.others.has(codec)) {
    still(`Making ${codec} of ${bytes(shown.bytes)}…`);
    try {
      const other = await again(image, () => post(`preview/images/${image.digest}/comparison`, { codec, bytes: shown.bytes }, { signal }));
      other.bitmap = await createImageBitmap(other.file);
      signal.throwIfAborted();
      state.others.set(codec, other);
    } finally {
      if (codec === state.codec) still("");
    }
  }
  await present();
  figures();
}

// -- figures --------------------------------------------------------------------------------------------------------

function figures() {
  const { shown, codec, file } = state;
  const other = codec === "tacit" ? shown : state.others.get(codec);
  const pixels = file ? file.width * file.height : state.image.width * state.image.height;
  const times = codec === "tacit" ? shown?.times : other && { encode: other.encode_time, decode: other.decode_time };
  const own = file ?? other;
  const set = (id, text) => {
    $(id).textContent = text ?? "–";
    $(id).classList.toggle("none", text === undefined);
  };
  set("f-bytes", own && bytes(own.bytes));
  $("f-bytes").title = own ? `${own.bytes.toLocaleString("en")} bytes` : "";
  set("f-bpp", own && ((8 * own.bytes) / pixels).toFixed(3));
  set("f-psnr", own && own.psnr !== undefined ? decibels(own.psnr) : undefined);
  set("f-encode", times?.encode !== undefined ? milliseconds(times.encode) : undefined);
  set("f-decode", times?.decode !== undefined ? milliseconds(times.decode) : undefined);
  const latency = (file ?? shown)?.latency;
  set("f-latency", latency !== undefined ? milliseconds(latency) : undefined);
  $("f-latency").dataset.ms = latency?.toFixed(1) ?? "";
  const steps = latency === undefined || file ? {} : state.steps;
  $("f-latency").dataset.first = state.image?.first?.toFixed(1) ?? "";
  $("f-latency").dataset.steps = JSON.stringify(steps);
  $("f-latency").title = Object.entries(steps).map(([name, time]) => `${name} ${milliseconds(time)}`).join(", ");
  $("f-latency").previousElementSibling.textContent = file ? "File to picture" : "Slider to picture";
  for (const id of ["f-psnr", "f-encode", "f-decode"]) $(id).parentElement.hidden = file !== null;
  $("download").textContent = own ? `Download ${state.file ? "as PNG" : `.tacit, ${bytes(shown.bytes)}`}` : "Download";
  $("remark").textContent = remark(shown, other);
}

function remark(shown, other) {
  if (state.refusal) return state.refusal;
  if (state.file || state.codec === "tacit" || !other) return "";
  if (other.over) return `${state.codec} has no file so small: its smallest is ${bytes(other.bytes)}, tacit's is ${bytes(shown.bytes)}.`;
  const setting = `${state.codec} at quality ${plain(other.quality)} (${other.setting})`;
  if (other.psnr === null || shown.psnr === null) return setting;
  const difference = shown.psnr - other.psnr;
  return `${setting}. tacit's PSNR is ${Math.abs(difference).toFixed(2)} dB ${difference < 0 ? "lower" : "higher"}.`;
}

/** For those who hear the page: the figures, once they rest. */
function announce() {
  const { shown } = state;
  const psnr = shown.psnr === null ? "lossless" : `${shown.psnr.toFixed(1)} decibels`;
  const name = shown.quality === null ? shown.asked.model : `Quality ${plain(shown.quality)}`;
  $("said").textContent = `${name}: ${bytes(shown.bytes)}, ${shown.bpp.toFixed(2)} bits per pixel, ${psnr}.`;
}

/** Say why what was asked for last is not shown; or, with no text, that it is. */
function refuse(text) {
  state.refusal = text;
  $("rate").classList.toggle("wrong", text !== "");
  figures();
}

function still(text) {
  $("still").textContent = text;
}

let busyTimer = 0;

function busy(on) {
  clearTimeout(busyTimer);
  if (on) busyTimer = setTimeout(() => ($("busy").hidden = false), PATIENCE);
  else $("busy").hidden = true;
}

// -- tabs -----------------------------------------------------------------------------------------------------------

function select(codec, focus = false) {
  state.codec = codec;
  for (const tab of $("tabs").children) {
    const chosen = tab.dataset.codec === codec;
    tab.setAttribute("aria-selected", chosen);
    tab.tabIndex = chosen ? 0 : -1;
    if (chosen && focus) tab.focus();
  }
  $("panel").setAttribute("aria-labelledby", `tab-${codec}`);
  $("beside").hidden = codec === "tacit";
  still("");
  if (!state.image) return;
  present();
  figures();
  if (state.shown) rest.later(0);
}

$("tabs").addEventListener("click", (event) => {
  const tab = event.target.closest("[role=tab]");
  if (tab) select(tab.dataset.codec);
});
$("tabs").addEventListener("keydown", (event) => {
  const tabs = [...$("tabs").children];
  const now = tabs.findIndex((tab) => tab.dataset.codec === state.codec);
  const places = { ArrowRight: now + 1, ArrowLeft: now - 1, Home: 0, End: tabs.length - 1 };
  if (!(event.key in places)) return;
  event.preventDefault();
  select(tabs.at(places[event.key] % tabs.length).dataset.codec, true);
});
$("against").addEventListener("change", () => present());

// -- quality and size -----------------------------------------------------------------------------------------------

function follow(slider, number, value) {
  slider.value = value;
  number.value = plain(value);
  fill(slider);
}

/** The part of the track before the thumb. */
function fill(slider) {
  const share = (slider.value - slider.min) / (slider.max - slider.min);
  slider.style.setProperty("--share", share.toFixed(4));
}

/** A slider and a number that say the same. */
function couple(slider, number) {
  slider.addEventListener("input", () => {
    follow(slider, number, Number(slider.value));
    ask();
  });
  number.addEventListener("input", () => {
    if (number.value === "" || !number.checkValidity()) return;
    slider.value = number.value;
    fill(slider);
    ask();
  });
}

couple($("quality"), $("quality-number"));
couple($("steer"), $("steer-number"));

/** The size slider is logarithmic, from what a bad picture takes to what a very good one does. */
function setSizeRange() {
  const pixels = state.image.width * state.image.height;
  state.sizes = SIZES.map((bpp) => (bpp * pixels) / 8);
  const size = 1000 * Number($("size-number").value);
  if (size > 0) setSize(size);
}

function sizeAt(place) {
  const [low, high] = state.sizes;
  return low * (high / low) ** (place / 1000);
}

function placeOf(size) {
  const [low, high] = state.sizes;
  return (1000 * Math.log(size / low)) / Math.log(high / low);
}

function setSize(size) {
  $("size").value = placeOf(size);
  $("size-number").value = (size / 1000).toFixed(size < 10_000 ? 2 : 1);
  fill($("size"));
  $("size").setAttribute("aria-valuetext", bytes(Math.round(size)));
}

$("size").addEventListener("input", () => {
  setSize(sizeAt(Number($("size").value)));
  ask();
});
$("size-number").addEventListener("change", () => {
  const size = 1000 * Number($("size-number").value);
  if (!(size > 0)) return;
  $("size").value = placeOf(size);
  fill($("size"));
  ask();
});
for (const choice of document.querySelectorAll("[name=ask]")) {
  choice.addEventListener("change", () => {
    const size = choice.value === "size";
    $("by-quality").hidden = size;
    $("by-size").hidden = !size;
    if (size && state.shown) setSize(state.shown.bytes);
    ask();
  });
}

// -- caption --------------------------------------------------------------------------------------------------------

let typing = 0;

$("caption").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(ask, 400);
});
$("store").addEventListener("change", () => ask());
$("by-weight").addEventListener("change", () => ask());
$("model").addEventListener("change", () => {
  suit();
  ask();
});
$("generate").addEventListener("click", async () => {
  const { image } = state;
  $("generate").disabled = true;
  still("Looking at the photograph…");
  try {
    const { caption } = await post("v1/caption", image.data);
    if (image !== state.image) return;
    $("caption").value = caption;
    ask();
  } catch (error) {
    complain(error);
  } finally {
    $("generate").disabled = false;
    still("");
  }
});

async function weigh(image, caption, signal) {
  if (image.weighed === caption) return;
  const { words, names } = caption ? await post("preview/words", { caption }, { signal }) : { words: [] };
  image.weighed = caption;
  $("words-note").textContent = `As “tacit weigh” has them: names and rare nouns the most. Names are found by ${names}.`;
  $("words").hidden = !words.length;
  $("words").querySelector("ul").replaceChildren(...words.map(chip));
}

function chip({ text, weight, reason }) {
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

// -- bits -----------------------------------------------------------------------------------------------------------

function showBits(kind) {
  state.bits = kind;
  for (const choice of document.querySelectorAll("[name=bits]")) choice.checked = choice.value === kind;
  if (kind === "off") {
    state.overlay = null;
    $("bits-note").textContent = "Bits for each 16×16 pixels, on the right picture.";
    showOverlay();
  } else if (state.codec !== "tacit") select("tacit");
  else if (state.shown) rest.later(0);
}

/** The bits are tacit's. */
function showOverlay() {
  const overlay = state.codec === "tacit" ? state.overlay : null;
  $("legend").hidden = overlay === null;
  if (overlay) {
    $("legend-low").textContent = overlay.low;
    $("legend-high").textContent = overlay.high;
    $("legend").className = `legend ${overlay.kind}`;
  }
  return viewer.lay(overlay);
}

for (const choice of document.querySelectorAll("[name=bits]")) {
  choice.addEventListener("change", () => showBits(choice.value));
}

async function mapBits(image, shown, signal) {
  const kind = state.bits;
  const fetchMap = async (caption) => {
    if (!state.maps.has(caption)) {
      still("Counting bits…");
      const asked = { ...shown.asked, size: undefined, quality: shown.quality, caption };
      state.maps.set(caption, await again(image, () => post(`preview/images/${image.digest}/bits`, asked, { signal })));
    }
    return state.maps.get(caption);
  };
  try {
    const { caption } = shown.asked;
    const own = kind === "without" ? null : await fetchMap(caption);
    const without = kind === "with" ? state.maps.get("") : await fetchMap("");
    signal.throwIfAborted();
    const overlay = kind === "change" ? await change(without, own) : await heat(own ?? without, own ? without : state.maps.get(caption));
    signal.throwIfAborted();
    if (kind !== state.bits) return; // switched off meanwhile
    state.overlay = overlay;
    $("bits-note").textContent = bitsNote(kind, caption, own, without);
    await showOverlay();
  } finally {
    still("");
  }
}

/** None where the caption moves nothing. */
function namedOverlay(shown) {
  return shown.steps ? named(shown.steps) : null;
}

async function showNamed(shown) {
  state.overlay = await namedOverlay(shown);
  $("bits-note").textContent = state.overlay
    ? "What the caption adds to the quality of each 64×64 pixels, and takes from it."
    : "There is no caption that would steer: every place has the same quality.";
  await showOverlay();
}

function bitsNote(kind, caption, own, without) {
  if (!caption && kind !== "without") return "There is no caption: with and without are the same.";
  const parts = [];
  if (own) parts.push(`with the caption ${bytes(Math.round(total(own)))}`);
  if (without) parts.push(`without ${bytes(Math.round(total(without)))}`);
  return `At this quality: ${parts.join(", ")}. Bits for each 16×16 pixels.`;
}

// -- the curve ------------------------------------------------------------------------------------------------------

const curve = new Idle(async (signal) => {
  const { image, points } = state;
  if (!image || !points) return;
  const guided = guidance();
  const key = JSON.stringify(guided);
  if (points.guidance !== key) Object.assign(points, { guidance: key, tacit: [] });
  // Spread over all codecs, so that every curve is there early and becomes finer.
  const missing = Object.entries(CURVE).flatMap(([codec, qualities]) =>
    order(codec === "tacit" && !model().variable_rate ? [null] : qualities).map((quality, rank) => ({ codec, quality, rank })).filter(({ quality }) => !points[codec].some((p) => p.quality === quality)));
  missing.sort((a, b) => a.rank - b.rank);
  try {
    for (const [done, { codec, quality }] of missing.entries()) {
      curveNote(missing.length - done);
      const asked = codec === "tacit" ? { codec, quality, ...guided } : { codec, quality };
      const point = await again(image, () => post(`preview/images/${image.digest}/point`, asked, { signal }));
      signal.throwIfAborted();
      points[codec].push({ ...point, bpp: (8 * point.bytes) / (image.width * image.height) });
      drawCurve();
    }
    curveNote(0);
  } catch (error) {
    if (error.name !== "AbortError") complain(error);
  }
}, REST);

/** Ends first, then what is between. */
function order(qualities) {
  const last = qualities.length - 1;
  const middle = Math.floor(last / 2);
  const places = [...new Set([0, last, middle, ...qualities.keys()])];
  return places.map((place) => qualities[place]);
}

function curveNote(left) {
  state.curving &&= left > 0;
  $("curve-note").textContent = left ? `${left} encodings to go` : "";
  $("curve-run").textContent = state.curving ? "Stop" : "Go on";
  $("curve-run").hidden = left === 0;
}

$("curve-run").addEventListener("click", () => {
  state.curving = !state.curving;
  if (state.curving) {
    state.points ??= { tacit: [], JPEG: [], WebP: [], AVIF: [], guidance: null };
    curve.later(0);
  } else {
    curve.stop();
    $("curve-run").textContent = "Go on";
  }
});

function drawCurve() {
  if (!state.points) {
    $("curve").replaceChildren();
    $("curve-run").hidden = false;
    $("curve-run").textContent = "Draw the curve";
    $("curve-note").textContent = "Encodes it some 25 times, when nothing else is to do.";
    return;
  }
  const { guidance: _, ...series } = state.points;
  draw($("curve"), series, state.shown?.psnr ? state.shown : null);
}

// -- .tacit files ---------------------------------------------------------------------------------------------------

const SIGNATURE = [0x89, 0x54, 0x43, 0x54];

async function isTacit(file) {
  if (file.name?.toLowerCase().endsWith(".tacit")) return true;
  const start = new Uint8Array(await file.slice(0, 4).arrayBuffer());
  return SIGNATURE.every((byte, i) => start[i] === byte);
}

async function openTacit(file) {
  const mine = begin();
  try {
    await started;
    const body = untyped(file);
    const info = await post("v1/info", body);
    const since = performance.now();
    const data = await post("v1/decode", body, { accept: "image/png" });
    const bitmap = await createImageBitmap(data);
    if (mine !== state.opening) return;
    forget();
    state.file = { ...info, data, bitmap, name: file.name ?? "file.tacit" };
    enter(state.file.name);
    $("file-caption").hidden = !info.caption;
    $("file-caption").textContent = info.caption ?? "";
    $("header").replaceChildren(...header(info));
    $("right-tag").textContent = `tacit, ${bytes(info.bytes)}`;
    $("picture").setAttribute("aria-label", info.caption ?? state.file.name);
    $("scaled").hidden = true;
    $("download").disabled = false;
    state.file.latency = (await present()) - since;
    figures();
  } catch (error) {
    if (mine === state.opening) complain(error);
  } finally {
    if (mine === state.opening) busy(false);
  }
}

function header(info) {
  const rows = {
    "Size": `${info.width} × ${info.height} pixels, ${info.mode}`,
    "Bytes": `${info.bytes.toLocaleString("en")}, ${info.bpp.toFixed(3)} bits per pixel`,
    "Quality": info.quality === null ? "fixed" : plain(info.quality),
    "Model": info.model ?? info.architecture ?? "not here",
    "Weights": info.weights_hash,
    "Regions": info.regions,
    "Format version": info.format_version,
  };
  for (const [name, key] of [["Quality map", "quality_map_bytes"], ["Alpha", "alpha_bytes"], ["ICC profile", "icc_bytes"], ["EXIF", "exif_bytes"], ["XMP", "xmp_bytes"]]) {
    if (info[key]) rows[name] = `${info[key].toLocaleString("en")} bytes`;
  }
  return Object.entries(rows).flatMap(([name, value]) => {
    const row = document.createElement("div");
    const term = document.createElement("dt");
    const text = document.createElement("dd");
    term.textContent = name;
    text.textContent = value;
    row.append(term, text);
    return row;
  });
}

$("download").addEventListener("click", () => {
  const stem = (name) => name.replace(/\.[^.]*$/, "");
  const [data, name] = state.file
    ? [state.file.data, `${stem(state.file.name)}.png`]
    : [state.shown.file, `${stem(state.image.title)}.tacit`];
  const link = document.createElement("a");
  link.href = URL.createObjectURL(data);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
});

/** What a file is, its bytes say better than its name. */
function untyped(file) {
  return new Blob([file], { type: "application/octet-stream" });
}

// -- ways in --------------------------------------------------------------------------------------------------------

async function take(file) {
  if (!file) return;
  try {
    await ((await isTacit(file)) ? openTacit(file) : open({ file }));
  } catch (error) {
    complain(error); // a folder, say, which cannot be read
  }
}

$("pick").addEventListener("change", () => {
  const [file] = $("pick").files;
  $("pick").value = "";
  take(file);
});
$("another").addEventListener("click", leave);
document.querySelector("h1 a").addEventListener("click", (event) => {
  event.preventDefault();
  leave();
});
addEventListener("paste", (event) => {
  const [file] = event.clipboardData.files;
  if (!file) return;
  event.preventDefault();
  take(file);
});

let depth = 0;
const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
addEventListener("dragenter", (event) => {
  if (!carriesFiles(event)) return;
  depth++;
  $("veil").hidden = false;
});
addEventListener("dragleave", (event) => {
  if (carriesFiles(event) && --depth === 0) $("veil").hidden = true;
});
addEventListener("dragover", (event) => carriesFiles(event) && event.preventDefault());
addEventListener("drop", (event) => {
  if (!carriesFiles(event)) return;
  event.preventDefault();
  depth = 0;
  $("veil").hidden = true;
  take(event.dataTransfer.files[0]);
});

$("zoom-in").addEventListener("click", () => viewer.zoomBy(1.5));
$("zoom-out").addEventListener("click", () => viewer.zoomBy(1 / 1.5));
$("zoom-level").addEventListener("click", () => viewer.toggle());

// -- messages -------------------------------------------------------------------------------------------------------

function complain(error) {
  if (error.name === "AbortError") return;
  if (!(error instanceof Problem)) console.error(error);
  const unreadable = error.name === "InvalidStateError" ? "This browser cannot show the picture." : error.message;
  $("alert").querySelector("p").textContent = unreadable;
  $("alert").hidden = false;
}

function hideAlert() {
  $("alert").hidden = true;
}

$("alert").querySelector("button").addEventListener("click", hideAlert);
addEventListener("keydown", (event) => event.key === "Escape" && hideAlert());

function button(text, work) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = "link";
  made.textContent = text;
  made.addEventListener("click", work);
  return made;
}

// -- start ----------------------------------------------------------------------------------------------------------

async function start() {
  const about = await get("preview");
  $("generate").hidden = about.captioner === null;
  $("generate").title = `By ${about.captioner}`;
  state.models = about.models;
  $("model").replaceChildren(...about.models.map(({ name }) => new Option(name)));
  const minutes = Math.max(1, Math.round(about.kept / 60));
  $("kept").textContent = `Photographs stay in this service's memory for ${minutes === 1 ? "a minute" : `${minutes} minutes`}, without their metadata.`;
  $("samples").hidden = !about.samples.length;
  $("samples").querySelector("ul").replaceChildren(...about.samples.map(sample));
}

function sample({ name, caption }) {
  const item = document.createElement("li");
  const choice = document.createElement("button");
  choice.type = "button";
  choice.setAttribute("aria-label", caption);
  choice.dataset.sample = name;
  const canvas = document.createElement("canvas");
  choice.append(canvas);
  choice.addEventListener("click", () => open({ sample: name }));
  item.append(choice);
  getBlob(`preview/samples/${name}`).then(createImageBitmap).then((bitmap) => {
    canvas.width = bitmap.width;
    canvas.height = bitmap.height;
    canvas.getContext("2d").drawImage(bitmap, 0, 0);
  }, complain);
  return item;
}

fill($("quality"));
fill($("steer"));
const started = start();
started.catch(complain);
