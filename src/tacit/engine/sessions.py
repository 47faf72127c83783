"""ONNX Runtime's sessions for the graphs of a weights file."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from tacit import machine
from tacit.engine.threads import current_threads
from tacit.errors import CorruptWeights, InvalidInput

OLDEST = (1, 22)  # of ONNX Runtime, as pyproject.toml has it
# In a serialised graph, before an initializer's name: field 8 of TensorProto, and the length of the name.
_NAME = re.compile(rb"\x42(?=.)", re.DOTALL)
# Otherwise ONNX Runtime, on import, puts a number of this machine into the home folder, and measures what is done.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
MOST_THREADS = 16  # of a session, where a caller does not say: more bring nothing

# Sessions that were made before a fork: to destroy one would wait for its threads, which the new process does not have.
_left_behind: list[object] = []

_makers: set[threading.Thread] = set()


def _wait_for_makers() -> None:
    """Wait until no session is being made: in a process that is forked meanwhile, ONNX Runtime's locks would stay."""
    for maker in list(_makers):
        if maker.is_alive():
            maker.join()


_pools: dict[int, ThreadPoolExecutor] = {}


def _pool() -> ThreadPoolExecutor:
    """Return the threads of this process that run graphs beside their callers."""
    process = os.getpid()
    if process not in _pools:  # a pool's threads do not survive a fork
        _pools.setdefault(process, ThreadPoolExecutor(machine.cores(), thread_name_prefix="tacit-band"))
    return _pools[process]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_wait_for_makers)


