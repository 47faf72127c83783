// The page: a photo or a .tacit file is opened, the photo is encoded as the controls say, and the result is shown.

import { Problem, get, getBlob } from "./api.js";
import { namedOverlay, selectBits, showBits, showNamed, showOverlay } from "./bits.js";
import { drawCurve, pauseCurve, resumeCurve } from "./curve.js";
import { $, linkButton } from "./dom.js";
import { bytes, decibels, milliseconds, plain } from "./format.js";
import { connectGuidance, effort, guidance, setEfforts, showModelControls, showWordWeights } from "./guidance.js";
import { UNCOMPRESSED, postForImage, sendImage } from "./images.js";
import {
  beginMatters, breakPromise, connectMatters, findThings, foundSentence, promise, showEncodingMatters,
} from "./matters.js";
import { announce, hideError, setBusy, setStatus, showError } from "./messages.js";
import { connectRate, rate, setSizeRange, showQuality } from "./rate.js";
import { model, state } from "./state.js";
import { decodeTacit, headerRows, isTacit } from "./tacit_file.js";
import { Idle, Latest } from "./tasks.js";
import { viewer } from "./viewer.js";

const REST = 350; // ms without a change before figures that take longer are asked for

// -- opening ----------------------------------------------------------------------------------------------------------

async function openImage(source, { full = false } = {}) {
  const opening = beginOpening();
  const start = performance.now();
  try {
    await started;
    const image = await sendImage(source, full);
    if (opening !== state.opening) return;
    forget();
    const reading = createImageBitmap(image.data); // while the encoder is at work
    const title = source.sample ?? source.file.name ?? "pasted photo";
    state.image = { ...image, source, reading, original: null, title };
    beginMatters(state.image);
    showWork(title);
    $("caption").value = image.caption ?? "";
    $("store").checked = true;
    showImageNotes(image, source);
    setSizeRange(image);
    state.openedAt = start;
    encode();
    state.image.original = await reading;
    if (opening === state.opening) await present();
  } catch (error) {
    if (opening === state.opening) showError(error);
  } finally {
    if (opening === state.opening && !encoder.busy) setBusy(false);
  }
}

function showImageNotes(image, source) {
  const notes = [...image.warnings];
  if (image.own_width * image.own_height > image.width * image.height) {
    const own = `${image.own_width}×${image.own_height}`;
    notes.unshift(
      `The photo has ${own} pixels. To follow the slider, the page works on ${image.width}×${image.height}. `,
      linkButton("Use all pixels", () => openImage(source, { full: true })),
    );
  }
  $("image-note").replaceChildren(...notes.flatMap((note) => [note, " "]));
  $("image-note").hidden = !notes.length;
}

async function openTacit(file) {
  const opening = beginOpening();
  try {
    await started;
    const decoded = await decodeTacit(file, state.viewer, (coarse) => opening === state.opening && showFile(coarse));
    if (opening !== state.opening) return;
    showFile(decoded);
    $("download").disabled = false;
    state.file.latency = (await present()) - decoded.start;
    showFigures();
  } catch (error) {
    if (opening !== state.opening) return;
    if (state.file?.coarse) showStart(); // its beginning was shown, and nothing was before it any more
    showError(error);
  } finally {
    if (opening === state.opening) setBusy(false);
  }
}

/** Show a file that is decoded, or the coarse image of one that is being decoded. */
function showFile(decoded) {
  forget();
  state.file = { ...decoded, coarse: decoded.png === undefined };
  showWork(decoded.name);
  $("file-caption").hidden = !decoded.caption;
  $("file-caption").textContent = decoded.caption ?? "";
  $("header").replaceChildren(...headerRows(decoded));
  $("right-tag").textContent = `tacit, ${bytes(decoded.bytes)}`;
  $("canvas").setAttribute("aria-label", decoded.caption ?? decoded.name);
  $("image-note").hidden = true;
  present();
}

/** Begin to open something. What was being opened before and has not arrived yet will not be shown. */
function beginOpening() {
  hideError();
  setBusy(true);
  state.opening = Symbol("opening");
  return state.opening;
}

/** Forget what is shown, because something else will be. */
function forget() {
  encoder.forget();
  slowWork.stop();
  pauseCurve();
  Object.assign(state, { image: null, file: null, encoding: null, points: null, drawingCurve: false, refusal: "" });
  $("rate").classList.remove("wrong");
  $("download").disabled = true;
  state.others.clear();
  state.maps.clear();
}

