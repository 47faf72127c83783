/** The viewer: a static page that decodes the files that are dropped on it. */

import { Client, bitmapOf, pngOf } from './client.js';
import { type TacitFile, parse } from './container.js';
import type { DecodedImage } from './decoder.js';

/** One file that was opened. */
interface Opened {
  name: string;
  data: Uint8Array;
  button: HTMLButtonElement;
  image?: DecodedImage;
  milliseconds?: number;
}

const MOST_KEPT = 50e6; // pixels of decoded images, beside the one that is shown

const byId = <T extends HTMLElement>(id: string): T => document.getElementById(id) as T;
const [stage, list, canvas] = [byId('stage'), byId('list'), byId<HTMLCanvasElement>('canvas')];
const [status, hint, details] = [byId('status'), byId('hint'), byId('details')];
const BACKENDS = { wasm: 'on the processor', webgpu: 'on the GPU' };
const client = new Client();
let current: Opened | undefined;
let request: AbortController | undefined; // of the file that is being decoded
const decoded: Opened[] = []; // those whose images are kept, the last one that was shown at the end
let zoom: number | null = null; // null: as large as the window allows

function say(message: string | null, isError = false): void {
  status.hidden = message === null;
  status.textContent = message ?? '';
  status.classList.toggle('error', isError);
}

function applyZoom(): void {
  if (canvas.hidden) return;
  const room = Math.min((stage.clientWidth - 32) / canvas.width, (stage.clientHeight - 32) / canvas.height);
  const device = 1 / devicePixelRatio;
  const factor = zoom === null ? Math.min(room, device) : zoom * device;
  const middle = (start: number, shown: number, all: number) => (start + shown / 2) / all;
  const x = middle(stage.scrollLeft, stage.clientWidth, stage.scrollWidth);
  const y = middle(stage.scrollTop, stage.clientHeight, stage.scrollHeight);
  canvas.style.width = `${Math.max(1, canvas.width * factor)}px`;
  canvas.classList.toggle('magnified', factor > device);
  // What was in the middle stays there.
  stage.scrollLeft = x * stage.scrollWidth - stage.clientWidth / 2;
  stage.scrollTop = y * stage.scrollHeight - stage.clientHeight / 2;
}

function zoomBy(factor: number): void {
  const shown = (canvas.clientWidth / canvas.width) * devicePixelRatio;
  zoom = Math.min(16, Math.max(1 / 32, (zoom ?? shown) * factor));
  applyZoom();
}

function facts(file: TacitFile, { data, image, milliseconds }: Opened): [string, string][] {
  const { header } = file;
  const found: [string, string][] = [
    ['Size', `${header.width} × ${header.height}`],
    ['Bytes', data.length.toLocaleString('en')],
    ['Bits per pixel', ((8 * data.length) / (header.width * header.height)).toFixed(3)],
    ['Quality', header.hundredths === null ? 'fixed rate' : String(header.hundredths / 100)],
    ['Channels', (header.color ? 'RGB' : 'grey') + (header.alpha ? ' and alpha' : '')],
    ['Weights', header.weights],
    ['Regions', String(file.regions.length)],
    ['Format version', String(file.version)],
    ['Progressive', header.scans === null ? 'no' : header.scans === 1 ? 'yes' : `yes, in ${header.scans} scans`],
  ];
  if (file.qualityMap) found.push(['Quality map', 'yes']);
  const metadata = [file.icc && 'ICC', file.exif && 'EXIF', file.xmp && 'XMP'].filter(Boolean);
  if (metadata.length) found.push(['Metadata', metadata.join(', ')]);
  if (milliseconds !== undefined)
    found.push(['Decoded in', `${(milliseconds / 1000).toFixed(2)} s, ${BACKENDS[image!.backend]}`]);
  return found;
}

function describe(file: TacitFile, opened: Opened): void {
  byId('caption').textContent = file.caption ?? '';
  byId('facts').replaceChildren(
    ...facts(file, opened).map(([name, value]) => {
      const row = document.createElement('div');
      const [term, description] = [document.createElement('dt'), document.createElement('dd')];
      term.textContent = name;
      description.textContent = value;
      row.append(term, description);
      return row;
    }),
  );
  details.hidden = false;
}

