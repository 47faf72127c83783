"""`tacit models` and `tacit import-taco`."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest

from support.command_line import records
from tacit import cli
from tacit.errors import CorruptWeights

pytestmark = pytest.mark.usefixtures("folder")


def test_models(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from tacit import weights

    def describe(path: Path) -> weights.WeightsInfo:
        if path.stem == "broken":
            raise CorruptWeights("broken: not a safetensors file")
        return weights.WeightsInfo(
            name=path.stem,
            path=path,
            architecture="small",
            decode_hash=bytes(8),
            variable_rate=True,
            size=123,
            graphs=True,
            card={"data": "photos", "steps": 7},
        )

    monkeypatch.setattr(weights, "available_models", lambda: ("broken", "mine"))
    monkeypatch.setattr(weights, "locate", Path)
    monkeypatch.setattr(weights, "describe", describe)
    assert cli.main(["models"]) == 1
    said = capsys.readouterr()
    assert said.err == "tacit: broken: not a safetensors file\n"
    assert said.out.startswith("mine\n  path            mine\n  architecture    small\n")
    assert said.out.endswith("  data            photos\n  steps           7\n")
    cli.main(["models", "--json"])
    (record,) = records(capsys.readouterr().out)
    assert (record["name"], record["weights_hash"], record["card"]["steps"]) == ("mine", "0" * 16, 7)


def test_import_taco(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import tacit

    def import_taco(path: str, out: str) -> None:
        Path(out).write_bytes(Path(path).read_bytes() * 2)

    module = types.ModuleType("tacit.weights")
    module.import_taco = import_taco  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tacit.weights", module)
    monkeypatch.setattr(tacit, "weights", module, raising=False)
    Path("checkpoint.pth.tar").write_bytes(b"w" * 600)
    assert cli.main(["import-taco", "checkpoint.pth.tar", "out.safetensors"]) == 0
    assert capsys.readouterr().out == "checkpoint.pth.tar -> out.safetensors  1.2 kB\n"
    assert cli.main(["import-taco", "checkpoint.pth.tar", "out.safetensors"]) == 1
    assert "out.safetensors exists already" in capsys.readouterr().err
    assert cli.main(["import-taco", "-f", "checkpoint.pth.tar", "out.safetensors"]) == 0
    assert cli.main(["import-taco", "checkpoint.pth.tar", "-o", "named.safetensors"]) == 0
    assert Path("named.safetensors").stat().st_size == 1200
    assert cli.main(["import-taco", "checkpoint.pth.tar"]) == 2
    assert cli.main(["import-taco", "checkpoint.pth.tar", "a.safetensors", "-o", "b.safetensors"]) == 2
