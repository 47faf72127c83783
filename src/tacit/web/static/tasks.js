// One thing at a time: what the slider asks for, and what may wait until it rests.

/** Runs `work(value)` for the newest value asked for; values that came while it ran, but the last, are skipped. A run
 * is let to its end: its picture is what the page shows while a slider is moved on. */
export class Latest {
  #work;
  #wanted = null;
  #running = false;

  constructor(work) {
    this.#work = work;
  }

  get busy() {
    return this.#running;
  }

  async ask(value) {
    this.#wanted = { value };
    if (this.#running) return;
    this.#running = true;
    try {
      while (this.#wanted) {
        const { value: next } = this.#wanted;
        this.#wanted = null;
        await this.#work(next);
      }
    } finally {
      this.#running = false;
    }
  }

  /** Whether a value waits for its run. */
  get pending() {
    return this.#wanted !== null;
  }

  forget() {
    this.#wanted = null;
  }
}

/** Work for when the page is at rest: begun `delay` ms after the last call of `later`, and ended by the next. */
export class Idle {
  #work;
  #delay;
  #timer = 0;
  #controller = new AbortController();

  constructor(work, delay) {
    this.#work = work;
    this.#delay = delay;
  }

  later(delay = this.#delay) {
    this.stop();
    this.#controller = new AbortController();
    const { signal } = this.#controller;
    this.#timer = setTimeout(() => this.#work(signal), delay);
  }

  stop() {
    clearTimeout(this.#timer);
    this.#controller.abort();
  }
}
