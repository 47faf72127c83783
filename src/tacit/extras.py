"""Packages that an extra of this package installs."""

from __future__ import annotations

import importlib
from typing import Any

from tacit.errors import MissingExtra


def require(package: str, what: str, extra: str) -> Any:
    """Import a package, and return it.

    Args:
        package: Its name, such as "torch".
        what: What needs it, as the message begins: "effort", "import-taco".
        extra: The extra that installs it.

    Raises:
        MissingExtra: It is not installed.
    """
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        raise MissingExtra(f"{what} needs {error.name}: pip install 'tacit[{extra}]'") from error
