// What the page says about its work and about errors.

import { Problem } from "./api.js";
import { $ } from "./dom.js";

// ms without an image before the bar of progress appears; drawing it takes time from an encoder on the same machine
const BUSY_DELAY = 600;

let busyTimer = 0;

/** Show that the page is waiting, or that it is not. */
export function setBusy(busy) {
  clearTimeout(busyTimer);
  if (busy) busyTimer = setTimeout(() => showBars(true), BUSY_DELAY);
  else showBars(false);
}

function showBars(shown) {
  for (const bar of document.querySelectorAll(".busy")) bar.hidden = !shown;
}

/** Show what is being done, or nothing. */
export function setStatus(text) {
  $("status").textContent = text;
}

/** Tell screen readers. */
export function announce(text) {
  $("announcement").textContent = text;
}

/** Show an error, unless somebody only changed their mind. */
export function showError(error) {
  if (error.name === "AbortError") return;
  if (!(error instanceof Problem)) console.error(error);
  const unreadable = error.name === "InvalidStateError";
  $("alert").querySelector("p").textContent = unreadable ? "This browser cannot show the image." : error.message;
  $("alert").hidden = false;
}

export function hideError() {
  $("alert").hidden = true;
}

$("alert").querySelector("button").addEventListener("click", hideError);
addEventListener("keydown", (event) => event.key === "Escape" && hideError());
