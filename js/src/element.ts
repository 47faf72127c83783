/**
 * `<tacit-image src alt>`: shows a `.tacit` image as `<img>` shows others, coarse at first while its bytes come.
 *
 * Its size is known as soon as the first bytes are there. Where there is no `alt`, the caption that the file holds is
 * the alternative text. It fires `load`, `error`, and `progress` when a coarse image is shown; its `weights` attribute
 * is the folder of the weights, and `backend` where pixels are computed, as in `ClientOptions`.
 */

import type { Arrival } from './arrival.js';
import { Client, bitmapOf } from './client.js';
import { CoarseImages } from './coarse_images.js';
import type { DecodedImage } from './decoder.js';

const clients = new Map<string, Client>();

/** Return the client of an element's attributes; elements with the same ones share it. */
function clientFor(element: Element): Client {
  const weights = element.getAttribute('weights') || undefined;
  const asked = element.getAttribute('backend');
  const backend = asked === 'wasm' || asked === 'webgpu' ? asked : 'auto';
  const key = `${backend} ${weights ?? ''}`;
  let client = clients.get(key);
  if (!client) clients.set(key, (client = new Client({ weights, backend })));
  return client;
}

const STYLE = `
  :host { display: inline-block; max-width: 100%; }
  :host([hidden]) { display: none; }
  canvas { display: block; width: 100%; height: 100%; }
  p {
    box-sizing: border-box; width: 100%; height: 100%; min-width: 1em; margin: 0; padding: 0.5em; overflow: auto;
    border: 1px solid; font: small sans-serif; overflow-wrap: anywhere;
  }
  p::before { content: '⚠ '; }
  [hidden] { display: none; }
`;

/** The element. */
export class TacitImage extends HTMLElement {
  static readonly observedAttributes = ['src', 'alt', 'width', 'height'];

  private readonly canvas = document.createElement('canvas');
  private readonly failure = document.createElement('p');
  private readonly layout = new CSSStyleSheet(); // a page's own style of the element counts more
  private request: AbortController | undefined;
  private caption: string | null = null;
  private message = ''; // what went wrong

  /** Pixels; 0 until they are known. */
  naturalWidth = 0;
  /** Pixels; 0 until they are known. */
  naturalHeight = 0;
  /** Whether the image has been shown, or has failed. */
  complete = false;

  constructor() {
    super();
    const root = this.attachShadow({ mode: 'open' });
    const style = new CSSStyleSheet();
    style.replaceSync(STYLE);
    root.adoptedStyleSheets = [style, this.layout];
    this.canvas.width = this.canvas.height = 0;
    this.failure.setAttribute('part', 'error');
    this.failure.hidden = true;
    root.append(this.canvas, this.failure);
  }

  get src(): string {
    return this.getAttribute('src') ?? '';
  }

  set src(value: string) {
    this.setAttribute('src', value);
  }

  get alt(): string {
    return this.getAttribute('alt') ?? this.caption ?? '';
  }

  set alt(value: string) {
    this.setAttribute('alt', value);
  }

  connectedCallback(): void {
    this.describe();
    if (!this.request && !this.complete) void this.show();
  }

  disconnectedCallback(): void {
    this.request?.abort();
    this.request = undefined;
  }

  attributeChangedCallback(name: string): void {
    if (name === 'src') {
      this.complete = false;
      if (this.isConnected) void this.show();
    } else if (name === 'alt') this.describe();
    else this.arrange();
  }

  /** Tell what the image shows to those who cannot see it. */
  private describe(): void {
    const decorative = this.getAttribute('alt') === '';
    const text = [this.alt, this.message].filter(Boolean).join(': ');
    this.failure.textContent = this.message ? text : '';
    this.setAttribute('role', decorative ? 'presentation' : 'img');
    if (decorative || !text) this.removeAttribute('aria-label');
    else this.setAttribute('aria-label', text);
  }

  private size(width: number, height: number): void {
    if (this.naturalWidth === width && this.naturalHeight === height) return;
    this.naturalWidth = this.canvas.width = width;
    this.naturalHeight = this.canvas.height = height;
    this.arrange();
  }

  /** Give the element its room, by its attributes as `<img>` has them, and by the image. */
  private arrange(): void {
    const [width, height] = ['width', 'height'].map((name) => parseInt(this.getAttribute(name) ?? '', 10));
    const [across, down] = [this.naturalWidth || width, this.naturalHeight || height];
    const rules: string[] = [];
    if (width >= 0) rules.push(`width: ${width}px`);
    if (height >= 0) rules.push(`height: ${height}px`);
    if (!rules.length && across) rules.push(`width: ${across}px`);
    if (across && down) rules.push(`aspect-ratio: ${across} / ${down}`);
    this.layout.replaceSync(`:host { ${rules.join('; ')} }`);
  }

  private async show(): Promise<void> {
    this.request?.abort();
    const request = (this.request = new AbortController());
    this.complete = false;
    this.fail('');
    if (!this.src) {
      this.size(0, 0);
      return;
    }
    const client = clientFor(this);
    const arrival = client.arrival();
    try {
      await this.fetched(arrival, client, request.signal);
      const image = await arrival.close(request.signal);
      await this.paint(image, request.signal);
      this.complete = true;
      this.dispatchEvent(new Event('load'));
    } catch (error) {
      arrival.abandon();
      if (request.signal.aborted) return;
      this.complete = true;
      this.fail((error as Error).message);
      this.dispatchEvent(new ErrorEvent('error', { error, message: (error as Error).message }));
    }
  }

  /** Take the bytes of the file; while they come, the size is set, and coarse images are shown. */
  private async fetched(arrival: Arrival, client: Client, signal: AbortSignal): Promise<void> {
    const response = await fetch(new URL(this.src, document.baseURI), { signal });
    if (!response.ok) throw new Error(`${this.src}: ${response.status} ${response.statusText}`.trimEnd());
    const reader = response.body!.getReader();
    const coarse = new CoarseImages(arrival, client, async (image, stale) => {
      await this.paint(image, stale);
      const { received: loaded, total } = arrival;
      this.dispatchEvent(new ProgressEvent('progress', { lengthComputable: true, loaded, total: total! }));
    });
    try {
      for (let read = await reader.read(); !read.done; read = await reader.read()) {
        const known = arrival.header !== null;
        arrival.feed(read.value);
        if (arrival.header && !known) {
          this.size(arrival.header.width, arrival.header.height);
          client.prepare(arrival.header.weights);
        }
        coarse.consider();
      }
    } finally {
      coarse.end();
      void reader.cancel().catch(() => undefined);
    }
  }

  /** Draw an image, unless another has been asked for meanwhile. */
  private async paint(image: DecodedImage, stale: AbortSignal): Promise<void> {
    const bitmap = await bitmapOf(image);
    stale.throwIfAborted();
    this.size(image.width, image.height);
    const context = this.canvas.getContext('2d')!;
    context.clearRect(0, 0, image.width, image.height);
    context.drawImage(bitmap, 0, 0);
    bitmap.close();
    this.caption = image.caption;
    this.describe();
  }

  /** Show what went wrong, and the alternative text, in the place of the image; nothing if the message is empty. */
  private fail(message: string): void {
    this.message = message;
    this.failure.hidden = !message;
    this.canvas.hidden = Boolean(message);
    this.describe();
  }
}

if (!customElements.get('tacit-image')) customElements.define('tacit-image', TacitImage);
