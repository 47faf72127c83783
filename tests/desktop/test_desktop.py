from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tacit import cli, container, desktop

GOLDEN = Path(__file__).resolve().parents[1] / "vectors" / "golden" / "tacit-s"


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's data folder of the tests' own."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data"


def entry_of(data: Path) -> dict[str, str]:
    lines = (data / "thumbnailers" / "tacit.thumbnailer").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines[1:])


def test_what_is_installed_is_removed_again(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["install-desktop"]) == 0
    written = [Path(line.removesuffix(" written")) for line in capsys.readouterr().out.splitlines()]
    assert all(path.is_file() for path in written)
    assert cli.main(["install-desktop"]) == 0  # again over what is there
    assert cli.main(["install-desktop", "--remove"]) == 0
    assert not any(path.exists() for path in written)
    capsys.readouterr()
    assert cli.main(["install-desktop", "--remove"]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.slow
def test_the_thumbnailer_that_is_installed_makes_a_thumbnail(data: Path, tmp_path: Path) -> None:
    desktop.install()
    entry = entry_of(data)
    assert Path(entry["TryExec"]).is_file()
    assert entry["MimeType"] == "image/x-tacit;"
    out = tmp_path / "out.png"
    values = {"%s": "48", "%i": str(GOLDEN / "caption.tacit"), "%o": str(out)}
    command = [values.get(word, word) for word in entry["Exec"].split()]
    subprocess.run(command, check=True)
    with Image.open(out) as image:
        assert max(image.size) == 48
        assert not image.info
    subprocess.run(command, check=True)  # over an old thumbnail


def test_a_program_whose_path_has_spaces_is_quoted(data: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / 'my "tools" 100%' / "python"))
    desktop.install()
    assert entry_of(data)["Exec"].startswith(f'"{tmp_path}/my \\"tools\\" 100%%/python" -m tacit thumbnail ')


def test_the_magic_is_the_signature() -> None:
    text = "".join(chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}" for byte in container.SIGNATURE)
    assert f'value="{text}"' in (Path(desktop.__file__).parent / "image-x-tacit.xml").read_text()


@pytest.mark.skipif(shutil.which("file") is None, reason="needs file(1)")
@pytest.mark.parametrize(("name", "version"), [("caption", 2), ("alpha", 1)])
def test_file_names_the_type(name: str, version: int) -> None:
    done = subprocess.run(
        ["file", "-b", "-m", desktop.MAGIC, GOLDEN / f"{name}.tacit"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"tacit image data, version {version}\n"


@pytest.mark.skipif(
    shutil.which("gio") is None or shutil.which("update-mime-database") is None, reason="needs gio and shared-mime-info"
)
def test_the_desktop_knows_a_file_by_its_contents(tmp_path: Path) -> None:
    desktop.install()
    shutil.copyfile(GOLDEN / "caption.tacit", tmp_path / "unnamed")
    done = subprocess.run(
        ["gio", "info", "-a", "standard::content-type", tmp_path / "unnamed"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "image/x-tacit" in done.stdout


@pytest.mark.skipif(
    any(shutil.which(program) is None for program in ("xdg-mime", "gio", "update-mime-database")),
    reason="needs xdg-mime, gio and shared-mime-info",
)
def test_xdg_mime_names_the_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CURRENT_DESKTOP", "GNOME")  # without a desktop it asks file(1), which has its own database
    desktop.install()
    shutil.copyfile(GOLDEN / "caption.tacit", tmp_path / "unnamed")
    asked = ["xdg-mime", "query", "filetype", str(tmp_path / "unnamed")]
    assert subprocess.run(asked, capture_output=True, text=True, check=True).stdout == "image/x-tacit\n"
    desktop.remove()
    assert "tacit" not in subprocess.run(asked, capture_output=True, text=True, check=False).stdout


def test_a_folder_that_cannot_be_written_is_named(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data.write_text("a file")
    assert cli.main(["install-desktop"]) == 1
    assert str(data) in capsys.readouterr().err


def test_a_thumbnail_of_a_bad_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.tacit").write_bytes(b"no image")
    assert cli.main(["thumbnail", str(tmp_path / "bad.tacit"), str(tmp_path / "out.png")]) == 1
    assert "tacit" in capsys.readouterr().err
    assert not (tmp_path / "out.png").exists()
