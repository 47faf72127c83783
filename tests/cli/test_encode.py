"""`tacit encode`: where files go, what the codec is asked for, and where captions come from. The codec is a fake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from support.command_line import make_image, records, tree
from support.fake_codec import MAGIC, FakeCodec
from tacit import cli
from tacit.cli import options
from tacit.codec.keep import Keep
from tacit.codec.options import EncodeOptions

pytestmark = pytest.mark.usefixtures("folder")


def test_encode_and_decode_write_beside_the_source(fake: type[FakeCodec], capsys: pytest.CaptureFixture[str]) -> None:
    make_image("in/photo.jpg")
    assert cli.main(["encode", "in/photo.jpg"]) == 0
    assert cli.main(["decode", "in/photo.tacit"]) == 0
    assert tree("in") == ["photo.jpg", "photo.png", "photo.tacit"]
    with Image.open("in/photo.png") as image:
        assert image.size == (6, 4)
    said = capsys.readouterr()
    assert said.out.startswith("in/photo.jpg -> in/photo.tacit  6x4, ")
    assert said.err == ""


def test_output_names_a_file_or_a_folder(fake: type[FakeCodec]) -> None:
    make_image("a.jpg")
    make_image("b.jpg")
    assert cli.main(["encode", "a.jpg", "-o", "x.tacit"]) == 0
    assert cli.main(["encode", "a.jpg", "-o", "new/"]) == 0
    assert cli.main(["encode", "a.jpg", "b.jpg", "-o", "out"]) == 0
    assert cli.main(["encode", "b.jpg", "-o", "new"]) == 0, "new is a folder by now"
    assert tree() == ["a.jpg", "b.jpg", "new/a.tacit", "new/b.tacit", "out/a.tacit", "out/b.tacit", "x.tacit"]


def test_a_folder_is_mirrored(fake: type[FakeCodec]) -> None:
    for name in ("in/a.jpg", "in/sub/b.PNG", "in/sub/deep/c.v2.webp", "in/.hidden/d.jpg", "in/._a.jpg"):
        make_image(name, format="PNG")
    Path("in/notes.txt").write_text("no image")
    assert cli.main(["encode", "in", "-o", "out", "-j", "2"]) == 0
    assert tree("out") == ["a.tacit", "sub/b.tacit", "sub/deep/c.v2.tacit"]
    assert cli.main(["decode", "out", "-o", "back", "--format", "jpg"]) == 0
    assert tree("back") == ["a.jpg", "sub/b.jpg", "sub/deep/c.v2.jpg"]


def test_a_folder_with_links_and_rarer_kinds(fake: type[FakeCodec]) -> None:
    for name in ("lib/a.jpg", "lib/b.mpo", "lib/film.mpg", "other/c.psd"):
        make_image(name, format="PNG")
    Path("lib/2023").symlink_to("../other")
    Path("other/all").symlink_to("../lib")
    assert cli.main(["encode", "lib", "-o", "out"]) == 0
    assert tree("out") == ["2023/c.tacit", "a.tacit", "b.tacit"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("in/*.jpg", ["a.tacit"]),
        ("in/**/*.jpg", ["a.tacit", "sub/b.tacit"]),
        ("in/[ab].jpg", ["a.tacit"]),
        ("in/*", ["a.tacit", "b.tacit"]),
    ],
)
def test_patterns_that_no_shell_expanded(fake: type[FakeCodec], pattern: str, expected: list[str]) -> None:
    make_image("in/a.jpg")
    make_image("in/sub/b.jpg")
    assert cli.main(["encode", pattern, "-o", "out/"]) == 0
    assert tree("out") == expected


def test_a_file_whose_name_looks_like_a_pattern(fake: type[FakeCodec]) -> None:
    make_image("photo[1].jpg")
    assert cli.main(["encode", "photo[1].jpg"]) == 0
    assert tree() == ["photo[1].jpg", "photo[1].tacit"]


def test_a_file_that_is_named_twice_is_encoded_once(fake: type[FakeCodec]) -> None:
    make_image("a.jpg")
    assert cli.main(["encode", "a.jpg", "./a.jpg", "*.jpg"]) == 0
    assert len(fake.calls) == 1


def test_nothing_is_overwritten_without_force(fake: type[FakeCodec], capsys: pytest.CaptureFixture[str]) -> None:
    make_image("a.jpg")
    Path("a.tacit").write_text("precious")
    assert cli.main(["encode", "a.jpg"]) == 1
    assert Path("a.tacit").read_text() == "precious"
    assert fake.calls == [], "nothing is encoded that cannot be written"
    assert capsys.readouterr().err == "tacit: a.jpg: a.tacit exists already (-f/--force overwrites it)\n"
    assert cli.main(["encode", "a.jpg", "-f"]) == 0
    assert Path("a.tacit").read_bytes().startswith(MAGIC)


def test_a_file_that_appears_meanwhile_is_not_overwritten(fake: type[FakeCodec]) -> None:
    make_image("a.jpg")
    fake.before = lambda *_: Path("a.tacit").write_text("precious")
    assert cli.main(["encode", "a.jpg"]) == 1
    assert Path("a.tacit").read_text() == "precious"
    assert tree() == ["a.jpg", "a.tacit"]


def test_two_inputs_never_share_an_output(fake: type[FakeCodec], capsys: pytest.CaptureFixture[str]) -> None:
    make_image("a.jpg")
    make_image("a.png")
    assert cli.main(["encode", "a.jpg", "a.png", "-f"]) == 1
    assert len(fake.calls) == 1
    assert "tacit: a.png: would be written to a.tacit, as a.jpg is\n" in capsys.readouterr().err


def test_a_file_is_never_written_over_itself(fake: type[FakeCodec], capsys: pytest.CaptureFixture[str]) -> None:
    before = make_image("photo", format="JPEG").read_bytes()
    assert cli.main(["encode", "photo", "-o", "./photo", "--force"]) == 1
    assert cli.main(["decode", "photo", "-o", "./photo", "--force"]) == 1
    assert Path("photo").read_bytes() == before
    assert capsys.readouterr().err.count("would be written over itself") == 2


def test_another_kind_of_file_by_mistake_is_named(fake: type[FakeCodec], capsys: pytest.CaptureFixture[str]) -> None:
    make_image("a.png")
    assert cli.main(["decode", "a.png"]) == 1
    assert "tacit: a.png: not a .tacit file by its name, and would" in capsys.readouterr().err
    Path("a.tacit").write_bytes(MAGIC)
    assert cli.main(["encode", "a.tacit"]) == 1
    assert "tacit: a.tacit: not an image by its name, and would" in capsys.readouterr().err
    assert fake.calls == []


def test_a_tacit_file_is_not_written_under_an_images_name(fake: type[FakeCodec]) -> None:
    make_image("a.jpg")
    assert cli.main(["encode", "a.jpg", "-o", "b.JPG"]) == 2
    assert fake.calls == []
    Path("b.jpg").mkdir()
    assert cli.main(["encode", "a.jpg", "-o", "b.jpg"]) == 0
    assert cli.main(["encode", "a.jpg", "-o", "b.v2"]) == 0
    assert tree() == ["a.jpg", "b.jpg/a.tacit", "b.v2"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["encode"],
        ["encode", "a.jpg", "-q", "101"],
        ["encode", "a.jpg", "-q", "nan"],
        ["encode", "a.jpg", "-q", "50", "--bpp", "0.3"],
        ["encode", "a.jpg", "--size", "60kB", "--psnr", "34"],
        ["encode", "a.jpg", "--size", "0"],
        ["encode", "a.jpg", "--size", "60xB"],
        ["encode", "a.jpg", "--bpp", "0"],
        ["encode", "a.jpg", "--psnr", "inf"],
        ["encode", "a.jpg", "--psnr", "nan"],
        ["encode", "a.jpg", "--keep", "the dog"],
        ["encode", "a.jpg", "--keep", "the dog=36"],
        ["encode", "a.jpg", "--keep", "the dog=60dB"],
        ["encode", "a.jpg", "--keep-box", "the dog=36dB"],
        ["encode", "a.jpg", "--keep-box", "1,2,0,4=36dB"],
        ["encode", "a.jpg", "--best-effort"],
        ["encode", "a.jpg", "--no-caption", "-c", "a boat"],
        ["encode", "a.jpg", "--no-caption", "--store-caption"],
        ["encode", "a.jpg", "-m", "unknown"],
        ["encode", "a.jpg", "-j", "0"],
        ["encode", "a.jpg", "--json", "-o", "-"],
        ["encode", "a.jpg", "b.jpg", "-o", "-"],
        ["encode", "a.jpg", "b.jpg", "-o", "both.tacit"],
        ["encode", "a.jpg", "b.jpg", "-o", "b.jpg"],
        ["decode", "a.tacit", "--crop", "1,2,3"],
        ["decode", "a.tacit", "--crop", "1,2,0,4"],
        ["decode", "a.tacit", "-o", "a.docx"],
        ["decode", "a.tacit", "--format", "docx"],
        ["unknown"],
    ],
)
def test_wrong_usage_is_status_2(
    fake: type[FakeCodec], capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    make_image("a.jpg")
    make_image("b.jpg")
    Path("a.tacit").write_bytes(MAGIC)
    assert cli.main(arguments) == 2
    said = capsys.readouterr()
    assert "Error: " in said.err or "Usage: " in said.err
    assert said.out == ""
    assert fake.calls == []


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], {}),
        (["-q", "12.5"], {"quality": 12.5}),
        (["--steer", "0"], {"steer": 0}),
        (["-e", "1"], {"effort": 1}),
        (["--size", "60kB"], {"size": 60_000}),
        (["--size", "60 KiB"], {"size": 61_440}),
        (["--size", "1.5MB"], {"size": 1_500_000}),
        (["--size", "2k"], {"size": 2000}),
        (["--size", "60000"], {"size": 60_000}),
        (["--bpp", "0.3"], {"bpp": 0.3}),
        (["--psnr", "34"], {"psnr": 34.0}),
        (
            ["--keep", "a dog=36dB", "--keep-box", "1,2,3,4=75ssimulacra2", "--keep", "a=b=1dB", "--best-effort"],
            {
                "keep": [
                    Keep(phrase="a dog", psnr=36),
                    Keep(phrase="a=b", psnr=1),
                    Keep(box=(1, 2, 4, 6), ssimulacra2=75),
                ],
                "best_effort": True,
            },
        ),
        (["--store-caption"], {"store_caption": True}),
        (["--no-metadata"], {"keep_metadata": False}),
    ],
)
def test_options_reach_the_codec(fake: type[FakeCodec], arguments: list[str], expected: dict[str, Any]) -> None:
    make_image("a.jpg")
    assert cli.main(["encode", "a.jpg", *arguments]) == 0
    assert fake.calls == [{"caption": None, "options": EncodeOptions(**expected)}]


def test_what_was_kept_is_said(fake: type[FakeCodec], capsys: pytest.CaptureFixture[str]) -> None:
    make_image("a.jpg")
    arguments = ["encode", "a.jpg", "-f", "--keep", "the dog=36dB", "--keep-box", "1,2,3,4=75ssimulacra2"]
    assert cli.main(arguments) == 0
    _, dog, box = capsys.readouterr().out.splitlines()
    assert dog.startswith("  kept the dog at 0,0,")
    assert dog.endswith(": 36.50 dB")
    assert box == "  kept box at 1,2,3,4: 75.50 SSIMULACRA 2, which costs 123 B more"
    assert cli.main([*arguments, "--json"]) == 0
    (record,) = records(capsys.readouterr().out)
    assert record["kept_bytes"] == 123
    assert record["kept"][1] == {
        "phrase": None,
        "box": [1, 2, 3, 4],
        "measure": "ssimulacra2",
        "least": 75.0,
        "reached": 75.5,
        "kept": True,
        "cues": [],
    }


def test_model_device_and_threads_reach_the_codec(fake: type[FakeCodec], monkeypatch: pytest.MonkeyPatch) -> None:
    make_image("a.jpg")
    monkeypatch.setattr(options, "cores", lambda: 8)
    assert cli.main(["encode", "a.jpg"]) == 0
    assert cli.main(["encode", "a.jpg", "-f", "-m", "taco", "--device", "cuda", "--threads", "3"]) == 0
    assert cli.main(["encode", "a.jpg", "-f", "-j", "3"]) == 0
    assert [(made["model"], made["device"], made["threads"]) for made in fake.made] == [
        ("tacit-s", "cpu", None),
        ("taco", "cuda", 3),
        ("tacit-s", "cpu", 2),
    ]


def test_text_encoder_and_word_weights_reach_the_codec(fake: type[FakeCodec]) -> None:
    make_image("a.jpg")
    assert cli.main(["encode", "a.jpg"]) == 0
    assert cli.main(["encode", "a.jpg", "-f", "--text-encoder", "clip-published:folder", "--word-weights"]) == 0
    assert [(made["text_encoder"], made["word_weights"]) for made in fake.made] == [
        (None, False),
        ("clip-published:folder", True),
    ]


def test_the_finder_reaches_the_codec_and_what_it_found_is_said(
    fake: type[FakeCodec], capsys: pytest.CaptureFixture[str]
) -> None:
    make_image("a.jpg")
    assert cli.main(["encode", "a.jpg", "-c", "a boat"]) == 0
    assert capsys.readouterr().out.rstrip().endswith("caption: given, not found: a boat")
    assert cli.main(["encode", "a.jpg", "-f", "-c", "a cat", "--finder", "other"]) == 0
    assert capsys.readouterr().out.rstrip().endswith("caption: given, found: a cat")
    assert [made["finder"] for made in fake.made] == ["embedded", "other"]
    assert cli.main(["encode", "a.jpg", "-f", "-c", "a cat", "--steer", "0"]) == 0
    assert capsys.readouterr().out.rstrip().endswith("caption: given")


def test_where_captions_come_from(fake: type[FakeCodec], capsys: pytest.CaptureFixture[str]) -> None:
    exif = Image.Exif()
    exif[270] = "from metadata"  # ImageDescription
    make_image("in/a.jpg", exif=exif)
    Path("map.json").write_text('{"in/a.jpg": "from the map"}')

    def caption(*arguments: str) -> tuple[object, object]:
        assert cli.main(["encode", "in/a.jpg", "-f", "--json", *arguments]) == 0
        (record,) = records(capsys.readouterr().out)
        assert record["caption"] == fake.calls[-1]["caption"]
        return record["caption"], record["caption_from"]

    assert caption() == ("from metadata", "metadata")
    assert caption("--no-metadata") == (None, None)
    Path("in/a.txt").write_text("from the sidecar")
    assert caption() == ("from the sidecar", "sidecar")
    assert caption("--captions", "map.json") == ("from the map", "map")
    assert caption("--captions", "map.json", "-c", "from me") == ("from me", "given")
    assert caption("--no-caption") == (None, None)


@pytest.mark.parametrize("text", ["x" * 65_536, "a\x07b", "a\udcffb"])
def test_a_caption_that_cannot_be_used_is_one_line(
    fake: type[FakeCodec], capsys: pytest.CaptureFixture[str], text: str
) -> None:
    make_image("a.jpg")
    assert cli.main(["encode", "a.jpg", "-c", text]) == 1
    error = capsys.readouterr().err
    assert error.startswith("tacit: a.jpg: caption must have ")
    assert error.count("\n") == 1
    assert fake.calls == []


def test_a_map_that_cannot_be_read_stops_everything(fake: type[FakeCodec], capsys: pytest.CaptureFixture[str]) -> None:
    make_image("a.jpg")
    assert cli.main(["encode", "a.jpg", "--captions", "map.json"]) == 1
    assert capsys.readouterr().err == "tacit: map.json: cannot be read: No such file or directory\n"
    assert fake.made == []


@pytest.mark.parametrize(
    ("name", "content"), [("map.csv", "image,caption\na.jpg,a boat\n"), ("map.json", "[3]"), ("map.txt", "")]
)
def test_a_map_that_is_none_is_wrong_usage(
    fake: type[FakeCodec], capsys: pytest.CaptureFixture[str], name: str, content: str
) -> None:
    make_image("a.jpg")
    Path(name).write_text(content)
    assert cli.main(["encode", "a.jpg", "--captions", name]) == 2
    assert f"Error: {name}" in capsys.readouterr().err
    assert fake.made == []


def test_boxes_of_a_list_reach_the_codec_image_by_image(
    fake: type[FakeCodec], capsys: pytest.CaptureFixture[str]
) -> None:
    make_image("a.jpg")
    make_image("b.jpg")
    Path("boxes.jsonl").write_text('{"file": "a.jpg", "boxes": [[1, 0, 3, 2]]}')
    assert cli.main(["encode", "a.jpg", "b.jpg", "--boxes", "boxes.jsonl"]) == 0
    assert [call["options"].boxes for call in fake.calls] == [((1, 0, 4, 2),), None]
    Path("boxes.jsonl").write_text("a dog")
    capsys.readouterr()
    assert cli.main(["encode", "a.jpg", "-f", "--boxes", "boxes.jsonl"]) == 2
    assert "boxes.jsonl, line 1: not JSON" in capsys.readouterr().err
    Path("boxes.jsonl").write_text('{"file": "c.jpg", "boxes": [[1, 0, 3, 2]]}')
    assert cli.main(["encode", "a.jpg", "b.jpg", "-f", "--quiet", "--boxes", "boxes.jsonl"]) == 0
    assert capsys.readouterr().err == "tacit: warning: boxes.jsonl has boxes for none of the files\n"


def test_a_map_for_other_files_is_warned_of(fake: type[FakeCodec], capsys: pytest.CaptureFixture[str]) -> None:
    make_image("a.jpg")
    make_image("b.jpg")
    Path("map.json").write_text('{"c.jpg": "a boat"}')
    assert cli.main(["encode", "a.jpg", "b.jpg", "--captions", "map.json", "--quiet"]) == 0
    warning = "tacit: warning: map.json has a caption for none of the files\n"
    assert capsys.readouterr().err == warning
    assert cli.main(["encode", "a.jpg", "-f", "--captions", "map.json", "-c", "given"]) == 0
    Path("map.json").write_text('{"b.jpg": "a boat"}')
    assert cli.main(["encode", "a.jpg", "b.jpg", "-f", "--captions", "map.json"]) == 0
    assert warning not in capsys.readouterr().err


def test_a_target_that_cannot_be_reached_is_said(fake: type[FakeCodec], capsys: pytest.CaptureFixture[str]) -> None:
    make_image("a.jpg")
    assert cli.main(["encode", "a.jpg", "--size", "50"]) == 1
    assert capsys.readouterr().err == "tacit: a.jpg: 50 bytes: the smallest is 321\n"
    assert tree() == ["a.jpg"]


def test_a_large_photo_is_no_reason_for_a_warning(
    fake: type[FakeCodec], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_image("a.png", (10, 10))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 60)
    assert cli.main(["encode", "a.png"]) == 0
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 49)
    assert cli.main(["encode", "a.png", "-f"]) == 1
    assert "exceeds limit of 98 pixels" in capsys.readouterr().err
