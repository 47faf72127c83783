"""The machine's cores and memory as this process sees them."""

from __future__ import annotations

import os
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