function showWork(title) {
  const isFile = state.file !== null;
  $("start").hidden = true;
  $("work").hidden = false;
  $("another").hidden = false;
  $("image-name").textContent = title;
  document.body.classList.add("working");
  for (const id of ["tabs", "caption-part", "curve-part", "bits-part"]) $(id).hidden = isFile;
  $("words").hidden = true; // until they are weighed
  $("model-part").hidden = isFile || state.models.length < 2;
  $("header-part").hidden = !isFile;
  showControls();
  selectCodec("tacit");
  selectBits("off");
  showFigures();
  drawCurve();
}

function showStart() {
  beginOpening();
  setBusy(false);
  forget();
  viewer.show(null, null);
  $("start").hidden = false;
  $("work").hidden = true;
  $("another").hidden = true;
  $("image-name").textContent = "";
  document.body.classList.remove("working");
  $("pick").value = "";
}

/** Show the controls that the model has. */
function showControls() {
  showModelControls();
  if (!model().steers && state.bits === "named") selectBits("off");
}

// -- encoding ---------------------------------------------------------------------------------------------------------

/** Encode the photo as the controls say. */
function encode() {
  if (!state.image) return;
  slowWork.stop();
  pauseCurve();
  const request = { ...rate(), ...guidance(), store_caption: $("store").checked };
  encoder.ask({ image: state.image, request, start: performance.now() });
}

/** For a size, the result of one encoding comes first; with `exact`, the best that fits. Nobody should have to wait for
 * a search while the slider moves. */
const encoder = new Latest(async ({ image, request, start, exact = false }) => {
  setBusy(true);
  try {
    const sent = performance.now();
    const answer = await postForImage(image, "encode", { ...request, once: !exact, uncompressed: UNCOMPRESSED });
    const arrived = performance.now();
    const bitmap = await createImageBitmap(answer.decoded);
    await image.reading;
    if (image !== state.image) return;
    const read = performance.now();
    const encoding = { ...answer, request, bitmap, start, image };
    state.encoding = encoding;
    if (state.bits === "named") state.overlay = await namedOverlay(encoding);
    const key = rateKey(encoding);
    if (state.rateKey !== key) {
      state.rateKey = key;
      state.others.clear();
      state.maps.clear();
    }
    const drawn = await present();
    if (!exact) {
      state.latency = drawn - start;
      image.firstLatency ??= drawn - state.openedAt;
      const { encode, pack } = encoding.work;
      state.steps = { wait: sent - start, encode, pack, send: arrived - sent - encode - pack, read: read - arrived, draw: drawn - read };
    }
    encoding.latency = state.latency;
    showRefusal("");
    showEncodingMatters(encoding);
    setStatus(encoding.exact ? "" : "Close to the size. Searching for the best file that fits.");
    $("download").disabled = !encoding.exact || effort() > 0 || promise() !== null;
    $("download").dataset.bytes = encoding.bytes;
    if (request.size !== undefined) showQuality(encoding.quality);
    drawCurve();
    if (!encoder.pending) slowWork.later(); // otherwise another encoding is wanted already
  } catch (error) {
    if (image !== state.image) return;
    if (error instanceof Problem && error.status === 422) {
      setStatus("");
      showRefusal(error.message);
    } else showError(error);
  } finally {
    if (!encoder.pending) setBusy(false);
  }
});

/** What maps and other codecs' files depend on. */
function rateKey({ bytes, request }) {
  const { caption, steer, box, word_weights: weighed, model: name } = request;
  return JSON.stringify([bytes, caption, steer, box, weighed, name]);
}

/** After the image itself, what takes longer: times, the codec of the tab, the map of bits. */
const slowWork = new Idle(async (signal) => {
  const { image, encoding } = state;
  if (!image || !encoding) return;
  pauseCurve();
  if (!encoding.exact && !promise()) {
    encoder.ask({ image, request: encoding.request, start: encoding.start, exact: true });
    return;
  }
  try {
    await findThings(image, encoding.request.caption, signal);
    if ((effort() > 0 || promise()) && !encoding.refined) return await refine(image, encoding, signal);
    announceEncoding(encoding);
    if (state.codec !== "tacit") await compare(image, encoding, signal);
    else if (state.bits === "named") await showNamed(encoding);
    else if (state.bits !== "off") await showBits(image, encoding, signal);
    await showWordWeights(image, encoding.request.caption, signal); // it moves what stands below, so not after the times
    await measureTimes(image, encoding, signal);
    resumeCurve();
  } catch (error) {
    if (error.name !== "AbortError") showError(error);
  }
}, REST);

