"""Where the repository and the test data are."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VECTORS = ROOT / "tests" / "vectors"  # golden files and parity vectors
# Photographs and other large test data; tests that need them are skipped where there are none.
DATA = Path(os.environ.get("TACIT_DATA") or ROOT.parent / "shared" / "data")