class Sessions:
    """The sessions of a model's graphs, each made when it is first needed, and again in a process that was forked.

    Args:
        graphs: Serialised graphs, by name.
        tensors: What the graphs' initializers name.
        decode_hash: The hash of the weights, which the graphs must name as theirs.
        threads: Threads of each session; None to follow the thread that runs it (`tacit.engine.threads`).
        source: The weights file, which messages name.

    Raises:
        InvalidInput: The installed ONNX Runtime is too old.
    """

    def __init__(
        self,
        graphs: Mapping[str, bytes],
        tensors: Mapping[str, np.ndarray],
        decode_hash: str,
        threads: int | None,
        source: Path,
    ) -> None:
        self._graphs, self._tensors, self._hash = graphs, tensors, decode_hash
        self.threads, self._source = threads, source
        self._made: dict[tuple[str, int], Future[tuple[Any, list[Any]]]] = {}
        self._coming: set[tuple[str, int]] = set()  # what `make` is about to make
        self._process = os.getpid()
        self._lock = threading.Lock()
        check_version()

    def __getstate__(self) -> dict[str, object]:
        """Return what a copy or another process needs: it makes sessions again when it needs them."""
        state = self.__dict__ | {"_made": {}, "_coming": set()}
        del state["_lock"]
        return state

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    def run(self, name: str, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]) -> list[np.ndarray]:
        """Run a graph, and return the outputs that are named.

        Raises:
            CorruptWeights: The graph is damaged, or made for other weights.
        """
        return self._run(name, self.lanes, inputs, outputs)

    def run_each(
        self, name: str, inputs: Sequence[Mapping[str, np.ndarray]], outputs: Sequence[str]
    ) -> list[list[np.ndarray]]:
        """Run a graph on several inputs at once, each in one thread, and return the outputs that are named for each.

        Raises:
            CorruptWeights: The graph is damaged, or made for other weights.
        """
        beside = [_pool().submit(self._run, name, 1, one, outputs) for one in inputs[1:]]
        results = [self._run(name, 1, inputs[0], outputs)]
        for one, future in zip(inputs[1:], beside, strict=True):
            # On a busy machine another thread may not have begun yet.
            results.append(self._run(name, 1, one, outputs) if future.cancel() else future.result())
        return results

    def _run(
        self, name: str, threads: int, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]
    ) -> list[np.ndarray]:
        import onnxruntime

        session, _ = self._future(name, threads).result()
        options = onnxruntime.RunOptions()
        options.only_execute_path_to_fetches = True
        options.log_severity_level = 3  # errors; they are raised, too
        results: list[np.ndarray] = session.run(list(outputs), dict(inputs), options)
        return results

    def prepare(self, names: Sequence[str], of_each: Sequence[str] = ()) -> None:
        """Begin to make the sessions of graphs that are run soon, beside what the caller does next.

        Does nothing where the caller may take one thread only.

        Args:
            names: Graphs for `run`.
            of_each: Graphs for `run_each`, made after the others.
        """
        keys = [(name, self.lanes) for name in names] + [(name, 1) for name in of_each]
        known = self._made.keys() | self._coming if self._process == os.getpid() else ()
        missing = [key for key in keys if key not in known]
        if self.lanes > 1 and missing:
            # No daemon: the interpreter must not end while a session is made.
            maker = threading.Thread(target=self._make_all, args=(missing,), name="tacit-sessions")
            _makers.add(maker)
            maker.start()

    def make(self, *steps: tuple[Sequence[str], bool]) -> None:
        """Make the sessions of graphs, in this order, in the caller's thread. What fails is left to the run.

        Args:
            *steps: Names of graphs, and whether `run_each` runs them.
        """
        keys = [(name, 1 if of_each else self.lanes) for names, of_each in steps for name in names]
        _makers.add(threading.current_thread())
        self._coming.update(keys)
        try:
            self._make_all(keys)
        finally:
            self._coming.difference_update(keys)

    def release(self) -> None:
        """Forget all sessions, with the memory that each keeps for its next run; those that run end first."""
        with self._lock:
            if self._process == os.getpid():
                self._made = {}

    def _make_all(self, keys: Sequence[tuple[str, int]]) -> None:
        try:
            for name, threads in keys:
                self._future(name, threads)
        finally:
            _makers.discard(threading.current_thread())

    @property
    def lanes(self) -> int:
        """How many threads the caller's work takes."""
        return self.threads or min(current_threads(), MOST_THREADS)

    def _future(self, name: str, threads: int) -> Future[tuple[Any, list[Any]]]:
        """Return the session of a graph, or what will be it where another thread is making it."""
        with self._lock:
            if self._process != os.getpid():  # a session's threads do not survive a fork
                _left_behind.append(self._made)
                self._made, self._process = {}, os.getpid()
            future = self._made.get((name, threads))
            if future is not None:
                return future
            future = self._made[name, threads] = Future()
        try:
            future.set_result(self._make(name, threads))
        except BaseException as error:
            with self._lock:  # the next call tries again
                self._made.pop((name, threads), None)
            future.set_exception(error)
        return future

    def _make(self, name: str, threads: int) -> tuple[Any, list[Any]]:
        """Return a session, and the values that it reads its initializers from."""
        import onnxruntime

        if name not in self._graphs:
            raise CorruptWeights(f"{self._source}: graph {name} is missing")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Without the layout in blocks of channels that all optimisations choose: with it, convolutions of 1x1, which
        # are nearly all there is, take a quarter longer on AVX2.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        # Threads that spin while they wait take the cores that other sessions' threads, and other programs, need.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        taken = self._initializers(self._graphs[name])
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(self._tensors[key]) for key in taken]
        options.add_external_initializers(taken, values)
        try:
            session = onnxruntime.InferenceSession(self._graphs[name], options, providers=["CPUExecutionProvider"])
            made_for = session.get_modelmeta().custom_metadata_map.get("decode_hash")
        except Exception as error:  # ONNX Runtime has a class of errors for each kind, with no other base
            reason = str(error).splitlines()[0]
            raise CorruptWeights(f"{self._source}: graph {name} cannot be loaded: {reason}") from error
        if made_for != self._hash:
            made, needed = str(made_for)[:16], self._hash[:16]
            raise CorruptWeights(f"{self._source}: graph {name} must be made for weights {needed}, got {made}")
        return session, values

    def _initializers(self, graph: bytes) -> list[str]:
        """Return the names of the tensors that a graph takes."""
        starts = (match.end() + 1 for match in _NAME.finditer(graph))
        found = {graph[start : start + graph[start - 1]].decode("latin-1") for start in starts}
        return sorted(self._tensors.keys() & found)


def check_version() -> None:
    """Import ONNX Runtime, and raise InvalidInput if it is too old."""
    import onnxruntime

    version = tuple(int(part) for part in onnxruntime.__version__.split(".")[:2])
    if version < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise InvalidInput(f"onnxruntime must be {oldest} or newer, got {onnxruntime.__version__}")