/** Look for a file that is better or keeps what is promised, which may take a minute; a change of the controls gives it
 * up. */
async function refine(image, encoding, signal) {
  const { request, start } = encoding;
  const kept = promise();
  setStatus(kept ? "Looking for the file that keeps what is promised" : "Looking for a better file");
  setBusy(true);
  try {
    const asked = { ...request, ...kept, effort: effort(), uncompressed: UNCOMPRESSED };
    const answer = await postForImage(image, "encode", asked, { signal });
    const bitmap = await createImageBitmap(answer.decoded);
    signal.throwIfAborted();
    state.encoding = { ...answer, request, bitmap, start, image, refined: true, latency: encoding.latency };
  } catch (error) {
    if (!kept || !(error instanceof Problem) || error.status !== 422) throw error;
    setStatus("");
    breakPromise(error.message);
    announce(error.message);
    return;
  } finally {
    if (!encoder.busy) setBusy(false);
    if (!signal.aborted) setStatus("");
  }
  showEncodingMatters(state.encoding);
  if (state.bits === "named") state.overlay = await namedOverlay(state.encoding);
  state.rateKey = rateKey(state.encoding);
  state.others.clear();
  state.maps.clear();
  await present();
  showFigures();
  if (!kept && state.encoding.warnings.length) setStatus("The service's time ended the search early.");
  $("download").disabled = false;
  $("download").dataset.bytes = state.encoding.bytes;
  if (request.size !== undefined) showQuality(state.encoding.quality);
  drawCurve();
  slowWork.later(0);
}

async function measureTimes(image, encoding, signal) {
  if (encoding.times) return;
  const request = { ...encoding.request, size: undefined, quality: encoding.quality, file: encoding.digest };
  encoding.times = await postForImage(image, "times", request, { signal });
  if (encoding.refined) encoding.times.encode = encoding.work.encode; // nobody waits for it twice
  showFigures();
}

/** Encode with the codec of the tab, in as many bytes as tacit's file has. */
async function compare(image, encoding, signal) {
  const { codec } = state;
  if (!state.others.has(codec)) {
    setStatus(`Encoding with ${codec} in ${bytes(encoding.bytes)}`);
    try {
      const other = await postForImage(image, "comparison", { codec, bytes: encoding.bytes }, { signal });
      other.bitmap = await createImageBitmap(other.file);
      signal.throwIfAborted();
      state.others.set(codec, other);
    } finally {
      if (codec === state.codec) setStatus("");
    }
  }
  await present();
  showFigures();
}

// -- the images and the figures ---------------------------------------------------------------------------------------

/** Draw the two images of the selected tab. */
async function present() {
  const { image, encoding, file } = state;
  if (file) return viewer.show(null, file.bitmap);
  const right = state.codec === "tacit" ? encoding : state.others.get(state.codec);
  const left = state.codec !== "tacit" && $("against").checked && encoding;
  $("left-tag").textContent = left ? `tacit, ${bytes(encoding.bytes)}` : "Original";
  $("right-tag").textContent = right ? `${state.codec}, ${bytes(right.bytes)}` : state.codec;
  $("canvas").setAttribute("aria-label", describe(left, right));
  $("stage").classList.toggle("stale", !right && state.codec !== "tacit");
  showOverlay();
  const leftBitmap = left ? encoding.bitmap : image.original;
  return viewer.show(leftBitmap, right?.bitmap ?? encoding?.bitmap ?? image.original, image);
}

function describe(left, right) {
  const subject = $("caption").value.trim() || state.image.title;
  return `${subject}: on the left ${left ? "tacit" : "the original"}, on the right ${right ? state.codec : "no image yet"}`;
}

