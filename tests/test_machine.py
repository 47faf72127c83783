"""The machine's cores and memory as this process sees them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tacit import machine


def test_the_machine_is_described() -> None:
    assert 1 <= machine.cores() <= (os.cpu_count() or 1)
    assert machine.processor()


@pytest.mark.skipif(not Path("/proc/meminfo").is_file(), reason="the system does not report its memory this way")
def test_memory_is_in_bytes() -> None:
    total, available = machine.total_memory(), machine.available_memory()
    assert total is not None
    assert available is not None
    assert 0 < available <= total
    assert total > 64 << 20


def test_the_smaller_limit_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "/proc/meminfo": "MemTotal: 4096 kB\nMemAvailable: 2048 kB\n",
        "/sys/fs/cgroup/memory.max": "1048576\n",
        "/sys/fs/cgroup/memory.current": "48576\n",
    }
    monkeypatch.setattr(Path, "read_text", lambda self: files[str(self)])
    assert machine.total_memory() == 4096 * 1024
    assert machine.available_memory() == 1_000_000
    files["/sys/fs/cgroup/memory.max"] = "max\n"
    assert machine.available_memory() == 2048 * 1024


def test_a_system_without_these_files(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(self: Path) -> str:
        raise FileNotFoundError(self)

    monkeypatch.setattr(Path, "read_text", missing)
    assert machine.total_memory() is None
    assert machine.available_memory() is None
    assert machine.processor()


def test_vector_instructions_are_those_that_linux_names(monkeypatch: pytest.MonkeyPatch) -> None:
    fields = {"flags": "fpu sse2 avx2 fma avx512f"}
    monkeypatch.setattr(machine, "_field", lambda _, name: fields.get(name))
    assert machine.instruction_sets() == ("avx2", "fma", "avx512f")
    fields.clear()
    assert machine.instruction_sets() == ()


@pytest.mark.parametrize(("set_before", "expected"), [(None, "1000"), ("7", "7")])
def test_torch_comes_with_threads_that_sleep(set_before: str | None, expected: str) -> None:
    """Spinning threads take thirty times as long where another program has one of the cores."""
    pytest.importorskip("torch")
    code = """
import os, sys
from tacit.codec.engines import Engines

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "torch" and not seen:
            seen.append(os.environ.get("GOMP_SPINCOUNT"))

seen = []
sys.meta_path.insert(0, Watch())
Engines("torch", "cpu", "fp32")
print(*seen, "torch" in sys.modules)
"""
    environment = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
    if set_before is not None:
        environment["GOMP_SPINCOUNT"] = set_before
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [expected, "True"]
