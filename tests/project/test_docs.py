"""The documents: commands and options are in them, generated parts are current, links resolve, examples run."""

from __future__ import annotations

import importlib
import io
import re
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import click
import pytest
from PIL import Image

import tacit
from support.paths import ROOT
from tacit import cli, weights
from tacit.errors import TacitError

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "fuzz").glob("*.md")])

pytestmark = pytest.mark.skipif(not (ROOT / "README.md").is_file(), reason="no documents here")


def _weights_are_here() -> bool:
    try:
        weights.describe(weights.locate(weights.DEFAULT))
    except TacitError:
        return False
    return True


needs_weights = pytest.mark.skipif(not _weights_are_here(), reason="no weights")


@pytest.fixture
def readme() -> ModuleType:
    return importlib.import_module("scripts.readme")


def _commands() -> Iterator[tuple[str, click.Command]]:
    for name in cli.group.COMMANDS:
        command = cli.command.get_command(click.Context(cli.command), name)
        assert command is not None
        yield name, command


@pytest.mark.parametrize("name", [name for name, _ in _commands()])
def test_every_command_is_in_the_quick_start_and_all_its_options_in_the_reference(name: str) -> None:
    assert f"`tacit {name}`" in (ROOT / "docs" / "quick-start.md").read_text().split("## Every command", 1)[1]
    reference = (ROOT / "docs" / "cli.md").read_text()
    section = reference.split(f"## tacit {name}\n", 1)[1].split("\n## ", 1)[0]
    for parameter in dict(_commands())[name].params:
        if not isinstance(parameter, click.Option):
            continue
        for option in parameter.opts:
            assert re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", section), option


@pytest.mark.parametrize(
    "block",
    [
        *("glance", "kodak", "speed"),
        *("reference", "bulk", "bulk-plan", "freezing", "reading", "web", "fuzz", "thumbnails"),
        *("weighing", "words", "names"),
        *("study-captions", "study-steering", "study-oracle", "study-sweep", "study-small"),
        *("study-text", "study-claims"),
    ],
)
def test_generated_blocks_are_current(readme: ModuleType, block: str) -> None:
    found = [m for path in readme.documents() for m in readme.BLOCK.finditer(path.read_text()) if m["name"] == block]
    assert found, f"no document has the block {block}"
    for match in found:
        assert match[0] == readme._block(block), f"run scripts/readme.py: {block}"


SESSIONS = ("session", "session-python", "session-start", "session-folder", "session-keep", "session-compare")


@needs_weights
@pytest.mark.slow
@pytest.mark.parametrize("block", [*SESSIONS, "shipped"])
def test_blocks_that_need_weights_are_current_but_for_figures(readme: ModuleType, block: str) -> None:
    if block in SESSIONS:
        pytest.importorskip("skimage")
    (match,) = [m for path in readme.documents() for m in readme.BLOCK.finditer(path.read_text()) if m["name"] == block]
    found, made = (readme._comparable(block, text) for text in (match["body"], readme.BLOCKS[block]()))
    assert found == made, f"run scripts/readme.py: {block}"


@needs_weights
def test_speed_is_that_of_the_shipped_weights(readme: ModuleType) -> None:
    result = readme._results("bench")
    if result is None:
        pytest.skip("not measured yet")
    shipped = weights.describe(weights.locate(weights.DEFAULT)).decode_hash.hex()
    assert result["weights_hash"] == shipped, "run make results"


def test_the_kodak_results_are_of_the_shipped_weights_and_their_report_and_plots_of_them(readme: ModuleType) -> None:
    found = readme.kodak_results()
    if found is None:
        pytest.skip("not measured yet")
    for codec in (weights.DEFAULT, f"{weights.DEFAULT}+captions"):
        about = found.codecs[codec]["weights"]["all"]
        assert about["sha256"] == weights.SHIPPED[weights.DEFAULT], "run make results"
    assert found.images["Kodak"] == tuple(f"kodim{i:02}.png" for i in range(1, 25))
    assert not found.measurements.failures
    assert readme.outdated_reports() == [], "run make kodak"


def test_a_session_that_does_not_end_as_it_should_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = importlib.import_module("scripts.sessions")
    for line, fails in (("tacit info missing.tacit", ()), ("tacit --version", (0,)), (">>> 1 / 0", ())):
        monkeypatch.setitem(sessions.SESSIONS, "wrong", sessions.Session(lambda: None, (line,), fails))
        with pytest.raises(SystemExit, match=r"exit status|ZeroDivisionError"):
            sessions.transcript("wrong")