function showFigures() {
  const { encoding, codec, file } = state;
  const other = codec === "tacit" ? encoding : state.others.get(codec);
  const subject = file ?? other;
  const pixels = file ? file.width * file.height : state.image.width * state.image.height;
  const times = codec === "tacit" ? encoding?.times : other && { encode: other.encode_time, decode: other.decode_time };
  const latency = (file ?? encoding)?.latency;
  showFigure("f-bytes", subject && bytes(subject.bytes));
  $("f-bytes").title = subject ? `${subject.bytes.toLocaleString("en")} bytes` : "";
  showFigure("f-bpp", subject && ((8 * subject.bytes) / pixels).toFixed(3));
  showFigure("f-psnr", subject && subject.psnr !== undefined ? decibels(subject.psnr) : undefined);
  showFigure("f-encode", times?.encode !== undefined ? milliseconds(times.encode) : undefined);
  showFigure("f-decode", times?.decode !== undefined ? milliseconds(times.decode) : undefined);
  showFigure("f-latency", latency !== undefined ? milliseconds(latency) : undefined);
  showLatencySteps(latency);
  for (const id of ["f-psnr", "f-encode", "f-decode"]) $(id).parentElement.hidden = file !== null;
  $("download").textContent = subject ? `Download ${file ? "as PNG" : `.tacit, ${bytes(encoding.bytes)}`}` : "Download";
  $("remark").textContent = remark(encoding, other);
}

function showFigure(id, text) {
  $(id).textContent = text ?? "–";
  $(id).classList.toggle("none", text === undefined);
}

/** What the latency consists of, for those who look closely and for measurements. */
function showLatencySteps(latency) {
  const steps = latency === undefined || state.file ? {} : state.steps;
  const cell = $("f-latency");
  cell.dataset.ms = latency?.toFixed(1) ?? "";
  cell.dataset.first = state.image?.firstLatency?.toFixed(1) ?? "";
  cell.dataset.steps = JSON.stringify(steps);
  cell.title = Object.entries(steps).map(([name, time]) => `${name} ${milliseconds(time)}`).join(", ");
  cell.previousElementSibling.textContent = state.file ? "File to image" : "Slider to image";
}

function remark(encoding, other) {
  if (state.refusal) return state.refusal;
  if (state.file || state.codec === "tacit" || !other) return "";
  if (other.over) {
    return `${state.codec} cannot make a file this small: its smallest has ${bytes(other.bytes)}, tacit's has ${bytes(encoding.bytes)}.`;
  }
  const setting = `${state.codec} at quality ${plain(other.quality)} (${other.setting})`;
  if (other.psnr === null || encoding.psnr === null) return setting;
  const difference = encoding.psnr - other.psnr;
  return `${setting}. tacit's PSNR is ${Math.abs(difference).toFixed(2)} dB ${difference < 0 ? "lower" : "higher"}.`;
}

/** Read the figures to those who use a screen reader, once they do not change any more. */
function announceEncoding(encoding) {
  const psnr = encoding.psnr === null ? "lossless" : `${encoding.psnr.toFixed(1)} decibels`;
  const name = encoding.quality === null ? encoding.request.model : `Quality ${plain(encoding.quality)}`;
  announce(`${name}: ${bytes(encoding.bytes)}, ${encoding.bpp.toFixed(2)} bits per pixel, ${psnr}.${foundSentence()}`);
}

/** Say why the last request could not be met; an empty text says that it was. */
function showRefusal(text) {
  state.refusal = text;
  $("rate").classList.toggle("wrong", text !== "");
  showFigures();
}

// -- tabs -------------------------------------------------------------------------------------------------------------

function selectCodec(codec, focus = false) {
  state.codec = codec;
  for (const tab of $("tabs").children) {
    const selected = tab.dataset.codec === codec;
    tab.setAttribute("aria-selected", selected);
    tab.tabIndex = selected ? 0 : -1;
    if (selected && focus) tab.focus();
  }
  $("panel").setAttribute("aria-labelledby", `tab-${codec}`);
  $("beside").hidden = codec === "tacit";
  setStatus("");
  if (!state.image) return;
  present();
  showFigures();
  if (state.encoding) slowWork.later(0);
}

