// The chart of PSNR over bits per pixel, as SVG.

const SVG = "http://www.w3.org/2000/svg";
const SIZE = { width: 340, height: 236 };
const PAD = { left: 34, right: 12, top: 14, bottom: 34 };
const SHAPES = {
  tacit: (x, y) => ["circle", { cx: x, cy: y, r: 3 }],
  JPEG: (x, y) => ["rect", { x: x - 2.5, y: y - 2.5, width: 5, height: 5 }],
  WebP: (x, y) => ["path", { d: `M${x} ${y - 3.4}l3.2 5.8h-6.4z` }],
  AVIF: (x, y) => ["path", { d: `M${x} ${y - 3.6}l3.6 3.6-3.6 3.6-3.6-3.6z` }],
};

function element(name, attributes = {}, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

/** About `count` round values from low to high. */
function ticks(low, high, count) {
  const raw = (high - low) / count;
  const size = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((f) => f * size).find((s) => s >= raw);
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, i) => +((first + i) * step).toFixed(6));
}

/** Draw a chart into an element. points: { codec: [{ quality, bpp, psnr }] }; here: the { bpp, psnr } that the page shows
 * now, or null. */
export function drawChart(place, points, here) {
  const series = Object.entries(points).map(([codec, own]) => [
    codec,
    own.filter((p) => p.psnr !== null).sort((a, b) => a.bpp - b.bpp),
  ]).filter(([, own]) => own.length);
  if (!series.length) {
    place.replaceChildren();
    return;
  }
  const own = points.tacit?.length ? points.tacit : series[0][1];
  const widest = Math.max(...own.map((p) => p.bpp)) * 1.25;
  const near = series.flatMap(([, all]) => all.filter((p) => p.bpp <= widest));
  const low = Math.floor(Math.min(...near.map((p) => p.psnr)) - 0.5);
  const high = Math.ceil(Math.max(...near.map((p) => p.psnr)) + 0.5);
  const x = (bpp) => PAD.left + (bpp / widest) * (SIZE.width - PAD.left - PAD.right);
  const y = (psnr) => SIZE.height - PAD.bottom - ((psnr - low) / (high - low)) * (SIZE.height - PAD.top - PAD.bottom);

  const svg = element("svg", {
    viewBox: `0 0 ${SIZE.width} ${SIZE.height}`,
    role: "img",
    "aria-label": "PSNR over bits per pixel for this photo. The table below has the figures.",
  });
  const clip = element("clipPath", { id: "chart-clip" });
  clip.append(element("rect", {
    x: PAD.left, y: 0, width: SIZE.width - PAD.left - PAD.right, height: SIZE.height - PAD.bottom + 4,
  }));
  svg.append(clip);
  for (const value of ticks(low, high, 5)) {
    svg.append(element("line", { class: "grid", x1: PAD.left, x2: SIZE.width - PAD.right, y1: y(value), y2: y(value) }));
    svg.append(element("text", { class: "tick end", x: PAD.left - 6, y: y(value) + 3.5 }, value));
  }
  for (const value of ticks(0, widest, 5)) {
    svg.append(element("text", { class: "tick mid", x: x(value), y: SIZE.height - PAD.bottom + 15 }, value));
  }
  svg.append(element("text", { class: "axis end", x: PAD.left - 6, y: 11 }, "dB"));
  svg.append(element("text", { class: "axis end", x: SIZE.width - PAD.right, y: SIZE.height - 4 }, "bits per pixel"));

  const plot = element("g", { "clip-path": "url(#chart-clip)" });
  for (const [codec, all] of series.reverse()) {
    const group = element("g", { class: `series ${codec}` });
    group.append(element("polyline", { points: all.map((p) => `${x(p.bpp)},${y(p.psnr)}`).join(" ") }));
    for (const point of all) {
      const [name, attributes] = SHAPES[codec](x(point.bpp), y(point.psnr));
      const mark = element(name, attributes);
      mark.append(element("title", {}, `${codec}, quality ${point.quality ?? "fixed"}: ${point.bpp.toFixed(3)} bpp, ${point.psnr.toFixed(2)} dB`));
      group.append(mark);
    }
    plot.append(group);
  }
  if (here && here.bpp <= widest) plot.append(element("circle", { class: "here", cx: x(here.bpp), cy: y(here.psnr), r: 6.5 }));
  svg.append(plot);
  place.replaceChildren(svg, legend(series.map(([codec]) => codec).reverse()), table(points));
}

function legend(codecs) {
  const list = document.createElement("ul");
  list.className = "keys";
  for (const codec of codecs) {
    const item = document.createElement("li");
    const sign = element("svg", { viewBox: "0 0 24 10", class: `series ${codec}`, "aria-hidden": "true" });
    sign.append(element("polyline", { points: "0,5 24,5" }), element(...SHAPES[codec](12, 5)));
    item.append(sign, codec);
    list.append(item);
  }
  return list;
}

function table(points) {
  const details = document.createElement("details");
  const summary = document.createElement("summary");
  summary.textContent = "Show the figures";
  const grid = document.createElement("table");
  grid.createTHead().insertRow().append(...["Codec", "Quality", "bpp", "PSNR"].map((title) => {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.textContent = title;
    return cell;
  }));
  const body = grid.createTBody();
  for (const [codec, own] of Object.entries(points)) {
    for (const point of [...own].sort((a, b) => a.quality - b.quality)) {
      const row = body.insertRow();
      for (const text of [codec, point.quality ?? "fixed", point.bpp.toFixed(3), point.psnr === null ? "lossless" : point.psnr.toFixed(2)]) {
        row.insertCell().textContent = text;
      }
    }
  }
  details.append(summary, grid);
  return details;
}
