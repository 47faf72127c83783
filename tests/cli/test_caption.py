"""`tacit caption`: from files, folders and shards to a list that `tacit encode` reads; its cache, limits and end."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from support.chat_server import KEY, Server, caption, error, hang_up
from tacit import cli
from tacit.captions import CaptionMap
from tacit.finding.box_map import BoxMap

pytest.importorskip("httpx", reason="the extra tacit[caption] is not installed")

from support.caption_files import png, rows, save, shard

pytest.importorskip("httpx", reason="the extra tacit[caption] is not installed")


@pytest.fixture
def run(chat_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_BASE_URL", chat_server.url)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def call(*arguments: str | Path) -> int:
        usual = ["--rate", "100000", "--timeout", "5", "--attempts", "2"]
        return cli.main(["caption", *map(str, arguments), *usual])

    return call


def test_files_folders_and_shards(run: Any, chat_server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    save(Path("one.png"))
    save(Path("folder/deep/two.webp"), (1, 2, 3))
    Path("folder/notes.txt").write_text("no image")
    shard(Path("folder/0001.tar"), {"a/x.png": png((9, 9, 9)), "a/x.txt": b"old", "y.jpg": png((7, 7, 7))})
    assert run("one.png", "folder") == 0
    assert rows() == dict.fromkeys(
        ["one.png", "folder/deep/two.webp", "folder/0001.tar/a/x.png", "folder/0001.tar/y.jpg"], "a red boat"
    )
    assert len(chat_server.asked) == 4
    said = capsys.readouterr()
    assert "tacit: 4 images, 4 to ask for\n" in said.err
    assert "4 requests, about " in said.err
    assert "at most about $0.02" in said.err
    assert "one.png  a red boat\n" in said.out
    assert "4 of 4 files done" in said.err
    for line in Path("captions.jsonl").read_text().splitlines():
        assert json.loads(line)["source"] == "gpt-4o"


def test_what_it_writes_is_what_encode_reads(run: Any, chat_server: Server, tiny_weights: Path) -> None:
    chat_server.replies = [caption('A boat, "R\u00e9publique", in the centre.')]
    save(Path("photos/b\u00f6at.png"))
    assert run("photos", "-o", "out/captions.jsonl") == 0
    assert list(rows("out/captions.jsonl")) == ["../photos/b\u00f6at.png"]
    arguments = ["photos", "-o", "small/", "--captions", "out/captions.jsonl", "--store-caption", "-m"]
    assert cli.main(["encode", *arguments, str(tiny_weights)]) == 0
    import tacit

    assert tacit.info("small/b\u00f6at.tacit").caption == 'A boat, "R\u00e9publique", in the centre.'


def test_json_for_machines(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    save(Path("one.png"))
    assert run("one.png", "none.png", "--json", "--quiet", "-j", "1") == 1
    said = capsys.readouterr()
    one, none = map(json.loads, said.out.splitlines())
    assert (one["file"], one["caption"], one["from"]) == ("one.png", "a red boat", "model")
    assert (none["file"], none["kind"]) == ("none.png", "PathError")
    assert "images" not in said.err


def test_one_bad_file_is_told_and_the_rest_go_on(
    run: Any,
    chat_server: Server,
    capsys: pytest.CaptureFixture[str],
) -> None:
    chat_server.replies = [caption("a red boat"), caption(None, refusal="not this one"), caption("a red boat")]
    for index in range(3):
        save(Path(f"{index}.png"), (index, 0, 0))
    Path("3.png").write_bytes(b"no image")
    shard(Path("cut.tar"), {"x.png": png((1, 1, 1)), "y.png": png((2, 2, 2)) + b"\0" * 30_000})
    Path("cut.tar").write_bytes(Path("cut.tar").read_bytes()[:12_000])
    Path("none.tar").write_bytes(b"\x1f\x8b no tar at all" * 100)
    shard(Path("text.tar"), {"x.txt": b"text"})
    arguments = ["0.png", "1.png", "2.png", "3.png", "cut.tar", "none.tar", "text.tar", "-", "-j", "1"]
    assert run(*arguments) == 1
    assert list(rows()) == ["0.png", "2.png", "cut.tar/x.png"]
    said = capsys.readouterr().err
    assert "1.png: refused: not this one" in said
    assert "3.png: " in said
    assert "cut.tar" in said
    assert "none.tar: not a whole, uncompressed tar archive" in said
    assert "text.tar: no image in this shard" in said
    assert "standard input: cannot be captioned" in said


def test_two_shards_may_hold_the_same_names(run: Any) -> None:
    for index in range(2):
        shard(Path(f"{index}.tar"), {"0.png": png((index, 0, 0))})
    assert run("0.tar", "1.tar") == 0
    assert list(rows()) in (["0.tar/0.png", "1.tar/0.png"], ["1.tar/0.png", "0.tar/0.png"])


def test_nothing_is_sent_above_the_limit(
    run: Any,
    chat_server: Server,
    capsys: pytest.CaptureFixture[str],
) -> None:
    save(Path("one.png"))
    assert run("one.png", "--limit", "0.0001") == 2
    assert "needs --yes, because it is more than $0.0001: 1 request," in capsys.readouterr().err
    assert not chat_server.asked
    assert not Path("captions.jsonl").exists()
    assert run("one.png", "--limit", "0.0001", "--yes") == 0
    assert len(chat_server.asked) == 1
    # What is done already costs nothing.
    assert run("one.png", "--limit", "0.0001") == 0
    assert len(chat_server.asked) == 1


def test_many_requests_at_an_unknown_price_are_asked_about(
    run: Any,
    chat_server: Server,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for index in range(101):
        save(Path(f"in/{index}.png"), (index, 0, 0), (2, 2))
    assert run("in", "-m", "mine") == 2
    assert "more than 100 requests at an unknown price" in capsys.readouterr().err
    assert not chat_server.asked
    assert run("in", "-m", "mine", "--estimate") == 0
    assert run("in", "-m", "mine", "--price", "0.1,0.2", "--quiet") == 0
    assert len(chat_server.asked) == 101


def test_an_estimate_needs_no_key_and_sends_nothing(
    run: Any,
    chat_server: Server,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.delenv("OPENAI_BASE_URL")
    save(Path("one.png"))
    assert run("one.png", "--estimate", "--quiet") == 0
    assert "1 request, about 4" in capsys.readouterr().err
    assert not Path("captions.jsonl").exists()
    assert run("one.png") == 1
    assert "OpenAI needs a key: set OPENAI_API_KEY" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["--local"], ["--local", "-m", "x", "--base-url", "http://x"], ["--price", "1"], ["--price", "a,b"]]
)
def test_wrong_usage(run: Any, arguments: list[str]) -> None:
    save(Path("one.png"))
    assert run("one.png", *arguments) == 2


def test_a_second_run_asks_for_what_is_left_only(
    run: Any,
    chat_server: Server,
    capsys: pytest.CaptureFixture[str],
) -> None:
    save(Path("in/0.png"), (0, 0, 0))
    save(Path("in/1.png"), (1, 0, 0))
    chat_server.replies = [caption("first"), hang_up, hang_up, caption("second")]
    assert run("in", "-j", "1") == 1
    assert rows() == {"in/0.png": "first"}
    capsys.readouterr()
    assert run("in", "-j", "1") == 0
    assert "2 images, 1 written already, 1 to ask for" in capsys.readouterr().err
    assert rows() == {"in/0.png": "first", "in/1.png": "second"}
    assert len(chat_server.asked) == 4


def test_the_same_picture_is_paid_for_once(run: Any, chat_server: Server) -> None:
    save(Path("in/0.png"))
    assert run("in/0.png", "-o", "a.jsonl") == 0
    chat_server.replies = [caption("another answer")]
    Path("copy.png").write_bytes(Path("in/0.png").read_bytes())
    assert run("copy.png", "-o", "b.jsonl") == 0
    assert rows("b.jsonl") == {"copy.png": "a red boat"}
    assert len(chat_server.asked) == 1
    # Another question, model or size is another answer.
    Path("prompt.txt").write_text("What is this?")
    for index, options in enumerate([["--prompt", "prompt.txt"], ["-m", "gpt-4o-mini"], ["--image-size", "512"]]):
        assert run("copy.png", "-f", "-o", "b.jsonl", *options) == 0
        assert len(chat_server.asked) == 2 + index
    assert run("copy.png", "-f", "-o", "b.jsonl", "--no-cache") == 0
    assert len(chat_server.asked) == 5
    assert rows("b.jsonl") == {"copy.png": "another answer"}


def test_nothing_on_disk_has_the_key(run: Any, chat_server: Server, tmp_path: Path) -> None:
    save(Path("one.png"))
    chat_server.replies = [error(429, f"wait, {KEY}"), caption("a red boat")]
    assert run("one.png") == 0
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) == 3  # the picture, the row, the answer
    assert not any(KEY.encode() in data or chat_server.url.encode() in data for data in written)


def test_a_wrong_key_ends_the_run_with_one_line(
    run: Any,
    chat_server: Server,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for index in range(20):
        save(Path(f"in/{index:02}.png"), (index, 0, 0))
    chat_server.replies = [caption("a red boat"), error(401, f"Incorrect API key: {KEY}")]
    assert run("in", "-j", "2") == 1
    said = capsys.readouterr()
    assert said.err.count("HTTP 401: Incorrect API key: [key]") == 1
    assert KEY not in said.err + said.out
    assert len(chat_server.asked) <= 4
    assert len(rows()) == 1


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_done_and_waits_for_nothing(tmp_path: Path, chat_server: Server) -> None:
    for index in range(8):
        save(tmp_path / f"in/{index}.png", (index, 0, 0))
    chat_server.replies = [caption("a red boat"), caption("a red boat"), error(429, Retry_After="60")]
    arguments = ["caption", "in", "--base-url", chat_server.url, "--rate", "100000", "--cache", "cache", "-j", "2"]
    script = f"import sys; from tacit import cli; sys.exit(cli.main({arguments!r}))"
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    until = time.monotonic() + 30
    while len(chat_server.asked) < 3 and time.monotonic() < until:
        time.sleep(0.02)
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=10)
    assert process.returncode == 130, said
    assert "interrupted: 2 of 8 files done" in said
    assert len(rows(tmp_path / "captions.jsonl")) == 2
    assert len([path for path in (tmp_path / "cache").rglob("*") if path.is_file()]) == 2


@pytest.mark.slow
def test_the_command_runs_a_local_model(run: Any, chat_server: Server, tiny_blip: Path) -> None:
    save(Path("one.png"))
    assert run("one.png", "--local", "-m", tiny_blip, "--max-tokens", "5") == 0
    assert rows()["one.png"]
    assert not chat_server.asked


SHOWN = 'A red boat lies in the middle. BOXES: [{"phrase": "A red boat", "box": [250, 500, 750, 1000]}]'


def test_boxes_come_with_the_caption(run: Any, chat_server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    chat_server.replies = [caption(SHOWN.replace(" BOXES: ", "\n\n**BOXES:**\n```json\n").replace("**", "") + "\n```")]
    Path("in").mkdir()
    shard(Path("in/0.tar"), {"a.png": png((9, 9, 9))})
    assert run("in", "--boxes", "--estimate") == 0
    assert "at most 1,500 from it" in capsys.readouterr().err
    assert not chat_server.asked
    assert run("in", "--boxes", "-o", "out.jsonl") == 0
    (asked,) = chat_server.asked
    question = asked["messages"][0]["content"][0]["text"]
    assert question.startswith("Describe this photograph")
    assert "write BOXES: and then a JSON list" in question
    assert "A red boat lies in the middle., 1 box\n" in capsys.readouterr().out
    (row,) = map(json.loads, Path("out.jsonl").read_text().splitlines())
    width, height = Image.open(io.BytesIO(png((9, 9, 9)))).size
    assert row == {
        "file": "in/0.tar/a.png",
        "captions": ["A red boat lies in the middle."],
        "source": "gpt-4o",
        "boxes": [{"box": [width // 4, height // 2, width // 2, height - height // 2], "phrase": "A red boat"}],
    }
    assert CaptionMap.load("out.jsonl").find("in/0.tar/a.png") == row["captions"][0]
    found = BoxMap.load("out.jsonl").find("in/0.tar/a.png", "two red boats", width, height)
    assert found == ((width // 4, height // 2, 3 * width // 4, height),)
    # a second run asks for nothing; a new list is made from the cache
    assert run("in", "--boxes", "-o", "out.jsonl") == run("in", "--boxes", "-o", "again.jsonl") == 0
    assert Path("again.jsonl").read_text() == Path("out.jsonl").read_text()
    assert len(chat_server.asked) == 1


def test_answers_without_boxes_are_errors_of_that_image_and_not_kept(
    run: Any, chat_server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    chat_server.replies = [caption("A red boat."), caption("A boat. BOXES: it is on the left"), caption(SHOWN)]
    save(Path("one.png"))
    for message in ("the answer must be a caption, BOXES: and a list", "must be a list of phrases and boxes"):
        assert run("one.png", "--boxes", "-j", "1") == 1
        assert message in capsys.readouterr().err
        assert not Path("captions.jsonl").exists()
    assert run("one.png", "--boxes") == 0
    assert len(chat_server.asked) == 3


def test_a_finder_finds_the_boxes_of_captions_that_are_there(
    run: Any, chat_server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    chat_server.replies = [caption("a red square")]
    pixels = np.full((64, 96, 3), 128, np.uint8)
    pixels[16:48, 48:80] = (255, 0, 0)
    Image.fromarray(pixels).save("one.png")
    assert run("one.png") == 0
    capsys.readouterr()
    assert run("one.png", "--boxes", "--finder", "embedded") == 0
    said = capsys.readouterr()
    assert "1 image, 1 to find boxes in, 0 to ask for" in said.err
    assert "a red square, 1 box\n" in said.out
    assert len(chat_server.asked) == 1
    first, second = map(json.loads, Path("captions.jsonl").read_text().splitlines())
    assert first == {name: value for name, value in second.items() if name != "boxes"}
    ((left, top, right, bottom),) = BoxMap.load("captions.jsonl").find("one.png", "a red square", 96, 64) or ()
    assert abs(left - 48) + abs(top - 16) + abs(right - 80) + abs(bottom - 48) < 24
    assert run("one.png", "--boxes", "--finder", "embedded") == 0
    assert len(Path("captions.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--finder", "embedded"], "--finder must be used together with --boxes"),
        (["--boxes", "--finder", "nobody"], "finder must be one of embedded"),
        (["--boxes", "--finder", "endpoint:other"], "must be the endpoint and the --model that write the captions"),
        (["--boxes", "--finder", "endpoint", "--local", "-m", "x"], "must be the endpoint and the --model"),
    ],
)
def test_finders_that_cannot_be(
    run: Any, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    save(Path("one.png"))
    assert run("one.png", *arguments) == 2
    assert message in capsys.readouterr().err.replace("\n", " ")
