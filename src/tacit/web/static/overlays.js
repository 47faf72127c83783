// Grids of values as bitmaps of one pixel for each value, to be drawn over an image.

const WARM = [[28, 12, 60], [92, 22, 108], [168, 46, 92], [228, 92, 48], [250, 168, 40], [252, 246, 176]];
const LESS = [70, 150, 235];
const MORE = [250, 120, 40];

function warmColour(t) {
  const place = Math.min(Math.max(t, 0), 1) * (WARM.length - 1);
  const below = Math.min(Math.floor(place), WARM.length - 2);
  return WARM[below].map((v, i) => v + (place - below) * (WARM[below + 1][i] - v));
}

/** The value that a share of all values are below. */
function quantile(values, share) {
  const sorted = Float32Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}

async function paint({ width, height }, colour) {
  const pixels = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) pixels.data.set(colour(i), 4 * i);
  return createImageBitmap(pixels);
}

function paintSigned(grid, top) {
  return paint(grid, (i) => {
    const t = Math.min(Math.max(grid.values[i] / top, -1), 1);
    return [...(t < 0 ? LESS : MORE), 235 * Math.sqrt(Math.abs(t))];
  });
}

/** The bits of one encoding. `other` is considered for the scale too, so that the two maps can be compared. */
export async function bitOverlay(map, other) {
  const top = Math.max(quantile(map.values, 0.995), other ? quantile(other.values, 0.995) : 0, 1);
  const bitmap = await paint(map, (i) => {
    const t = Math.sqrt(map.values[i] / top);
    return [...warmColour(t), 60 + 175 * Math.min(t, 1)];
  });
  return { bitmap, side: map.side, low: "0", high: `${Math.round(top)} bits`, kind: "heat" };
}

/** What the caption changes: blue where it takes bits away, orange where it adds some. */
export async function changeOverlay(before, after) {
  const differences = { ...after, values: after.values.map((v, i) => v - before.values[i]) };
  const top = Math.max(quantile(differences.values.map(Math.abs), 0.995), 0.5);
  const bitmap = await paintSigned(differences, top);
  const bound = top < 10 ? top.toFixed(1) : Math.round(top);
  return { bitmap, side: after.side, low: `−${bound} bits`, high: `+${bound} bits`, kind: "change" };
}

/** What a caption adds to the quality of each square: orange where it names something, blue elsewhere. */
export async function stepOverlay(steps) {
  const top = Math.max(...steps.values.map(Math.abs), 1);
  return {
    bitmap: await paintSigned(steps, top), side: steps.side, low: `quality −${top}`, high: `+${top}`, kind: "change",
  };
}

/** The bytes that a map of bits adds up to. */
export function totalBytes(map) {
  return map.values.reduce((sum, v) => sum + v, 0) / 8;
}
