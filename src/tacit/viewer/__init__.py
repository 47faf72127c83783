"""The viewer: a static web page that decodes `.tacit` files in the browser, with the weights beside it.

Its files are those of `js/`, built: `make js` puts them into `static/` here.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from tacit import files, weights
from tacit.errors import MissingExtra
from tacit.weights.decoding_part import decoding_part

STATIC = Path(__file__).parent / "static"


def export(folder: str | os.PathLike[str], models: Sequence[str] = tuple(weights.SHIPPED)) -> Path:
    """Write the viewer into a folder that any web server can serve, and return the folder.

    What is there already under the same names is replaced.

    Args:
        folder: Where the viewer goes; it is made.
        models: The names or the paths of the weights that go along, without what only an encoder needs.

    Raises:
        MissingExtra: This installation has no viewer: it was built from sources without `make js`.
        UnknownModel: There is no model of a name.
        CorruptWeights: A weights file is damaged, or has no graphs.
        PathError: The folder cannot be written.
    """
    if not (STATIC / "index.html").is_file():
        raise MissingExtra(
            "this installation has no viewer; in a clone of the sources, build it with: make js, and install it again"
        )
    found = [weights.locate(model) for model in models]
    target = Path(folder)
    for source in sorted(STATIC.rglob("*")):
        if source.is_file():
            files.write(str(target / source.relative_to(STATIC)), source.read_bytes(), force=True)
    for path in found:
        name = weights.describe(path).decode_hash.hex()
        files.write(str(target / "weights" / f"{name}.safetensors"), decoding_part(path), force=True)
    return target
