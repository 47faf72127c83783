"""`tacit caption` from files, folders and shards to a map that `tacit encode` reads; its cache, its limits, its end."""

from __future__ import annotations

import errno
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from support.chat_server import KEY, Server, caption, error, hang_up
from tacit import cli
from tacit.captions import AnswerCache, CaptionFile, Captioning, CaptionMap, LocalCaptioner, find_images
from tacit.captions.captioning import _upright_rgb
from tacit.errors import CaptionerError, InvalidInput, PathError

pytest.importorskip("httpx", reason="the extra tacit[caption] is not installed")


def save(path: Path, colour: tuple[int, ...] = (200, 30, 40), size: tuple[int, int] = (96, 64)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB" if len(colour) == 3 else "RGBA", size, colour).save(path)
    return path


def shard(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def png(colour: tuple[int, int, int]) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (40, 30), colour).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def run(chat_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_BASE_URL", chat_server.url)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def call(*arguments: str | Path) -> int:
        usual = ["--rate", "100000", "--timeout", "5", "--attempts", "2"]
        return cli.main(["caption", *map(str, arguments), *usual])

    return call


def rows(path: Path | str = "captions.jsonl") -> dict[str, str]:
    return {(row := json.loads(line))["file"]: row["captions"][0] for line in Path(path).read_text().splitlines()}


# -- from pictures to a map -------------------------------------------------------------------------------------------


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


# -- money ------------------------------------------------------------------------------------------------------------


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


# -- going on ---------------------------------------------------------------------------------------------------------


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


# -- rows -------------------------------------------------------------------------------------------------------------


def test_a_row_that_was_cut_short_is_written_again(tmp_path: Path) -> None:
    path = tmp_path / "captions.jsonl"
    path.write_text('{"file": "a.png", "captions": ["one"]}\n{"file": "b.png", "capt')
    with CaptionFile(path) as written:
        assert str(tmp_path / "a.png") in written
        assert str(tmp_path / "b.png") not in written
        written.add(str(tmp_path / "b.png"), "two", "me")
    assert rows(path) == {"a.png": "one", "b.png": "two"}


def test_a_last_row_without_its_line_end_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "captions.jsonl"
    path.write_text('{"file": "a.png", "captions": ["one"]}')
    with CaptionFile(path) as written:
        written.add(str(tmp_path / "b.png"), "two", "me")
    assert rows(path) == {"a.png": "one", "b.png": "two"}


@pytest.mark.parametrize("content", [b"not JSON\nat all\n", b"\xff\xfe\n", b'["list"]\n'])
def test_files_that_hold_no_captions_are_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "captions.jsonl"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match="captions"):
        CaptionFile(path)
    assert path.read_bytes() == content
    with CaptionFile(path, overwrite=True) as written:
        assert path.read_bytes() == content  # until there is a row
        written.add(str(tmp_path / "b.png"), "two", "me")
    assert rows(path) == {"b.png": "two"}


def test_rows_go_into_jsonl_only(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"\.jsonl"):
        CaptionFile(tmp_path / "captions.csv")
    (tmp_path / "folder.jsonl").mkdir()
    with pytest.raises(PathError, match="cannot be read"):
        CaptionFile(tmp_path / "folder.jsonl")


def test_a_full_disk_leaves_whole_rows(tmp_path: Path) -> None:
    path = tmp_path / "captions.jsonl"
    with CaptionFile(path) as written:
        written.add(str(tmp_path / "a.png"), "one", "me")
        stream: Any = written._stream

        class Full:
            def __getattr__(self, name: str) -> Any:
                return getattr(stream, name)

            def write(self, data: bytes) -> int:
                return stream.write(data[:7])  # type: ignore[no-any-return]

        written._stream = Full()  # type: ignore[assignment]
        with pytest.raises(PathError, match=os.strerror(errno.ENOSPC)):
            written.add(str(tmp_path / "b.png"), "two", "me")
        assert str(tmp_path / "b.png") not in written
        written._stream = stream
        written.add(str(tmp_path / "c.png"), "three", "me")
    assert rows(path) == {"a.png": "one", "c.png": "three"}


NAMES = st.text(st.characters(exclude_characters="/\0\\", exclude_categories=["Cs"]), min_size=1, max_size=8).filter(
    lambda name: name not in (".", "..")
)


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(NAMES, st.text(min_size=1).filter(str.strip), max_size=5), st.data())
def test_rows_of_any_names_come_back_and_cuts_cost_one(captions: dict[str, str], data: st.DataObject) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        folder, path = Path(name), Path(name) / "captions.jsonl"
        captions = {file: " ".join(text.encode("utf-8", "replace").decode().split()) for file, text in captions.items()}
        captions = {file: text for file, text in captions.items() if text}
        with CaptionFile(path) as written:
            for file, text in captions.items():
                written.add(str(folder / file), text, "me")
        if captions:
            whole = path.read_bytes()
            cut = data.draw(st.integers(0, len(whole)))
            path.write_bytes(whole[:cut])
            with CaptionFile(path) as again:
                left = [file for file in captions if str(folder / file) not in again]
                for file in left:
                    again.add(str(folder / file), captions[file], "me")
            assert len(left) >= whole[cut:].count(b"\n") - 1
            lines = [json.loads(line) for line in path.read_bytes().split(b"\n") if line]
            assert {row["file"]: row["captions"][0] for row in lines} == captions
            mapping = CaptionMap.load(path)
            assert all(mapping.find(folder / file) for file in captions)


