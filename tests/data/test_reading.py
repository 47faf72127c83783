"""docs/reading.md, and the names of `tacit.data`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import tacit.data
from support.paths import ROOT
from support.shards import write_tar
from tacit.codec import Codec

pytest.importorskip("webdataset")


@pytest.mark.usefixtures("leaves_files_open")
@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on one core
def test_the_pages_python_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: Codec, capsys: pytest.CaptureFixture[str]
) -> None:
    page = ROOT / "docs" / "reading.md"
    if not page.is_file():
        pytest.skip("no documents here")
    from support.pictures import synthetic

    blocks = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    assert len(blocks) == 3
    (tmp_path / "shards").mkdir()
    for shard in range(2):
        data = codec.encode(synthetic(240, 230, shard))
        write_tar(tmp_path / "shards" / f"0{shard}.tar", {"a.tacit": data, "a.txt": b"a boat", "b.tacit": b"bad"})
    write_tar(tmp_path / "shards" / "00.tar", {"a.tacit": data, "a.txt": b"a boat"})
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {}
    for block in blocks[:2]:  # Ray has a test of its own
        exec(compile(block, "reading.md", "exec"), namespace)
    said = capsys.readouterr().out
    assert "(230, 240, 3) a boat" in said
    assert said.count("torch.Size([1, 3, 224, 224]) a boat") == 4


def test_the_names() -> None:
    assert set(tacit.data.__all__) <= set(dir(tacit.data))
    for name in tacit.data.__all__:
        assert getattr(tacit.data, name).__name__ == name
    with pytest.raises(AttributeError, match=r"'tacit\.data' has no attribute 'dekoder'"):
        tacit.data.dekoder  # noqa: B018
