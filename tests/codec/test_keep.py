"""What an encoding is asked to keep, and how texts say it."""

from __future__ import annotations

from typing import Any

import pytest

from tacit.codec import EncodeOptions, Keep, KeptBox
from tacit.errors import InvalidInput


@pytest.mark.parametrize(
    ("text", "phrase", "psnr", "score"),
    [
        ("the licence plate=36dB", "the licence plate", 36, None),
        ("the licence plate = 36.5 DB ", "the licence plate", 36.5, None),
        ("faces=75ssimulacra2", "faces", None, 75),
        ("the sign with E=mc2=.5dB", "the sign with E=mc2", 0.5, None),
    ],
)
def test_named_things(text: str, phrase: str, psnr: float | None, score: float | None) -> None:
    keep = Keep.named(text)
    assert keep == Keep(phrase=phrase, psnr=psnr, ssimulacra2=score)
    assert Keep.named(str(keep)) == keep


def test_boxes() -> None:
    keep = Keep.boxed("10, 20,30,40=36dB")
    assert keep == Keep(box=(10, 20, 40, 60), psnr=36)
    assert str(keep) == "10,20,30,40=36dB"
    assert keep.what == "the box 10,20,30,40"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("the dog", "must end in =NUMBERdB or =NUMBERssimulacra2, as in the licence plate=36dB, got 'the dog'"),
        ("the dog=36", "must end in =NUMBERdB"),
        ("the dog=-3dB", "must end in =NUMBERdB"),
        ("the dog=36ssim", "must end in =NUMBERdB"),
        ("=36dB", "a phrase must be text that names something, got ''"),
        ("the dog=0dB", "psnr of what is kept must be above 0 and at most 55, got 0"),
        ("the dog=56dB", "psnr of what is kept must be above 0 and at most 55, got 56"),
        ("the dog=101ssimulacra2", "ssimulacra2 of what is kept must be above 0 and at most 100, got 101"),
    ],
)
def test_texts_that_name_nothing_to_keep(text: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Keep.named(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2,3=36dB", "a box must be LEFT,TOP,WIDTH,HEIGHT in pixels, as in 120,80,64,32=36dB, got '1,2,3'"),
        ("the dog=36dB", "a box must be LEFT,TOP,WIDTH,HEIGHT"),
        ("-1,2,3,4=36dB", "a box must be LEFT,TOP,WIDTH,HEIGHT"),
        ("1,2,0,4=36dB", "a box must have a width and a height of at least 1 pixel, got 1,2,0,4"),
    ],
)
def test_texts_that_are_no_box_to_keep(text: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Keep.boxed(text)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"psnr": 30}, "either a phrase or a box, got None and None"),
        ({"phrase": "a", "box": (0, 0, 1, 1), "psnr": 30}, "either a phrase or a box, got 'a'"),
        ({"phrase": "a"}, "'a' must be kept at either a psnr or a ssimulacra2, got 0 of them"),
        ({"phrase": "a", "psnr": 30, "ssimulacra2": 70}, "got 2 of them"),
        ({"phrase": "a", "psnr": "30"}, "psnr must be a number, got '30'"),
        ({"phrase": "a", "psnr": float("nan")}, "above 0 and at most 55, got nan"),
        ({"box": (0, 0, 1), "psnr": 30}, r"box must be four whole numbers \(left, top, right, bottom\)"),
        ({"box": (0, 0, 1.5, 2), "psnr": 30}, "box must be four whole numbers"),
        ({"box": (5, 0, 5, 2), "psnr": 30}, "at least 1 pixel, got 5,0,0,2"),
    ],
)
def test_values_that_ask_for_nothing(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Keep(**values)


def test_options_take_a_list() -> None:
    keep = Keep(phrase="the dog", psnr=30)
    assert EncodeOptions(keep=[keep]) == EncodeOptions(keep=(keep,))
    assert hash(EncodeOptions(keep=[keep])) != hash(EncodeOptions())
    wrong: Any
    for wrong in (keep, "the dog=30dB", ["the dog=30dB"]):
        with pytest.raises(InvalidInput, match="keep must be a list of Keep"):
            EncodeOptions(keep=wrong)


def test_what_was_kept_as_a_line() -> None:
    keep = Keep.named("the dog=36dB")
    assert str(KeptBox(keep=keep, box=(1, 2, 11, 22), reached=36.234)) == "kept the dog at 1,2,10,20: 36.23 dB"
    seen = KeptBox(keep=keep, box=(1, 2, 11, 22), reached=36.234, cues=("colour", "detector"))
    assert str(seen) == "kept the dog at 1,2,10,20 (by colour, detector): 36.23 dB"
    assert str(Keep(phrase="a", psnr=30.123456789)) == "a=30.123456789dB"
    for one in (keep, Keep.boxed("1,2,10,20=75ssimulacra2")):
        kept = KeptBox(keep=one, box=(1, 2, 11, 22), reached=75.5, cues=("colour",))
        assert KeptBox.of(kept.described()) == kept
    box = Keep.boxed("1,2,10,20=75ssimulacra2")
    assert str(KeptBox(keep=box, box=(1, 2, 11, 22), reached=74)) == "not kept: box at 1,2,10,20: 74.00 SSIMULACRA 2"
    assert not KeptBox(keep=box, box=(1, 2, 11, 22), reached=74).kept
