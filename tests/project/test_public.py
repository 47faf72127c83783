"""The public surface: its names, its signatures, its documentation, its cost."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.metadata
import inspect
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import tacit
from support.paths import ROOT
from tacit import errors
from tacit.codec import EncodeOptions, Prepared, Target
from tacit.codec.options import EncodeFields, TargetFields

NAMES = [
    "CaptionerError", "CaptionerUnusable", "Codec", "CorruptFile", "CorruptWeights", "EncodeOptions", "EncodeResult",
    "FileError", "FileInfo", "ImageTooLarge", "IncrementalDecoder", "InvalidInput", "Keep", "MissingExtra",
    "MissingWeights", "NotExact", "NotFound", "PathError", "ServiceError", "TacitError", "TargetNotReached",
    "UnknownModel", "UnsupportedFile", "WeightsError", "available_models", "decode", "encode", "info",
]  # fmt: skip
"""What a release promises. Adding a name is a decision; taking one away breaks somebody's program."""

ERRORS = {
    "TacitError": "Exception",
    "InvalidInput": "TacitError ValueError",
    "ImageTooLarge": "InvalidInput",
    "NotFound": "InvalidInput",
    "TargetNotReached": "InvalidInput",
    "FileError": "TacitError",
    "CorruptFile": "FileError",
    "UnsupportedFile": "FileError",
    "WeightsError": "TacitError",
    "UnknownModel": "WeightsError",
    "MissingWeights": "WeightsError",
    "CorruptWeights": "WeightsError",
    "NotExact": "WeightsError",
    "CaptionerError": "TacitError",
    "CaptionerUnusable": "CaptionerError",
    "ServiceError": "TacitError",
    "MissingExtra": "TacitError ImportError",
    "PathError": "TacitError OSError",
}


def test_the_names() -> None:
    assert tacit.__all__ == NAMES
    assert set(NAMES) <= set(dir(tacit))
    namespace: dict[str, Any] = {}
    exec("from tacit import *", namespace)
    assert set(NAMES) <= namespace.keys()
    with pytest.raises(AttributeError, match="'tacit' has no attribute 'enkode'"):
        tacit.enkode  # noqa: B018


def test_the_signatures() -> None:
    def names(function: Any) -> str:
        """Those that may stand without a name, then those that may not, with the fields of a TypedDict one by one."""
        parameters = inspect.signature(function).parameters.values()
        free = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
        named = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
        if "fields" in function.__annotations__:
            (unpacked,) = eval(function.__annotations__["fields"], function.__globals__).__args__
            named += unpacked.__annotations__
        return " ".join(free) + " * " + " ".join(named)

    targets = "size bpp psnr"
    guided = "quality_map steer boxes effort effort_seconds keep best_effort"
    options = f"{targets} {guided} progressive store_caption keep_metadata"
    assert names(tacit.encode) == f"image caption quality * model options {options}"
    assert names(tacit.decode) == "data * box max_side salvage partial max_pixels"
    assert names(tacit.info) == "source * "
    assert names(tacit.available_models) == " * "
    assert (
        names(tacit.Codec.__init__)
        == "self model * engine device threads precision text_encoder word_weights steer effort finder"
    )
    assert names(tacit.Codec.encode) == f"self image caption quality * options {options}"
    assert names(tacit.Codec.encode_result) == f"self image caption quality * options reconstruct progress {options}"
    assert names(tacit.Codec.prepare) == f"self image caption * options {options}"
    assert names(Prepared.encode) == f"self quality * reconstruct {targets}"
    assert names(tacit.Codec.decode) == "self data * box max_side salvage partial max_pixels"
    assert names(tacit.Codec.encode_batch) == f"self sources captions quality * options {options}"
    assert names(tacit.Codec.decode_batch) == "self files * max_pixels"


def test_options_by_name_are_those_of_the_dataclasses() -> None:
    for fields, options in ((TargetFields, Target), (EncodeFields, EncodeOptions)):
        assert {"quality", *fields.__annotations__} == {field.name for field in dataclasses.fields(options)}


def test_no_module_hides_a_name() -> None:
    """A module of a name's name takes its place in the package when it is imported for something else."""
    found = {module.name for module in pkgutil.iter_modules(tacit.__path__)}
    assert not found & set(NAMES)


def test_results_do_not_change() -> None:
    kinds: tuple[Any, ...] = (tacit.EncodeResult, tacit.FileInfo, EncodeOptions)
    for kind in kinds:
        assert dataclasses.is_dataclass(kind)
        assert vars(kind)["__dataclass_params__"].frozen


def test_the_tree_of_errors() -> None:
    found = {
        name: " ".join(base.__name__ for base in kind.__bases__)
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and kind.__module__ == "tacit.errors"
    }
    assert found == ERRORS
    assert found.keys() <= set(tacit.__all__)
    drawn = [line.split()[-1] if "─" not in line else line.split("─ ")[1].split()[0]
             for line in (errors.__doc__ or "").splitlines() if "─" in line or line == "    TacitError"]  # fmt: skip
    assert sorted(drawn) == sorted(found)


def modules() -> Iterator[ModuleType]:
    yield tacit
    for found in pkgutil.walk_packages(tacit.__path__, "tacit."):
        if found.name != "tacit.__main__":
            try:
                yield importlib.import_module(found.name)
            except ImportError as error:  # an extra's module without the extra
                if str(error.name).startswith("tacit"):
                    raise


def own(thing: object, name: str) -> Iterator[tuple[str, Any]]:
    """The public classes and functions that a module or a class defines itself, with their names."""
    module = thing.__name__ if isinstance(thing, ModuleType) else thing.__module__
    for key, value in vars(thing).items():
        function = getattr(value, "fget", None) or getattr(value, "__func__", value)
        named = inspect.isclass(function) or inspect.isfunction(function)
        if named and not key.startswith("_") and function.__module__ == module:
            yield f"{name}.{key}", getattr(thing, key)
            if inspect.isclass(function):
                yield from own(function, f"{name}.{key}")


def promised(module: ModuleType) -> set[str]:
    """Names of what the protocols of a module declare: they are told there, and not again by who keeps to them."""
    kinds = [kind for kind in vars(module).values() if getattr(kind, "_is_protocol", False)]
    return {name for kind in kinds for name in vars(kind)}


def test_everything_public_is_documented() -> None:
    """By itself, by what it overrides or by a protocol; `forward` by its class, `width` and `height` by their names."""
    missing = [m.__name__ for m in modules() if m.__doc__ is None and Path(m.__file__ or "").stat().st_size]
    for module in modules():
        told = {"forward", "backward", "convert", "width", "height"} | promised(module)
        undocumented = [name for name, thing in own(module, module.__name__) if not inspect.getdoc(thing)]
        missing += [name for name in undocumented if name.rpartition(".")[2] not in told]
    assert missing == []


def test_the_version() -> None:
    assert tacit.__version__ == importlib.metadata.version("tacit")
    if (ROOT / "CHANGELOG.md").is_file():
        heading = re.search(r"^## \[(.*?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
        assert heading is not None
        assert heading[1] == tacit.__version__


def test_types_are_shipped() -> None:
    assert (Path(tacit.__file__).parent / "py.typed").is_file()


def test_importing_is_cheap() -> None:
    script = "import sys, tacit; assert not {'torch', 'numpy', 'PIL'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