# -- cache, pictures --------------------------------------------------------------------------------------------------


def test_a_damaged_answer_counts_as_none(tmp_path: Path) -> None:
    cache, settings_ = AnswerCache(tmp_path), {"model": "m"}
    cache.store(b"image", settings_, "one")
    (path,) = tmp_path.rglob("*.json")
    assert cache.find(b"image", settings_) == "one"
    assert cache.find(b"image", {"model": "n"}) is None
    assert cache.find(b"other", settings_) is None
    for content in (b"", b"{", b"[]", b'{"caption": 3}', b'{"caption": ""}', b"\xff"):
        path.write_bytes(content)
        assert cache.find(b"image", settings_) is None
    cache.store(b"image", settings_, "two")
    assert cache.find(b"image", settings_) == "two"


class Fixed:
    """A captioner that is always of the same opinion."""

    model = "fixed"
    settings: dict[str, str | int] = {"model": "fixed"}  # noqa: RUF012

    def __call__(self, image: Image.Image) -> str:
        return f"{image.mode} {image.width}x{image.height}"

    def stop(self) -> None:
        pass


def test_a_cache_that_cannot_be_written_costs_no_caption(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where a folder should be")
    path = save(tmp_path / "one.png")
    with CaptionFile(tmp_path / "c.jsonl") as written:
        captioning = Captioning(Fixed(), written, AnswerCache(tmp_path / "cache"))
        (picture,) = find_images([str(path)])
        with pytest.warns(UserWarning, match="the answer is not cached"):
            captioning(picture)
    assert rows(tmp_path / "c.jsonl") == {"one.png": "RGB 96x64"}


def test_models_see_images_as_people_do(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    file = io.BytesIO()
    Image.new("L", (40, 20), 77).save(file, "JPEG", exif=exif)
    turned = _upright_rgb(file.getvalue())
    assert (turned.mode, turned.size) == ("RGB", (20, 40))
    half = save(tmp_path / "half.png", (200, 0, 0, 0))
    assert _upright_rgb(half.read_bytes()).getpixel((3, 3)) == (255, 255, 255)


def test_pictures_that_vanish_or_shrink(tmp_path: Path) -> None:
    path = shard(tmp_path / "0.tar", {"0.png": png((1, 2, 3))})
    (picture,) = find_images([str(path)])
    assert picture.read() == png((1, 2, 3))
    path.write_bytes(path.read_bytes()[:550])
    with pytest.raises(PathError, match="the shard ends after 38 of"):
        picture.read()
    path.unlink()
    with pytest.raises(PathError, match="cannot be read"):
        picture.read()


# -- a local model ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tiny_blip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BLIP of a few thousand random weights, with everything that a real one has in its folder."""
    transformers = pytest.importorskip("transformers", reason="the extra tacit[clip] is not installed")
    import torch

    folder = tmp_path_factory.mktemp("blip")
    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        "[DEC]",
        "a",
        "red",
        "blue",
        "boat",
        "tree",
        "on",
        "lake",
        "the",
        "of",
        ".",
        "house",
        "sky",
    ]
    (folder / "vocab.txt").write_text("\n".join(words))
    tokenizer = transformers.BertTokenizer(str(folder / "vocab.txt"), bos_token="[DEC]")
    side = {"height": 32, "width": 32}
    processor = transformers.BlipProcessor(transformers.BlipImageProcessor(size=side), tokenizer)
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = transformers.BlipConfig(
        text_config=small
        | {"vocab_size": len(words), "encoder_hidden_size": 16, "bos_token_id": 5, "eos_token_id": 3, "sep_token_id": 3}
        | {"pad_token_id": 0, "projection_dim": 16, "max_position_embeddings": 64},
        vision_config=small | {"image_size": 32, "patch_size": 16, "projection_dim": 16},
        projection_dim=16,
        image_text_hidden_size=16,
    )
    torch.manual_seed(3)
    transformers.BlipForConditionalGeneration(config).save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def test_a_local_model_describes(tiny_blip: Path) -> None:
    one = LocalCaptioner(str(tiny_blip), "Describe it.", max_tokens=8)
    said = one(Image.new("RGB", (70, 50), (200, 30, 40)))
    assert set(said.replace(".", " ").split()) <= {
        "a",
        "red",
        "blue",
        "boat",
        "tree",
        "on",
        "lake",
        "the",
        "of",
        "house",
        "sky",
    }
    assert 1 <= len(said.split()) <= 8
    assert one(Image.new("L", (70, 50))) == one(Image.new("L", (70, 50)))
    one.stop()
    with pytest.raises(CaptionerError, match="stopped"):
        one(Image.new("RGB", (70, 50)))


def test_the_command_runs_a_local_model(run: Any, chat_server: Server, tiny_blip: Path) -> None:
    save(Path("one.png"))
    assert run("one.png", "--local", "-m", tiny_blip, "--max-tokens", "5") == 0
    assert rows()["one.png"]
    assert not chat_server.asked


def test_a_chat_model_is_asked_the_prompt_and_its_question_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """With stand-ins for processor and model: a chat model that looks at images is too large to make up."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    asked: list[Any] = []

    class Inputs(dict[str, Any]):
        def to(self, device: str) -> Inputs:
            return self

    class Processor:
        chat_template = "{{ messages }}"

        def apply_chat_template(self, messages: Any, **options: Any) -> Inputs:
            asked.append((messages, options))
            return Inputs(input_ids=torch.tensor([[1, 2, 3]]))

        def batch_decode(self, tokens: Any, **options: Any) -> list[str]:
            return [" ".join(f"word{token}" for token in row) for row in tokens.tolist()]

    class Model:
        def generate(self, input_ids: Any, max_new_tokens: int, do_sample: bool) -> Any:
            assert not do_sample
            return torch.cat([input_ids, torch.tensor([[7, 8, 9]])], dim=1)[:, : 3 + max_new_tokens]

    one = LocalCaptioner("some/model", "Describe it.", max_tokens=2)
    monkeypatch.setattr(one, "_load", lambda: (Model(), Processor()))
    assert one(Image.new("RGB", (8, 8))) == "word7 word8"
    ((message,), options) = asked[0]
    assert [part.get("text") for part in message["content"]] == [None, "Describe it."]
    assert options["add_generation_prompt"]
