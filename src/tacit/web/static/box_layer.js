// Boxes over the image: those that were found, and those that a person draws, moves, resizes and deletes.

import { $ } from "./dom.js";
import { viewer } from "./viewer.js";

const SMALLEST = 8; // pixels of the image; SSIMULACRA 2 is not defined below
const KEY_STEP = 8; // pixels of the image
const CLICK = 6; // CSS pixels; a shorter drag is a click
const LABEL = 24; // CSS pixels above a box that its label needs
const CORNERS = ["nw", "ne", "sw", "se"];
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const limit = (value, low, high) => Math.min(Math.max(value, low), high);

/** A box of whole pixels inside of an image. A box is { left, top, width, height }. */
function fitted(box, { width, height }) {
  const w = limit(Math.round(box.width), Math.min(SMALLEST, width), width);
  const h = limit(Math.round(box.height), Math.min(SMALLEST, height), height);
  return { left: limit(Math.round(box.left), 0, width - w), top: limit(Math.round(box.top), 0, height - h), width: w, height: h };
}

/** A box in words. */
export function boxText({ left, top, width, height }) {
  return `${width} × ${height} pixels at ${left}, ${top}`;
}

class BoxLayer {
  #layer;
  #size = null; // of the image
  #place = { x: 0, y: 0, scale: 1 };
  #boxes = []; // that are drawn
  #drag = null;

  /** Called when drawn boxes have changed, with what a screen reader should say. */
  onchange = () => {};

  constructor(layer) {
    this.#layer = layer;
    viewer.onplace = (place) => this.#follow(place);
    layer.addEventListener("pointerdown", (event) => this.#down(event));
    layer.addEventListener("pointermove", (event) => this.#move(event));
    layer.addEventListener("pointerup", (event) => this.#up(event));
    layer.addEventListener("pointercancel", () => this.#cancel());
    layer.addEventListener("dblclick", (event) => this.drawing && event.stopPropagation());
    layer.addEventListener("keydown", (event) => this.#key(event));
  }

  get drawing() {
    return this.#layer.classList.contains("drawing");
  }

  /** Whether a drag draws boxes; otherwise it compares images. */
  set drawing(on) {
    this.#cancel();
    this.#layer.classList.toggle("drawing", on);
    for (const [number, element] of this.#drawn().entries()) this.#describe(element, number);
  }

  /** The boxes that are drawn. */
  get boxes() {
    return this.#boxes.map((box) => ({ ...box }));
  }

  /** Show boxes that can be changed, each with its number and a mark: { text, missed }, or undefined. */
  showDrawn(size, boxes, marks = []) {
    this.#size = size;
    this.#boxes = boxes.map((box) => fitted(box, size));
    const focus = this.#drawn().indexOf(document.activeElement);
    const elements = this.#boxes.map((box, number) => {
      const mark = marks[number];
      const element = this.#element(box, "drawn", mark ? `${number + 1}: ${mark.text}` : number + 1);
      element.classList.toggle("missed", mark?.missed === true);
      element.append(...CORNERS.map(grip));
      this.#describe(element, number);
      return element;
    });
    this.#layer.replaceChildren(...elements);
    elements[focus]?.focus({ preventScroll: true });
  }

  /** Show boxes that were found: { box, label, name, missed }. */
  showFound(size, found) {
    this.#size = size;
    this.#boxes = [];
    this.#layer.replaceChildren(...found.map(({ box, label, name, missed }) => {
      const element = this.#element(box, "seen", label);
      element.dataset.name = name;
      element.classList.toggle("missed", missed === true);
      return element;
    }));
  }

  /** Point out the boxes of a name, or none if null. */
  light(name) {
    for (const element of this.#layer.querySelectorAll(".seen")) {
      element.classList.toggle("lit", name !== null && element.dataset.name === name);
    }
  }

  clear() {
    this.#cancel();
    this.#boxes = [];
    this.#layer.replaceChildren();
  }

  focus(number) {
    this.#drawn()[number]?.focus({ preventScroll: true });
  }

  /** Replace a box, add one behind the last, or remove one if `box` is null. */
  change(number, box) {
    if (box) this.#boxes[number] = fitted(box, this.#size);
    else this.#boxes.splice(number, 1);
    this.onchange(box ? `Box ${number + 1}: ${boxText(this.#boxes[number])}` : `Box ${number + 1} removed`);
  }

  // -- elements -----------------------------------------------------------------------------------------------------

  #drawn() {
    return [...this.#layer.querySelectorAll(".drawn")];
  }

  #element(box, kind, label) {
    const element = document.createElement("div");
    element.className = `box ${kind}`;
    if (label) {
      const text = document.createElement("span");
      text.className = "label";
      text.textContent = label;
      element.append(text);
    }
    this.#put(element, box);
    return element;
  }

