"""What fuzzing found stays mended, and the harness works, which needs no atheris but for the search itself."""

from __future__ import annotations

import importlib
import random
from pathlib import Path

import pytest

from fuzz import tacit_files, tally
from fuzz.targets import TARGETS
from support.containers import FILES
from support.paths import ROOT, VECTORS
from tacit import container
from tacit.errors import CorruptFile

FINDINGS = sorted(path for path in (VECTORS / "fuzz").rglob("*") if path.is_file())
SEEDS = sorted(path for path in (ROOT / "fuzz" / "corpus").rglob("*") if path.is_file())


@pytest.mark.parametrize("path", FINDINGS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_fuzzing_found_stays_mended(path: Path) -> None:
    importlib.import_module(f"fuzz.{path.parent.name}").check(path.read_bytes())


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_takes_its_seeds(target: str) -> None:
    seeds = [path for path in SEEDS if path.parent.name == target]
    assert len(seeds) >= 5
    assert (ROOT / "fuzz" / f"{TARGETS[target].dictionary}.dict").is_file()
    for path in seeds:
        importlib.import_module(f"fuzz.{target}").check(path.read_bytes())


def test_the_check_of_the_container_sees_what_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    check = importlib.import_module("fuzz.container").check
    check(FILES["bare"])
    header, metadata, sizes = container.read_header(FILES["bare"])
    monkeypatch.setattr(container, "read_header", lambda data: (header, metadata, sizes | {"other": 1}))
    with pytest.raises(AssertionError, match="sizes"):
        check(FILES["bare"])


@pytest.mark.parametrize("name", FILES)
def test_mutations_keep_checksums_right_most_of_the_time(name: str) -> None:
    chooser = random.Random(1)

    def change(data: bytes, limit: int) -> bytes:
        changed = bytearray(data)
        if changed:
            changed[chooser.randrange(len(changed))] ^= 1 << chooser.randrange(8)
        return bytes(changed)[:limit]

    assert b"".join(map(tacit_files.framed, tacit_files.split(FILES[name]))) == FILES[name][tacit_files.START :]
    damaged = 0
    for seed in range(300):
        data = tacit_files.mutate(FILES[name], 4096, seed, change)
        try:
            container.read(data)
        except CorruptFile as error:
            damaged += "checksum" in str(error)
        except Exception:
            pass
    assert 0 < damaged < 100


def test_executions_are_added_up_over_runs_whole_and_ended() -> None:
    log = (
        "#100\tNEW    cov: 3 ft: 4 corp: 7/1Kb exec/s: 50 rss: 44Mb\nDone 1000 runs in 20 second(s)\n"
        "#50\tNEW    cov: 3 ft: 4 corp: 8/1Kb exec/s: 5 rss: 44Mb\n"
        "#300\tREDUCE cov: 3 ft: 4 corp: 9/1Kb exec/s: 10 rss: 1Mb\n"
    )
    assert tally.tally(log) == (1300, 50, 9)
    assert tally.tally("") == (0, 0, 0)
    before = {
        "shard": {"executions": 5, "seconds": 1, "corpus": 2},
        "info": {"executions": 7, "seconds": 1, "corpus": 3},
    }
    assert tally.added(before, {"info": log, "image": ""}) == {
        "info": {"executions": 1307, "seconds": 51, "corpus": 9},
        "image": {"executions": 0, "seconds": 0, "corpus": 0},
        "shard": before["shard"],
    }
