"""Draw the rooms of the package and the imports between them: `python scripts/rooms.py`, which writes docs/rooms.svg.

A room is a module or a package directly below `tacit`. The rows are the layers of import-linter in pyproject.toml. An
arrow from one room to another says that the first imports the second; an import that other arrows imply is left out
(the transitive reduction), and so are imports of `errors`, which everything imports. Imports for type checking count.
"""

from __future__ import annotations

import hashlib
import html
import re
import tomllib
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parent.parent
SVG = ROOT / "docs" / "rooms.svg"
EVERYWHERE = "errors"  # a room whose arrows would say nothing
WIDTH, BOX_HEIGHT, ROW_HEIGHT, MARGIN = 960, 30, 82, 16


def main() -> None:
    """Write the picture."""
    SVG.write_text(drawing(rows(), imports()), encoding="utf-8")
    print(f"{SVG.relative_to(ROOT)} written")


def rows() -> list[list[str]]:
    """Return the rooms of each layer, from the top down."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contract = next(c for c in settings["tool"]["importlinter"]["contracts"] if c["type"] == "layers")
    return [re.findall(r"\w+", layer) for layer in contract["layers"]]


def imports() -> dict[str, set[str]]:
    """Return the rooms that each room imports, without those that other imports imply."""
    graph = grimp.build_graph("tacit", cache_dir=None)
    direct: dict[str, set[str]] = {}
    for module in graph.modules:
        for imported in graph.find_modules_directly_imported_by(module):
            importer_room, imported_room = _room(module), _room(imported)
            if importer_room and imported_room and imported_room not in (importer_room, EVERYWHERE):
                direct.setdefault(importer_room, set()).add(imported_room)
    return {room: found - _implied(direct, found) for room, found in direct.items()}


def _room(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] != "__main__" else None


def _implied(direct: dict[str, set[str]], rooms: set[str]) -> set[str]:
    """Return all rooms that the given rooms import, directly or through others."""
    implied: set[str] = set()
    pending = [imported for room in rooms for imported in direct.get(room, ())]
    while pending:
        room = pending.pop()
        if room not in implied:
            implied.add(room)
            pending.extend(direct.get(room, ()))
    return implied


def digest(layers: list[list[str]], arrows: dict[str, set[str]]) -> str:
    """Return a hash of what the picture shows."""
    content = repr((layers, sorted((room, sorted(found)) for room, found in arrows.items())))
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def drawing(layers: list[list[str]], arrows: dict[str, set[str]]) -> str:
    """Return the picture as SVG, which follows the reader's colour scheme."""
    layers, lines = _ordered(layers, arrows), []
    place: dict[str, tuple[float, float, float]] = {}  # left, top and width of a box
    for number, layer in enumerate(layers):
        widths = [26 + 8.4 * len(room) for room in layer]
        gap = (WIDTH - 2 * MARGIN - sum(widths)) / (len(layer) + 1)
        left = MARGIN + gap
        for room, width in zip(layer, widths, strict=True):
            place[room] = left, MARGIN + number * ROW_HEIGHT, width
            left += width + gap
    for room in sorted(arrows):
        for imported in sorted(arrows[room]):
            (left, top, width), (to_left, to_top, to_width) = place[room], place[imported]
            x, to_x = left + width / 2, to_left + to_width / 2
            if top == to_top:  # beside each other: an arc below
                y, depth = top + BOX_HEIGHT, 22
                curve = f"M{x:.0f} {y} C{x:.0f} {y + depth} {to_x:.0f} {y + depth} {to_x:.0f} {y + 3}"
            else:
                y, middle = top + BOX_HEIGHT, (top + BOX_HEIGHT + to_top) / 2
                curve = f"M{x:.0f} {y} C{x:.0f} {middle:.0f} {to_x:.0f} {middle:.0f} {to_x:.0f} {to_top - 3}"
            lines.append(f'<path d="{curve}"><title>{room} imports {imported}</title></path>')
    for room, (left, top, width) in place.items():
        lines.append(
            f'<rect x="{left:.0f}" y="{top}" width="{width:.0f}" height="{BOX_HEIGHT}" rx="6"/>'
            f'<text x="{left + width / 2:.0f}" y="{top + 20}">{html.escape(room)}</text>'
        )
    height = 2 * MARGIN + (len(layers) - 1) * ROW_HEIGHT + BOX_HEIGHT
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">
<title>The rooms of tacit and the imports between them</title>
<desc>{digest(rows(), arrows)}</desc>
<style>
  svg {{ color-scheme: light dark; --ink: #1f2933; --soft: #52708f; --fill: #f3f6f9; background: #fff; }}
  @media (prefers-color-scheme: dark) {{
    svg {{ --ink: #e6edf3; --soft: #8fb0d0; --fill: #1c2733; background: #0d1117; }}
  }}
  rect {{ fill: var(--fill); stroke: var(--soft); }}
  text {{ fill: var(--ink); font: 14px ui-monospace, monospace; text-anchor: middle; }}
  path {{ fill: none; stroke: var(--soft); stroke-opacity: 0.75; marker-end: url(#head); }}
  marker path {{ fill: var(--soft); stroke: none; marker-end: none; }}
</style>
<defs><marker id="head" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="7" markerHeight="7" orient="auto">
<path d="M0 0 L8 4 L0 8 z"/></marker></defs>
{chr(10).join(lines)}
</svg>
"""


def _ordered(layers: list[list[str]], arrows: dict[str, set[str]]) -> list[list[str]]:
    """Return the layers with their rooms in an order in which fewer arrows cross, by their neighbours' mean places."""
    position = {room: (i + 1) / (len(layer) + 1) for layer in layers for i, room in enumerate(layer)}
    neighbours: dict[str, list[str]] = {room: [] for room in position}
    for room, found in arrows.items():
        for imported in found:
            neighbours[room].append(imported)
            neighbours[imported].append(room)
    ordered = [list(layer) for layer in layers]
    for _ in range(20):
        for layer in ordered:
            mean = {r: sum(position[n] for n in neighbours[r]) / (len(neighbours[r]) or 1) for r in layer}
            layer.sort(key=lambda room: (mean[room], room))
            position.update({room: (i + 1) / (len(layer) + 1) for i, room in enumerate(layer)})
    return ordered


if __name__ == "__main__":
    main()
