// Numbers as people read them.

export function bytes(count) {
  if (count < 1000) return `${count} B`;
  const [size, unit] = count < 1e6 ? [count / 1e3, "kB"] : [count / 1e6, "MB"];
  return `${size.toFixed(size < 100 ? 1 : 0)} ${unit}`;
}

export function milliseconds(time) {
  return time < 9950 ? `${Math.round(time)} ms` : `${(time / 1000).toFixed(1)} s`;
}

export function decibels(value) {
  return value === null ? "lossless" : `${value.toFixed(2)} dB`;
}

export function plain(value) {
  return String(Math.round(value * 100) / 100);
}
