"""ONNX Runtime's sessions for the graphs of a weights file."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tacit.engine.threads import current_threads
from tacit.errors import CorruptWeights, InvalidInput

OLDEST = (1, 22)  # of ONNX Runtime, as pyproject.toml has it
_NAME = (
    b"\x42"  # in a serialised graph, before the length of an initializer's name and the name (field 8 of TensorProto)
)
# Otherwise ONNX Runtime, on import, puts a number of this machine into the home folder, and measures what is done.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
MOST_THREADS = 16  # of a session, where a caller does not say: more bring nothing

# Sessions that were made before a fork: to destroy one would wait for its threads, which the new process does not have.
_left_behind: list[object] = []


class Sessions:
    """The sessions of a model's graphs, each made when it is first run, and again in a process that was forked.

    Args:
        graphs: Serialised graphs, by name.
        tensors: What the graphs' initializers name.
        decode_hash: The hash of the weights, which the graphs must name as theirs.
        threads: Threads of each session; None to follow the thread that runs it (`tacit.engine.threads`).

    Raises:
        InvalidInput: The installed ONNX Runtime is too old.
    """

    def __init__(
        self, graphs: Mapping[str, bytes], tensors: Mapping[str, np.ndarray], decode_hash: str, threads: int | None
    ) -> None:
        self._graphs, self._tensors, self._hash = graphs, tensors, decode_hash
        self.threads = threads
        self._made: dict[tuple[str, int], tuple[Any, list[Any]]] = {}
        self._process = os.getpid()
        self._lock = threading.Lock()
        _checked_version()

    def __getstate__(self) -> dict[str, object]:
        """Return what a copy or another process needs: it makes sessions again when it needs them."""
        state = self.__dict__ | {"_made": {}}
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
        import onnxruntime

        session = self._session(name, self.threads or min(current_threads(), MOST_THREADS))
        options = onnxruntime.RunOptions()
        options.only_execute_path_to_fetches = True
        options.log_severity_level = 3  # errors; they are raised, too
        results: list[np.ndarray] = session.run(list(outputs), dict(inputs), options)
        return results

    def _session(self, name: str, threads: int) -> Any:
        with self._lock:
            if self._process != os.getpid():  # a session's threads do not survive a fork
                _left_behind.append(self._made)
                self._made, self._process = {}, os.getpid()
            if (name, threads) not in self._made:
                self._made[name, threads] = self._make(name, threads)
            return self._made[name, threads][0]

    def _make(self, name: str, threads: int) -> tuple[Any, list[Any]]:
        """Return a session, and the values that it reads its initializers from."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Threads that spin while they wait take the cores that other sessions' threads, and other programs, need.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        needed = [key for key in self._tensors if _NAME + bytes([len(key)]) + key.encode() in self._graphs[name]]
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(self._tensors[key]) for key in needed]
        options.add_external_initializers(needed, values)
        try:
            session = onnxruntime.InferenceSession(self._graphs[name], options, providers=["CPUExecutionProvider"])
            made_for = session.get_modelmeta().custom_metadata_map.get("decode_hash")
        except Exception as error:  # ONNX Runtime has a class of errors for each kind, with no other base
            raise CorruptWeights(f"graph {name} cannot be loaded: {str(error).splitlines()[0]}") from error
        if made_for != self._hash:
            raise CorruptWeights(f"graph {name} must be made for weights {self._hash[:16]}, got {str(made_for)[:16]}")
        return session, values


def _checked_version() -> None:
    """Raise InvalidInput if ONNX Runtime is too old."""
    import onnxruntime

    version = tuple(int(part) for part in onnxruntime.__version__.split(".")[:2])
    if version < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise InvalidInput(f"onnxruntime must be {oldest} or newer, got {onnxruntime.__version__}")
