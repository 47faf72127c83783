// Two images of one size on one canvas, with a divider between them, and with zoom and pan in step.

import { $ } from "./dom.js";

const MAX_ZOOM = 32; // screen pixels for one pixel of the image
const STEP = 1.5;

class Viewer {
  #stage;
  #canvas;
  #context;
  #divider;
  #level;
  #left = null;
  #right = null;
  #overlay = null;
  #split = 0.5;
  #zoom = 1; // relative to the scale at which the image fits
  #centre = { x: 0.5, y: 0.5 }; // the point of the image in the centre of the stage, as shares of its size
  #pointers = new Map();
  #drag = null;

  /** Called after each drawing with the place of the image in the stage, in CSS pixels: x, y, and the scale. */
  onplace = () => {};

  constructor(stage, canvas, divider, level) {
    this.#stage = stage;
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d");
    this.#divider = divider;
    this.#level = level;
    new ResizeObserver(() => this.#resize()).observe(stage);
    stage.addEventListener("pointerdown", (event) => this.#down(event));
    stage.addEventListener("pointermove", (event) => this.#move(event));
    stage.addEventListener("pointerup", (event) => this.#up(event));
    stage.addEventListener("pointercancel", (event) => this.#up(event));
    stage.addEventListener("dblclick", (event) => {
      if (!event.target.closest("button")) this.toggle(this.#at(event));
    });
    stage.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    stage.addEventListener("keydown", (event) => this.#key(event));
    divider.addEventListener("keydown", (event) => this.#dividerKey(event));
  }

  /** Show two ImageBitmaps of this size; left or both may be null. Returns a promise of the time at which they are on
   * the canvas. */
  show(left, right, size = right) {
    const differs = this.#right === null || this.#right.width !== right?.width || this.#right.height !== right?.height;
    this.#left = left;
    this.#right = right;
    this.#divider.hidden = left === null;
    if (differs) {
      this.#stage.style.setProperty("--aspect", size ? `${size.width} / ${size.height}` : "3 / 2");
      this.fit();
    }
    return this.#soon();
  }

  /** Draw a map over the right image, or none if null. Its bitmap has one pixel for each square of `side` pixels. */
  setOverlay(overlay) {
    this.#overlay = overlay;
    return this.#soon();
  }

  get split() {
    return this.#split;
  }

  set split(value) {
    this.#split = Math.min(Math.max(value, 0), 1);
    const percent = Math.round(100 * this.#split);
    this.#divider.setAttribute("aria-valuenow", percent);
    this.#divider.setAttribute("aria-valuetext", `${percent} % of the width shows the left image`);
    this.#soon();
  }

  fit() {
    this.#zoom = 1;
    this.#centre = { x: 0.5, y: 0.5 };
    this.#soon();
  }

  zoomBy(factor, at = this.#middle()) {
    this.#zoomTo(this.#scale() * factor, at);
  }

  /** Switch between the whole image and its actual pixels. */
  toggle(at = this.#middle()) {
    const actual = Math.max(1, 2 * this.#fitting());
    if (this.#zoom > 1.001) this.fit();
    else this.#zoomTo(actual, at);
  }

  // -- geometry, in CSS pixels of the stage -------------------------------------------------------------------------

  #fitting() {
    if (!this.#right) return 1;
    return Math.min(this.#stage.clientWidth / this.#right.width, this.#stage.clientHeight / this.#right.height);
  }

  #scale() {
    return this.#fitting() * this.#zoom;
  }

  #middle() {
    return { x: this.#stage.clientWidth / 2, y: this.#stage.clientHeight / 2 };
  }

  #at(event) {
    const box = this.#stage.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  /** Where the image is. */
  #box() {
    const scale = this.#scale();
    const width = this.#right.width * scale;
    const height = this.#right.height * scale;
    return {
      x: this.#stage.clientWidth / 2 - this.#centre.x * width,
      y: this.#stage.clientHeight / 2 - this.#centre.y * height,
      width,
      height,
    };
  }

  /** The part of the image inside the stage, along x. */
  #visible(box) {
    const left = Math.max(0, box.x);
    return { left, width: Math.min(this.#stage.clientWidth, box.x + box.width) - left };
  }

  #zoomTo(scale, at) {
    if (!this.#right) return;
    const fitting = this.#fitting();
    const box = this.#box();
    const x = (at.x - box.x) / box.width;
    const y = (at.y - box.y) / box.height;
    this.#zoom = Math.min(Math.max(scale / fitting, 1), Math.max(1, MAX_ZOOM / fitting));
    const width = this.#right.width * this.#scale();
    const height = this.#right.height * this.#scale();
    this.#centre = {
      x: x + (this.#stage.clientWidth / 2 - at.x) / width,
      y: y + (this.#stage.clientHeight / 2 - at.y) / height,
    };
    this.#confine();
    this.#soon();
  }

  #pan(dx, dy) {
    const box = this.#box();
    this.#centre.x -= dx / box.width;
    this.#centre.y -= dy / box.height;
    this.#confine();
    this.#soon();
  }

  /** Leave no empty space beside an image that is larger than the stage. */
  #confine() {
    const box = this.#box();
    for (const [axis, size, room] of [
      ["x", box.width, this.#stage.clientWidth],
      ["y", box.height, this.#stage.clientHeight],
    ]) {
      const half = room / 2 / size;
      this.#centre[axis] = half >= 0.5 ? 0.5 : Math.min(Math.max(this.#centre[axis], half), 1 - half);
    }
  }

  // -- drawing -----------------------------------------------------------------------------------------------------

  #waiting = null;

  #soon() {
    this.#waiting ??= new Promise((resolve) => {
      requestAnimationFrame(() => {
        this.#waiting = null;
        this.#draw();
        resolve(performance.now());
      });
    });
    return this.#waiting;
  }

  #resize() {
    const ratio = devicePixelRatio;
    const width = Math.round(this.#stage.clientWidth * ratio);
    const height = Math.round(this.#stage.clientHeight * ratio);
    if (this.#canvas.width !== width || this.#canvas.height !== height) {
      this.#canvas.width = width;
      this.#canvas.height = height;
      if (this.#right) this.#confine();
      this.#draw();
    }
  }

  #draw() {
    const context = this.#context;
    const ratio = devicePixelRatio;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, this.#stage.clientWidth, this.#stage.clientHeight);
    if (!this.#right) return;
    const box = this.#box();
    const visible = this.#visible(box);
    const x = this.#left ? visible.left + this.#split * visible.width : visible.left;
    context.imageSmoothingEnabled = this.#scale() * ratio < 3;
    context.imageSmoothingQuality = "high";
    if (this.#left) this.#part(0, x, () => context.drawImage(this.#left, box.x, box.y, box.width, box.height));
    this.#part(x, this.#stage.clientWidth - x, () => {
      context.drawImage(this.#right, box.x, box.y, box.width, box.height);
      if (this.#overlay) this.#drawOverlay(box);
    });
    this.onplace({ x: box.x, y: box.y, scale: this.#scale() });
    this.#divider.style.left = `${x}px`;
    this.#level.textContent = `${Math.round(100 * this.#scale())} %`;
    this.#stage.classList.toggle("zoomed", this.#zoom > 1.001);
  }

  #part(x, width, paint) {
    const context = this.#context;
    context.save();
    context.beginPath();
    context.rect(x, 0, width, this.#stage.clientHeight);
    context.clip();
    paint();
    context.restore();
  }

  #drawOverlay(box) {
    const context = this.#context;
    const { bitmap, side, kind } = this.#overlay;
    context.beginPath();
    context.rect(box.x, box.y, box.width, box.height);
    context.clip();
    context.fillStyle = kind === "heat" ? "rgb(0 0 0 / 62%)" : "rgb(20 20 22 / 78%)";
    context.fill();
    const size = side * this.#scale();
    context.imageSmoothingEnabled = true;
    context.drawImage(bitmap, box.x, box.y, bitmap.width * size, bitmap.height * size);
  }

  // -- input -------------------------------------------------------------------------------------------------------

  #down(event) {
    if (!this.#right || event.button !== 0 || event.target.closest("button")) return;
    const at = this.#at(event);
    this.#pointers.set(event.pointerId, at);
    this.#stage.setPointerCapture(event.pointerId);
    const onDivider = this.#divider.contains(event.target);
    if (onDivider) this.#divider.focus({ preventScroll: true });
    if (this.#pointers.size === 2) this.#drag = "pinch";
    else if (this.#left && (onDivider || this.#zoom <= 1.001)) {
      this.#drag = "split";
      if (event.pointerType === "mouse") this.#splitAt(at.x);
    } else this.#drag = "pan";
    this.#stage.classList.add("dragging");
  }

  #move(event) {
    const before = this.#pointers.get(event.pointerId);
    if (!before) return;
    const at = this.#at(event);
    if (this.#drag === "split") this.#splitAt(at.x);
    else if (this.#drag === "pan") this.#pan(at.x - before.x, at.y - before.y);
    else if (this.#drag === "pinch" && this.#pointers.size === 2) {
      const [other] = [...this.#pointers].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
      const distance = (a) => Math.hypot(a.x - other.x, a.y - other.y);
      this.zoomBy(distance(at) / Math.max(distance(before), 1), { x: (at.x + other.x) / 2, y: (at.y + other.y) / 2 });
      this.#pan((at.x - before.x) / 2, (at.y - before.y) / 2);
    }
    this.#pointers.set(event.pointerId, at);
  }

  #up(event) {
    this.#pointers.delete(event.pointerId);
    if (this.#pointers.size) return;
    this.#drag = null;
    this.#stage.classList.remove("dragging");
  }

  #splitAt(x) {
    const visible = this.#visible(this.#box());
    this.split = (x - visible.left) / visible.width;
  }

  #wheel(event) {
    // If the page can scroll, the wheel scrolls it; a pinch on a touchpad arrives as a wheel with Ctrl.
    const scrolls = document.documentElement.scrollHeight > innerHeight + 1;
    if (!this.#right || (scrolls && !event.ctrlKey && !event.metaKey)) return;
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 20 : 1;
    const speed = event.ctrlKey ? 0.01 : 0.002;
    this.zoomBy(Math.exp(-event.deltaY * lines * speed), this.#at(event));
  }

  #key(event) {
    if (event.target !== this.#stage || event.ctrlKey || event.metaKey || event.altKey || !this.#right) return;
    const far = 40;
    const keys = {
      "+": () => this.zoomBy(STEP),
      "=": () => this.zoomBy(STEP),
      "-": () => this.zoomBy(1 / STEP),
      0: () => this.fit(),
      ArrowLeft: () => this.#pan(far, 0),
      ArrowRight: () => this.#pan(-far, 0),
      ArrowUp: () => this.#pan(0, far),
      ArrowDown: () => this.#pan(0, -far),
    };
    if (!keys[event.key] || (event.key.startsWith("Arrow") && this.#zoom <= 1.001)) return;
    event.preventDefault();
    keys[event.key]();
  }

  #dividerKey(event) {
    const step = event.shiftKey ? 0.1 : 0.02;
    const places = {
      ArrowLeft: this.split - step,
      ArrowDown: this.split - step,
      ArrowRight: this.split + step,
      ArrowUp: this.split + step,
      PageDown: this.split - 0.1,
      PageUp: this.split + 0.1,
      Home: 0,
      End: 1,
    };
    if (!(event.key in places)) return;
    event.preventDefault();
    this.split = places[event.key];
  }
}

/** The viewer of the page. */
export const viewer = new Viewer($("stage"), $("canvas"), $("divider"), $("zoom-level"));