def test_the_readme_stays_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120


def test_all_blocks_are_known(readme: ModuleType) -> None:
    used = {m["name"] for path in readme.documents() for m in readme.BLOCK.finditer(path.read_text())}
    assert used == set(readme.BLOCKS)


def _anchors(path: Path) -> set[str]:
    """As GitHub makes them of headings."""
    titles = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_links_resolve(path: Path) -> None:
    text = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("https://"):
            continue
        file, _, anchor = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        assert there.is_file(), target
        if anchor:
            assert anchor in _anchors(there), target


def _python_of(document: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / "docs" / document).read_text(), re.DOTALL)


@needs_weights
def test_the_quick_starts_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = _python_of("quick-start.md")
    assert len(blocks) == 3
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("builtins.print", lambda *_: None)
    gradient = Image.radial_gradient("L").resize((320, 260))
    Image.merge("RGB", [gradient, gradient.rotate(180), gradient]).save("chelsea.png")
    namespace: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "quick-start.md", "exec"), namespace)
    assert tacit.info("cat.tacit").caption == "a tabby cat with green eyes"


@needs_weights
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # WebDataset leaves its files open
def test_the_python_of_reading_shards_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("webdataset")
    first, second = _python_of("howto/read-shards.md")
    (tmp_path / "shards").mkdir()
    monkeypatch.chdir(tmp_path)
    data = tacit.encode(Image.radial_gradient("L").convert("RGB"))
    with tarfile.open("shards/files-000000.tar", "w") as tar:
        for name, content in (("0.tacit", data), ("0.txt", b"a disc")):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    printed: list[tuple[object, ...]] = []
    monkeypatch.setattr("builtins.print", lambda *words: printed.append(words))
    exec(compile(first, "read-shards.md", "exec"), {})
    assert printed == [("0", (256, 256, 3), "a disc")]
    pytest.importorskip("torch")
    exec(compile(second.replace("num_workers=2", "num_workers=0"), "read-shards.md", "exec"), {"__name__": "__main__"})
    assert printed[1:] == [((1, 3, 224, 224), "a disc")]


def test_the_options_in_the_how_tos_are_options() -> None:
    commands = dict(_commands())
    found = 0
    for path in sorted((ROOT / "docs" / "howto").glob("*.md")):
        text = path.read_text()
        for line in re.findall(r"(?:^    |`|^\$ |secret )(tacit [^`\n]+)", text, re.MULTILINE):
            name, rest = line.split()[1], line.split()[2:]
            options = {o for parameter in commands[name].params for o in (*parameter.opts, *parameter.secondary_opts)}
            for word in rest:
                if re.match(r"--?[a-z]", word):
                    found += 1
                    assert word.partition("=")[0] in options, (path.name, line)
    assert found > 30


def test_the_rooms_are_drawn_and_listed() -> None:
    rooms = importlib.import_module("scripts.rooms")
    layers = rooms.rows()
    assert rooms.digest(layers, rooms.imports()) in rooms.SVG.read_text(), "run scripts/rooms.py"
    design = (ROOT / "docs" / "design.md").read_text()
    table = "".join(re.findall(r"^\| (`.*?) \|", design, re.MULTILINE))
    assert [room for layer in layers for room in layer if f"`{room}`" not in table] == []


def test_what_make_offers_is_there() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    text = makefile + "".join(path.read_text() for path in DOCUMENTS)
    named = set(re.findall(r"(?<=`)make ([a-z-]+)", text)) | set(re.findall(r"(?m)^    make ([a-z-]+)", text))
    assert named <= targets
    assert {"test", "check", "demo", "results"} <= named
    for script in re.findall(r"scripts/(\w+\.py)", text):
        assert (ROOT / "scripts" / script).is_file(), script
    for benchmark in re.findall(r"-m benchmarks\.(\w+)", text):
        assert (ROOT / "benchmarks" / f"{benchmark}.py").is_file(), benchmark


def test_no_file_names_the_folder_it_was_written_in() -> None:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a clone")
    names = [name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]
    assert names
    for name in names:
        data = (ROOT / name).read_bytes()
        assert f"{ROOT}/".encode() not in data, name
        assert f"{ROOT.parent}/shared".encode() not in data, name
