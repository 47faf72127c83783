"""ONNX Runtime runs graphs, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
from tacit.engine import sessions
import onnxruntime
onnxruntime.get_available_providers()
"""


def test_nothing_is_written_into_the_home_folder(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    environment |= {"HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        environment.pop(name, None)
    subprocess.run([sys.executable, "-c", PROGRAM], env=environment, check=True)
    assert os.listdir(tmp_path) == []
