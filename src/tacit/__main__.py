"""`python -m tacit`, and the command `tacit`."""

import gc
import os
import sys


def run() -> int:
    """Run the command line as a process, and return its exit status."""
    # OpenBLAS' threads, which importing numpy starts, spin for a while: on cores where models are loaded meanwhile.
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")  # 2^4 cycles, its least
    from tacit.cli import main

    status = main()
    gc.freeze()  # the interpreter, as it ends, would look for garbage among all that was ever imported
    return status


if __name__ == "__main__":
    sys.exit(run())
