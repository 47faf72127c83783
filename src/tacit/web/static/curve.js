// The curves of the codecs on this photo: PSNR over bits per pixel, encoded point by point while nothing else happens.

import { drawChart } from "./chart.js";
import { $ } from "./dom.js";
import { guidance } from "./guidance.js";
import { postForImage } from "./images.js";
import { showError } from "./messages.js";
import { model, state } from "./state.js";
import { Idle } from "./tasks.js";

const QUALITIES = {
  tacit: [5, 20, 35, 50, 65, 80, 95],
  JPEG: [8, 20, 35, 55, 75, 88],
  WebP: [2, 20, 45, 70, 85, 94],
  AVIF: [15, 30, 45, 60, 72, 82],
};
const DELAY = 350; // ms

const work = new Idle(async (signal) => {
  const { image, points } = state;
  if (!image || !points) return;
  const guide = guidance();
  const key = JSON.stringify(guide);
  if (points.guidance !== key) Object.assign(points, { guidance: key, tacit: [] });
  const missing = missingPoints(points);
  try {
    for (const [done, { codec, quality }] of missing.entries()) {
      showRemaining(missing.length - done);
      const request = codec === "tacit" ? { codec, quality, ...guide } : { codec, quality };
      const point = await postForImage(image, "point", request, { signal });
      signal.throwIfAborted();
      points[codec].push({ ...point, bpp: (8 * point.bytes) / (image.width * image.height) });
      drawCurve();
    }
    showRemaining(0);
  } catch (error) {
    if (error.name !== "AbortError") showError(error);
  }
}, DELAY);

/** The points still to be encoded, in turn by codec, so that every curve is there early and becomes finer. */
function missingPoints(points) {
  const missing = Object.entries(QUALITIES).flatMap(([codec, qualities]) => {
    const wanted = codec === "tacit" && !model().variable_rate ? [null] : endsFirst(qualities);
    return wanted
      .map((quality, rank) => ({ codec, quality, rank }))
      .filter(({ quality }) => !points[codec].some((p) => p.quality === quality));
  });
  return missing.sort((a, b) => a.rank - b.rank);
}

function endsFirst(qualities) {
  const last = qualities.length - 1;
  const middle = Math.floor(last / 2);
  const places = [...new Set([0, last, middle, ...qualities.keys()])];
  return places.map((place) => qualities[place]);
}

function showRemaining(count) {
  state.drawingCurve &&= count > 0;
  $("curve-note").textContent = count ? `${count} encodings left` : "";
  $("curve-run").textContent = state.drawingCurve ? "Stop" : "Continue";
  $("curve-run").hidden = count === 0;
}

/** Draw the points that are known, and the encoding that is shown. */
export function drawCurve() {
  if (!state.points) {
    $("curve").replaceChildren();
    $("curve-run").hidden = false;
    $("curve-run").textContent = "Draw the curves";
    $("curve-note").textContent = "Encodes the photo about 25 times, while nothing else is being done.";
    return;
  }
  const { guidance: _, ...series } = state.points;
  drawChart($("curve"), series, state.encoding?.psnr ? state.encoding : null);
}

/** Interrupt the encoding of points. */
export function pauseCurve() {
  work.stop();
}

/** Go on with the curves if they are being drawn, or if what is drawn of tacit is of another caption or model. */
export function resumeCurve() {
  if (!state.drawingCurve && (!state.points || state.points.guidance === JSON.stringify(guidance()))) return;
  state.drawingCurve = true;
  work.later(0);
}

$("curve-run").addEventListener("click", () => {
  state.drawingCurve = !state.drawingCurve;
  if (state.drawingCurve) {
    state.points ??= { tacit: [], JPEG: [], WebP: [], AVIF: [], guidance: null };
    work.later(0);
  } else {
    work.stop();
    $("curve-run").textContent = "Continue";
  }
});