/** Keep the image of a file, and as many others as there is room for. */
function keep(opened: Opened): void {
  if (decoded.includes(opened)) decoded.splice(decoded.indexOf(opened), 1);
  decoded.push(opened);
  let pixels = 0;
  for (const other of decoded.slice(0, -1).reverse()) {
    pixels += other.image!.width * other.image!.height;
    if (pixels <= MOST_KEPT) continue;
    decoded.splice(decoded.indexOf(other), 1);
    other.image = undefined;
  }
}

/** Decode a file, and say how far that is. */
async function decode(opened: Opened): Promise<DecodedImage> {
  const { signal } = (request = new AbortController());
  say('Loading the decoder …');
  const start = performance.now();
  const image = await client.decode(opened.data, {
    signal,
    progress: (share) => signal.aborted || say(`Decoding … ${Math.floor(100 * share)} %`),
  });
  opened.milliseconds = performance.now() - start;
  return image;
}

async function show(opened: Opened): Promise<void> {
  current = opened;
  request?.abort(); // the file before this one
  say(null);
  for (const button of list.querySelectorAll('button')) {
    button.setAttribute('aria-current', String(button === opened.button));
  }
  canvas.hidden = hint.hidden = details.hidden = byId('zoom').hidden = byId('save').hidden = true;
  try {
    const file = parse(opened.data);
    describe(file, opened);
    opened.image ??= await decode(opened);
    keep(opened);
    const bitmap = await bitmapOf(opened.image);
    if (current !== opened) return; // another was chosen meanwhile
    canvas.width = bitmap.width;
    canvas.height = bitmap.height;
    canvas.getContext('2d')!.drawImage(bitmap, 0, 0);
    canvas.setAttribute('role', 'img');
    canvas.setAttribute('aria-label', opened.image.caption || opened.name);
    canvas.hidden = byId('zoom').hidden = byId('save').hidden = false;
    say(null);
    describe(file, opened);
    zoom = null;
    applyZoom();
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') return; // another was chosen
    opened.button.classList.add('failed');
    if (current === opened) say(`${opened.name}: ${(error as Error).message}`, true);
  }
}

async function open(files: Iterable<File>): Promise<void> {
  let first: Opened | undefined;
  for (const file of files) {
    const button = document.createElement('button');
    button.textContent = file.name;
    const opened: Opened = { name: file.name, data: new Uint8Array(await file.arrayBuffer()), button };
    button.onclick = () => void show(opened);
    list.append(button);
    first ??= opened;
  }
  if (first) await show(first);
}

async function save(): Promise<void> {
  if (!current?.image) return;
  const { name, image } = current;
  const link = document.createElement('a');
  link.href = URL.createObjectURL(await pngOf(image));
  link.download = `${name.replace(/\.tacit$/i, '')}.png`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

byId<HTMLInputElement>('files').onchange = ({ target }) => {
  const input = target as HTMLInputElement;
  void open([...(input.files ?? [])]).then(() => (input.value = ''));
};
byId('smaller').onclick = () => zoomBy(1 / 1.5);
byId('larger').onclick = () => zoomBy(1.5);
byId('whole').onclick = () => {
  zoom = null;
  applyZoom();
};
byId('actual').onclick = () => {
  zoom = 1;
  applyZoom();
};
byId('save').onclick = () => void save();
addEventListener('resize', applyZoom);
addEventListener('dragover', (event) => {
  event.preventDefault();
  stage.classList.add('over');
});
addEventListener('dragleave', ({ relatedTarget }) => relatedTarget ?? stage.classList.remove('over'));
addEventListener('drop', (event) => {
  event.preventDefault();
  stage.classList.remove('over');
  void open([...(event.dataTransfer?.files ?? [])]);
});

/** Show the file that the address names: `index.html?src=photo.tacit`. */
async function openAddress(): Promise<void> {
  const address = new URLSearchParams(location.search).get('src');
  if (!address) return;
  hint.hidden = true;
  say('Loading …');
  try {
    const response = await fetch(new URL(address, location.href));
    if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
    await open([new File([await response.arrayBuffer()], address.split('/').pop() || address)]);
  } catch (error) {
    say(`${address}: ${(error as Error).message}`, true);
  }
}

void openAddress();
