/**
 * `<tacit-image src alt>`: shows a `.tacit` image as `<img>` shows others.
 *
 * Its size is known as soon as the first bytes are there. Where there is no `alt`, the caption that the file holds is
 * the alternative text. It fires `load` and `error`, and its `weights` attribute is the folder of the weights.
 */

import { Client } from './client.js';
import { parseHeader } from './container.js';
import type { DecodedImage } from './decoder.js';

const clients = new Map<string, Client>();

function clientFor(weights: string): Client {
  let client = clients.get(weights);
  if (!client) clients.set(weights, (client = new Client(weights ? { weights } : {})));
  return client;
}

const STYLE = `
  :host { display: inline-block; max-width: 100%; }
  canvas { display: block; width: 100%; height: auto; }
`;

/** The element. */
export class TacitImage extends HTMLElement {
  static readonly observedAttributes = ['src', 'alt'];

  private readonly canvas = document.createElement('canvas');
  private request: AbortController | undefined;
  private caption: string | null = null;

  /** Pixels; 0 until they are known. */
  naturalWidth = 0;
  /** Pixels; 0 until they are known. */
  naturalHeight = 0;
  /** Whether the image has been shown, or has failed. */
  complete = false;

  constructor() {
    super();
    const root = this.attachShadow({ mode: 'open' });
    const style = document.createElement('style');
    style.textContent = STYLE;
    this.canvas.width = this.canvas.height = 0;
    root.append(style, this.canvas);
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
    if (!this.request) void this.show();
  }

  disconnectedCallback(): void {
    this.request?.abort();
    this.request = undefined;
  }

  attributeChangedCallback(name: string): void {
    if (name === 'src' && this.isConnected) void this.show();
    if (name === 'alt') this.describe();
  }

  /** Tell what the image shows to those who cannot see it. */
  private describe(): void {
    const decorative = this.getAttribute('alt') === '';
    this.setAttribute('role', decorative ? 'presentation' : 'img');
    if (decorative || !this.alt) this.removeAttribute('aria-label');
    else this.setAttribute('aria-label', this.alt);
  }

  private size(width: number, height: number): void {
    if (this.naturalWidth === width && this.naturalHeight === height) return;
    this.naturalWidth = this.canvas.width = width;
    this.naturalHeight = this.canvas.height = height;
    this.canvas.style.aspectRatio = `${width} / ${height}`;
    this.style.width ||= `${width}px`;
  }

  private async show(): Promise<void> {
    this.request?.abort();
    if (!this.src) return;
    const request = (this.request = new AbortController());
    this.complete = false;
    try {
      const data = await this.fetched(request.signal);
      const image = await clientFor(this.getAttribute('weights') ?? '').decode(data);
      if (request.signal.aborted) return;
      this.paint(image);
      this.complete = true;
      this.dispatchEvent(new Event('load'));
    } catch (error) {
      if (request.signal.aborted) return;
      this.complete = true;
      this.dispatchEvent(new ErrorEvent('error', { error, message: (error as Error).message }));
    }
  }

  /** Return the bytes of the file; the size is set while they arrive. */
  private async fetched(signal: AbortSignal): Promise<Uint8Array> {
    const response = await fetch(new URL(this.src, document.baseURI), { signal });
    if (!response.ok) throw new Error(`${this.src}: ${response.status} ${response.statusText}`);
    const parts: Uint8Array[] = [];
    let length = 0;
    let sized = false;
    const reader = response.body!.getReader();
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      parts.push(read.value);
      length += read.value.length;
      if (!sized) {
        const header = parseHeader(joined(parts, length));
        if (header) this.size(header.width, header.height);
        sized = header !== null;
      }
    }
    return joined(parts, length);
  }

  private paint({ width, height, data, caption }: DecodedImage): void {
    this.size(width, height);
    this.canvas.getContext('2d')!.putImageData(new ImageData(data, width, height), 0, 0);
    this.caption = caption;
    this.describe();
  }
}

function joined(parts: readonly Uint8Array[], length: number): Uint8Array {
  const out = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

if (!customElements.get('tacit-image')) customElements.define('tacit-image', TacitImage);
