"""Put an exported weights file into the package.

    python scripts/ship_weights.py EXPORT.safetensors [--name tacit-s]

The script copies the file to src/tacit/weights, with its ONNX graphs, writes its SHA-256 into the catalogue of weights,
checks that it codes an image, and makes the conformance vectors (scripts/golden.py) and the documents' blocks about the
weights again. Then run `make results`, and commit.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import subprocess
import sys
from pathlib import Path

from tacit import weights
from tacit.errors import TacitError

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 25_000_000  # bytes of a file in the package
CHECK = "import tacit; from PIL import Image; tacit.decode(tacit.encode(Image.linear_gradient('L'), model={name!r}))"


def main() -> None:
    """Copy, pin and check the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("export", type=Path)
    parser.add_argument("--name", default=weights.DEFAULT, choices=weights.SHIPPED)
    parser.add_argument("--no-golden", action="store_true", help="leave the conformance vectors as they are")
    arguments = parser.parse_args()
    try:
        weights.load(arguments.export)
    except TacitError as error:
        raise SystemExit(f"{arguments.export}: {error}") from error
    target = ROOT / "src" / "tacit" / "weights" / f"{arguments.name}.safetensors"
    target.parent.mkdir(exist_ok=True)
    temporary = weights.add_graphs(arguments.export, target.with_suffix(".tmp"))
    data = temporary.read_bytes()
    if len(data) > LIMIT:
        temporary.unlink()
        raise SystemExit(f"{arguments.export}: {len(data):,} bytes; a file in the package has at most {LIMIT:,}")
    temporary.chmod(0o644)
    temporary.replace(target)
    pin(target.parent / "catalogue.py", arguments.name, hashlib.sha256(data).hexdigest())
    # in processes of their own: this one has read the old catalogue
    subprocess.run([sys.executable, "-c", CHECK.format(name=arguments.name)], check=True)
    if not arguments.no_golden:
        subprocess.run([sys.executable, ROOT / "scripts" / "golden.py", arguments.name], check=True)
    subprocess.run([sys.executable, ROOT / "scripts" / "readme.py"], check=True)
    print(f"{arguments.name} is now {weights.describe(target).decode_hash.hex()}, {len(data):,} bytes")


def pin(path: Path, name: str, digest: str) -> None:
    """Write a file's SHA-256 into the table of shipped weights."""
    text = path.read_text()
    new, count = re.subn(rf'("{re.escape(name)}": ")[0-9a-f]{{64}}"', rf'\g<1>{digest}"', text)
    if count != 1:
        raise SystemExit(f"{path}: no single sha256 of {name} to replace")
    path.write_text(new)


if __name__ == "__main__":
    main()
