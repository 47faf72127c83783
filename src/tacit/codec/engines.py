"""Which engine a codec runs on, and the models on it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from tacit import machine, weights
from tacit.codec.model import Engine, Model
from tacit.engine.onnx_engine import OnnxEngine
from tacit.errors import InvalidInput, MissingExtra, MissingWeights
from tacit.extras import require
from tacit.weights.ahead import loaded_ahead

if TYPE_CHECKING:
    from tacit.codec.torch_engine import TorchEngine
    from tacit.codec.torch_model import TorchModel

ENGINES = ("auto", "onnx", "torch")
PRECISIONS = ("fp32", "bf16", "auto")


class Engines:
    """The engines of a codec, and its models, each loaded when it is first asked for.

    Args:
        engine: "onnx", "torch", or "auto": ONNX Runtime on the processor, and torch on other devices, in bf16, and for
            weights without graphs.
        device: A device of torch.
        precision: "fp32", "bf16" or "auto".

    Raises:
        InvalidInput: An argument is out of its range, or they do not go together.
        MissingExtra: torch is needed and not installed.
    """

    def __init__(self, engine: str, device: object, precision: str) -> None:
        if engine not in ENGINES:
            raise InvalidInput(f"engine must be {', '.join(ENGINES[:-1])} or {ENGINES[-1]}, got {engine!r}")
        if precision not in PRECISIONS:
            raise InvalidInput(f"precision must be fp32, bf16 or auto, got {precision!r}")
        self._device, self._precision = str(device), precision
        self._torch_engine: TorchEngine | None = None
        self._models: dict[tuple[str, Path], Model] = {}
        self._lock = threading.RLock()
        on_processor = self._device == "cpu"
        if engine == "onnx" and not on_processor:
            raise InvalidInput(f"engine onnx runs on the processor: device must be cpu, got {device}")
        if engine == "onnx" and precision == "bf16":
            raise InvalidInput("engine onnx computes in fp32: precision must be fp32 or auto, got bf16")
        self._onnx = engine == "onnx" or (engine == "auto" and on_processor and precision != "bf16")
        self._only = engine != "auto"
        what = "engine torch" if engine == "torch" else f"precision {precision}" if on_processor else f"device {device}"
        self.main: Engine = OnnxEngine() if self._onnx else self.torch(what)
        """The engine that runs what it can."""

    def __getstate__(self) -> dict[str, object]:
        """Return what a copy or another process needs: it loads models again when it needs them."""
        state = self.__dict__ | {"_models": {}, "_torch_engine": None if self._onnx else self._torch_engine}
        del state["_lock"]
        return state

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._lock = threading.RLock()

    def model(self, path: Path) -> Model:
        """Return the model of a weights file, on the engine that runs it.

        Raises:
            PathError: The file cannot be read.
            CorruptWeights: The file is damaged.
            MissingWeights: The file has no graphs, and the engine must be onnx.
            MissingExtra: Only torch runs the model, and is not installed.
        """
        if not self._onnx:
            return self.torch_model(path, "engine torch")
        if weights.describe(path).graphs:
            with self._lock:
                if ("onnx", path) not in self._models:
                    self._models["onnx", path] = loaded_ahead(path) or weights.load_onnx(path)
                return self._models["onnx", path]
        why = _without_graphs(path)
        if self._only:
            raise MissingWeights(why, f"the weights of {path.stem} have no graphs, which the engine onnx runs")
        try:
            return self.torch_model(path, "engine torch")
        except MissingExtra as error:
            raise MissingExtra(f"{why}; {error}") from error

    def torch_model(self, path: Path, what: str) -> TorchModel:
        """Return the model of a weights file, on torch.

        Args:
            path: The weights file.
            what: What needs torch, for the message where it is absent.

        Raises:
            MissingExtra: torch is not installed.
        """
        with self._lock:
            engine = self.torch(what)
            if ("torch", path) not in self._models:
                self._models["torch", path] = engine.load(path)
            found: TorchModel = self._models["torch", path]  # type: ignore[assignment]
            return found

    def torch(self, what: str) -> TorchEngine:
        """Return the engine torch.

        Args:
            what: What needs it, for the message where it is absent.

        Raises:
            MissingExtra: torch is not installed.
            InvalidInput: torch has no such device.
        """
        if self._torch_engine is None:
            machine.let_threads_sleep()
            require("torch", what, "torch")
            from tacit.codec.torch_engine import TorchEngine

            self._torch_engine = TorchEngine(self._device, self._precision)
        return self._torch_engine


def _without_graphs(path: Path) -> str:
    """Return what to do about a weights file without graphs."""
    from tacit.graphs.export import can_have_graphs
    from tacit.weights.metadata import read_metadata

    about = read_metadata(path)
    if can_have_graphs(about["architecture"], about["config"]):
        return f"{path}: no graphs, which the engine onnx runs; tacit.weights.add_graphs(FILE) adds them"
    return f"{path}: no graphs, which this {about['architecture']} cannot have; the engine torch runs it"
