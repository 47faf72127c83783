"""Run the notebooks of docs/notebooks: `python scripts/notebooks.py [NOTEBOOK ...]`.

Each is run from its first cell to its last, in an empty folder and a kernel of its own, and its time is printed; a cell
that fails ends the run with status 1. The site runs them the same way and shows what they give. Notebooks are kept
without outputs, so that a change of one is a change of its text.
"""

from __future__ import annotations

import argparse
import base64
import re
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "notebooks"
LIMIT = 120  # seconds that a cell may take, on a busy machine
IMAGES = "{images}"  # stands in the page for the beginning of its images' names
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class CellFailed(Exception):
    """A cell of a notebook failed, or took too long."""


@dataclass(frozen=True)
class Shown:
    """A notebook as a page."""

    markdown: str
    """The text; image n is named `{images}-n.png` in it."""
    images: tuple[bytes, ...]
    """The images, as PNG files."""


def main() -> int:
    """Run notebooks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebook", type=Path, nargs="*")
    status = 0
    for path in parser.parse_args().notebook or sorted(FOLDER.glob("*.ipynb")):
        start = time.perf_counter()
        try:
            run(path)
        except CellFailed as error:
            print(f"{path.name}: {error}", file=sys.stderr)
            status = 1
        else:
            print(f"{path.name}  {time.perf_counter() - start:.1f} s")
    return status


def run(path: Path) -> Any:
    """Return a notebook with the outputs of all its cells.

    Args:
        path: The notebook.

    Raises:
        CellFailed: A cell failed, or took longer than the limit.
    """
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError

    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            timeout=LIMIT,
            kernel_name="python3",
            extra_arguments=["--log-level=ERROR"],
            resources={"metadata": {"path": folder}},
        )
        try:
            return client.execute()
        except (CellExecutionError, CellTimeoutError) as error:
            raise CellFailed(COLOURS.sub("", str(error))) from error


def show(notebook: Any) -> Shown:
    """Return a notebook as a page: its text, its code, and what the code printed and showed.

    Args:
        notebook: The notebook, with outputs.
    """
    parts: list[str] = []
    images: list[bytes] = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            parts.append(cell.source)
            continue
        parts.append(f"```python\n{cell.source}\n```")
        for output in cell.outputs:
            data = output.get("data", {})
            if "image/png" in data:
                images.append(base64.b64decode(data["image/png"]))
                parts.append(f"![What the code above shows]({IMAGES}-{len(images)}.png)")
            else:
                text = COLOURS.sub("", output.get("text") or data.get("text/plain", "")).rstrip()
                parts += [f"```text\n{text}\n```"] if text else []
    return Shown("\n\n".join(parts) + "\n", tuple(images))


if __name__ == "__main__":
    sys.exit(main())