  #put(element, box) {
    for (const side of ["left", "top", "width", "height"]) element.style.setProperty(`--${side}`, box[side]);
    this.#placeLabel(element);
  }

  /** Put a label above its box, or inside where the stage ends. */
  #placeLabel(element) {
    const top = Number(element.style.getPropertyValue("--top"));
    element.classList.toggle("inside", this.#place.y + top * this.#place.scale < LABEL);
  }

  #describe(element, number) {
    element.tabIndex = this.drawing ? 0 : -1;
    element.setAttribute("role", "group");
    element.setAttribute("aria-roledescription", "box on the image");
    element.setAttribute("aria-label", `Box ${number + 1}, ${boxText(this.#boxes[number])}. The arrow keys move it, `
      + "with Shift they resize it, Delete removes it.");
  }

  #follow({ x, y, scale }) {
    this.#place = { x, y, scale };
    const { style } = this.#layer;
    style.setProperty("--x", `${x}px`);
    style.setProperty("--y", `${y}px`);
    style.setProperty("--scale", `${scale}px`);
    for (const element of this.#layer.children) this.#placeLabel(element);
  }

  // -- drawing ------------------------------------------------------------------------------------------------------

  #at(event) {
    const stage = this.#layer.getBoundingClientRect();
    return {
      x: limit((event.clientX - stage.left - this.#place.x) / this.#place.scale, 0, this.#size.width),
      y: limit((event.clientY - stage.top - this.#place.y) / this.#place.scale, 0, this.#size.height),
    };
  }

  #down(event) {
    if (!this.drawing || !this.#size || event.button !== 0) return;
    event.stopPropagation(); // the viewer would move its divider
    if (this.#drag) return; // a second finger
    event.preventDefault();
    const at = this.#at(event);
    const element = event.target.closest(".drawn");
    const number = element ? this.#drawn().indexOf(element) : this.#boxes.length;
    const corner = event.target.closest(".grip")?.dataset.corner;
    const before = element ? this.#boxes[number] : { left: at.x, top: at.y, width: 0, height: 0 };
    this.#drag = { id: event.pointerId, at, number, before, corner, element, now: before, far: false };
    this.#layer.setPointerCapture(event.pointerId);
    element?.focus({ preventScroll: true });
  }

  #move(event) {
    const drag = this.#drag;
    if (drag?.id !== event.pointerId) return;
    event.stopPropagation();
    const at = this.#at(event);
    const dx = at.x - drag.at.x;
    const dy = at.y - drag.at.y;
    if (!drag.far && Math.hypot(dx, dy) * this.#place.scale < CLICK) return;
    drag.far = true;
    const moves = drag.element && !drag.corner;
    drag.now = fitted(moves ? { ...drag.before, left: drag.before.left + dx, top: drag.before.top + dy } : resized(drag, at), this.#size);
    if (!drag.element) {
      drag.corner = "new";
      drag.element = this.#element(drag.now, "drawn", drag.number + 1);
      this.#layer.append(drag.element);
    }
    this.#put(drag.element, drag.now);
  }

  #up(event) {
    const drag = this.#drag;
    if (drag?.id !== event.pointerId) return;
    event.stopPropagation();
    this.#drag = null;
    if (!drag.far) return;
    this.change(drag.number, drag.now);
    this.focus(drag.number);
  }

  #cancel() {
    const drag = this.#drag;
    this.#drag = null;
    if (!drag?.far) return;
    if (drag.corner === "new") drag.element.remove();
    else this.#put(drag.element, drag.before);
  }

  #key(event) {
    if (event.key === "Escape" && this.#drag) {
      this.#cancel();
      return;
    }
    const number = this.#drawn().indexOf(event.target);
    if (number < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    const box = this.#boxes[number];
    if (event.key === "Delete" || event.key === "Backspace") {
      event.preventDefault();
      this.change(number, null);
      if (this.#boxes.length) this.focus(Math.min(number, this.#boxes.length - 1));
      else $("add-box").focus();
      return;
    }
    if (!(event.key in ARROWS)) return;
    event.preventDefault();
    const [dx, dy] = ARROWS[event.key].map((step) => KEY_STEP * step);
    const { width, height } = this.#size;
    this.change(number, event.shiftKey
      ? { ...box, width: Math.min(box.width + dx, width - box.left), height: Math.min(box.height + dy, height - box.top) }
      : { ...box, left: box.left + dx, top: box.top + dy });
  }
}

function grip(corner) {
  const element = document.createElement("span");
  element.className = `grip ${corner}`;
  element.dataset.corner = corner;
  return element;
}

/** The box between the corner that stays and the pointer. */
function resized({ before, corner = "new", at: start }, at) {
  const right = before.left + before.width;
  const bottom = before.top + before.height;
  const x = corner === "new" ? start.x : corner.endsWith("w") ? right : before.left;
  const y = corner === "new" ? start.y : corner.startsWith("n") ? bottom : before.top;
  const [left, top] = [Math.min(x, at.x), Math.min(y, at.y)];
  return { left, top, width: Math.max(x, at.x) - left, height: Math.max(y, at.y) - top };
}

/** The boxes over the image of the page. */
export const layer = new BoxLayer($("layer"));