$("tabs").addEventListener("click", (event) => {
  const tab = event.target.closest("[role=tab]");
  if (tab) selectCodec(tab.dataset.codec);
});
$("tabs").addEventListener("keydown", (event) => {
  const tabs = [...$("tabs").children];
  const current = tabs.findIndex((tab) => tab.dataset.codec === state.codec);
  const places = { ArrowRight: current + 1, ArrowLeft: current - 1, Home: 0, End: tabs.length - 1 };
  if (!(event.key in places)) return;
  event.preventDefault();
  selectCodec(tabs.at(places[event.key] % tabs.length).dataset.codec, true);
});
$("against").addEventListener("change", () => present());

// -- controls ---------------------------------------------------------------------------------------------------------

connectRate(encode, () => state.encoding?.bytes);
connectGuidance(encode, showControls);
connectMatters(encode);

for (const choice of document.querySelectorAll("[name=bits]")) {
  choice.addEventListener("change", () => {
    selectBits(choice.value);
    if (choice.value === "off") return;
    if (state.codec !== "tacit") selectCodec("tacit");
    else if (state.encoding) slowWork.later(0);
  });
}

$("zoom-in").addEventListener("click", () => viewer.zoomBy(1.5));
$("zoom-out").addEventListener("click", () => viewer.zoomBy(1 / 1.5));
$("zoom-level").addEventListener("click", () => viewer.toggle());

$("download").addEventListener("click", async () => {
  const stem = (name) => name.replace(/\.[^.]*$/, "");
  const [data, name] = state.file
    ? [await state.file.png(), `${stem(state.file.name)}.png`]
    : [state.encoding.file, `${stem(state.image.title)}.tacit`];
  const link = document.createElement("a");
  link.href = URL.createObjectURL(data);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
});

// -- ways to open a file ----------------------------------------------------------------------------------------------

async function openFile(file) {
  if (!file) return;
  try {
    await ((await isTacit(file)) ? openTacit(file) : openImage({ file }));
  } catch (error) {
    showError(error); // for example a folder, which cannot be read
  }
}

$("pick").addEventListener("change", () => {
  const [file] = $("pick").files;
  $("pick").value = "";
  openFile(file);
});
$("another").addEventListener("click", showStart);
document.querySelector("h1 a").addEventListener("click", (event) => {
  event.preventDefault();
  showStart();
});
addEventListener("paste", (event) => {
  const [file] = event.clipboardData.files;
  if (!file) return;
  event.preventDefault();
  openFile(file);
});

let dragDepth = 0;
const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
addEventListener("dragenter", (event) => {
  if (!carriesFiles(event)) return;
  dragDepth++;
  $("veil").hidden = false;
});
addEventListener("dragleave", (event) => {
  if (carriesFiles(event) && --dragDepth === 0) $("veil").hidden = true;
});
addEventListener("dragover", (event) => carriesFiles(event) && event.preventDefault());
addEventListener("drop", (event) => {
  if (!carriesFiles(event)) return;
  event.preventDefault();
  dragDepth = 0;
  $("veil").hidden = true;
  openFile(event.dataTransfer.files[0]);
});

// -- start ------------------------------------------------------------------------------------------------------------

async function start() {
  const offer = await get("preview");
  $("generate").hidden = offer.captioner === null;
  $("generate").title = `By ${offer.captioner}`;
  state.models = offer.models;
  state.viewer = offer.viewer ?? false;
  setEfforts(offer.effort_limit ?? 0);
  $("model").replaceChildren(...offer.models.map(({ name }) => new Option(name)));
  const minutes = Math.max(1, Math.round(offer.kept / 60));
  const time = minutes === 1 ? "a minute" : `${minutes} minutes`;
  $("kept").textContent = `The service keeps photos in memory for ${time}, without their metadata.`;
  $("samples").hidden = !offer.samples.length;
  $("samples").querySelector("ul").replaceChildren(...offer.samples.map(sampleItem));
}

function sampleItem({ name, caption }) {
  const item = document.createElement("li");
  const choice = document.createElement("button");
  choice.type = "button";
  choice.setAttribute("aria-label", caption);
  choice.dataset.sample = name;
  const canvas = document.createElement("canvas");
  choice.append(canvas);
  choice.addEventListener("click", () => openImage({ sample: name }));
  item.append(choice);
  getBlob(`preview/samples/${name}`).then(createImageBitmap).then((bitmap) => {
    canvas.width = bitmap.width;
    canvas.height = bitmap.height;
    canvas.getContext("2d").drawImage(bitmap, 0, 0);
  }, showError);
  return item;
}

const started = start();
started.catch(showError);
