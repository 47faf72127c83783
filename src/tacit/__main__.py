"""`python -m tacit`, and the command `tacit`."""

import gc
import os
import sys

from tacit.machine import let_threads_sleep

START = 100_000  # objects that hold others: more than imports and the coding of an image make


def collect_later() -> None:
    """Look for garbage only once a process has made more objects than a start makes, and from then on as usual.

    Imports make hardly any garbage, and looking for it takes 3 to 6 % of the processor's time of `encode`, `decode` and
    `info`, as `gc.callbacks` and the clock of the thread say; so it takes a tenth of that.
    """
    usual = gc.get_threshold()

    def begin(phase: str, info: dict[str, int]) -> None:
        gc.callbacks.remove(begin)
        gc.set_threshold(*usual)

    gc.callbacks.append(begin)
    gc.set_threshold(START, *usual[1:])


def run() -> int:
    """Run the command line as a process, and return its exit status."""
    # OpenBLAS' threads, which importing numpy starts, spin for a while: on cores where models are loaded meanwhile.
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")  # 2^4 cycles, its least
    let_threads_sleep()
    collect_later()
    from tacit.cli import main

    status = main()
    gc.freeze()  # the interpreter, as it ends, would look for garbage among all that was ever imported
    return status


if __name__ == "__main__":
    sys.exit(run())
