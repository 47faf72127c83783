// One thing at a time: work for the newest value of a slider, and work that waits until the slider rests.

/** Runs `work(value)` for the newest value. Of the values that arrive during a run, only the last gets a run of its own.
 * A run is never interrupted: its image is what the page shows while a slider keeps moving. */
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

  /** Whether a value is waiting for its run. */
  get pending() {
    return this.#wanted !== null;
  }

  forget() {
    this.#wanted = null;
  }
}

/** Work for when nothing changes any more: it begins `delay` ms after the last call of `later`, and the next call ends
 * it. */
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
