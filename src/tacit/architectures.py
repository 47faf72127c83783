"""The table of architectures: everything that the rest of tacit asks about one by its name or number.

Adding an architecture takes a module with its configuration and its model (see `tacit.models.float_model`), and one row
here. Nothing else decides anything by an architecture's name.

This module imports neither torch nor the models, so that `tacit info` and `tacit models` start at once; the classes are
imported when they are first asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """One row of the table."""

    name: str
    """The name in weights files, checkpoints and training configurations."""

    number: int
    """The model id in the header of `.tacit` files. Numbers are never reused."""

    config: str
    """The dotted path of the configuration, a frozen dataclass of sizes."""

    model: str
    """The dotted path of the float model, a `tacit.models.float_model.FloatModel` made of a configuration."""

    decoding_fields: tuple[str, ...]
    """The configuration's fields that decoding needs.

    They are part of the decode hash; the others are not, so that another analysis or text encoder leaves old files
    readable.
    """

    quality_maps: bool
    """Whether the quality may vary over an image."""

    bf16_parts: tuple[str, ...] = ()
    """Beginnings of the names of tensors that are stored with no more digits than bf16 has.

    Processors with bf16 round them to these values anyway, and these compress better: a package is a sixth smaller.
    """

    klt_start: bool = False
    """Whether training can begin with a linear transform codec written into the transforms (`tacit.training.klt`)."""

    weights_source: str = ""
    """How to come by weights where the package has none: what follows a semicolon in the error message."""

    def config_class(self) -> type[Any]:
        """Import and return the class of the configuration."""
        return _class_at(self.config)

    def model_class(self) -> type[Any]:
        """Import and return the class of the float model."""
        return _class_at(self.model)


_ROWS = (
    Architecture(
        name="tacit-s",
        number=1,
        config="tacit.models.tacit_s_config.TacitSConfig",
        model="tacit.models.tacit_s.TacitSModel",
        decoding_fields=("latent", "synthesis16", "synthesis8", "knots"),
        quality_maps=True,
        bf16_parts=("analysis.",),
        klt_start=True,
    ),
    Architecture(
        name="taco",
        number=2,
        config="tacit.models.taco.TacoConfig",
        model="tacit.models.taco.TacoModel",
        decoding_fields=("width", "latent", "knots", "published"),
        quality_maps=False,
        weights_source=(
            "`tacit import-taco CHECKPOINT taco.safetensors` makes them from a published checkpoint, and "
            "`tacit train taco-published` from images; then name the file"
        ),
    ),
)

ARCHITECTURES: Mapping[str, Architecture] = MappingProxyType({row.name: row for row in _ROWS})
"""All architectures by their names."""

FIRST = ARCHITECTURES["tacit-s"]
"""The architecture of files that name none: training checkpoints from before there was a second one."""


def by_number(number: int) -> Architecture | None:
    """Return the architecture with the number that a file's header gives, or None if the number is unknown."""
    return next((row for row in _ROWS if row.number == number), None)


def architecture_of(model: object) -> Architecture:
    """Return the architecture of a float model.

    Raises:
        LookupError: The model's class is in no row of the table.
    """
    path = f"{type(model).__module__}.{type(model).__qualname__}"
    for row in _ROWS:
        if row.model == path:
            return row
    raise LookupError(f"{path} is the model of no architecture")


def _class_at(path: str) -> type[Any]:
    """Import the class at a dotted path."""
    module, _, name = path.rpartition(".")
    kind: type[Any] = getattr(import_module(module), name)
    return kind
