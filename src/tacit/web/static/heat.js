// Where the bits went, as a picture of one pixel for each 16x16 of the photograph.

const WARM = [[28, 12, 60], [92, 22, 108], [168, 46, 92], [228, 92, 48], [250, 168, 40], [252, 246, 176]];
const LESS = [70, 150, 235];
const MORE = [250, 120, 40];

function warm(t) {
  const place = Math.min(Math.max(t, 0), 1) * (WARM.length - 1);
  const below = Math.min(Math.floor(place), WARM.length - 2);
  return WARM[below].map((v, i) => v + (place - below) * (WARM[below + 1][i] - v));
}

/** The value that `share` of all values are below. */
function quantile(values, share) {
  const sorted = Float32Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}

async function paint({ width, height }, colour) {
  const pixels = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) pixels.data.set(colour(i), 4 * i);
  return createImageBitmap(pixels);
}

/** Bits of one encoding; `other` decides the scale too, so that the two can be compared. */
export async function heat(map, other) {
  const top = Math.max(quantile(map.bits, 0.995), other ? quantile(other.bits, 0.995) : 0, 1);
  const picture = await paint(map, (i) => {
    const t = Math.sqrt(map.bits[i] / top);
    return [...warm(t), 60 + 175 * Math.min(t, 1)];
  });
  return { picture, low: "0", high: `${Math.round(top)} bits`, kind: "heat" };
}

/** What the caption changed: blue where it took bits away, orange where it brought some. */
export async function change(before, after) {
  const differences = after.bits.map((v, i) => v - before.bits[i]);
  const top = Math.max(quantile(differences.map(Math.abs), 0.995), 0.5);
  const picture = await paint(after, (i) => {
    const t = Math.min(Math.max(differences[i] / top, -1), 1);
    return [...(t < 0 ? LESS : MORE), 235 * Math.sqrt(Math.abs(t))];
  });
  const shown = top < 10 ? top.toFixed(1) : Math.round(top);
  return { picture, low: `−${shown} bits`, high: `+${shown} bits`, kind: "change" };
}

export function total(map) {
  return map.bits.reduce((sum, v) => sum + v, 0) / 8;
}
