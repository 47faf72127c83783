"""What an encoding must keep well: a named thing or a box of the image, and how well; and what came of it.

Keep.named("the licence plate=36dB")
Keep.boxed("120,80,64,32=75ssimulacra2")
"""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

from tacit.errors import InvalidInput

HIGHEST = {"psnr": 55.0, "ssimulacra2": 100.0}
UNITS = {"psnr": "dB", "ssimulacra2": "ssimulacra2"}


class KeepWarning(UserWarning):
    """An encoding does not keep all that it was asked to keep, and was told to do what it can."""


_NUMBER = r"(\d+(?:\.\d*)?|\.\d+)"


@dataclass(frozen=True, kw_only=True)
class Keep:
    """A part of an image that an encoding keeps at least at some fidelity: what a phrase names, or a box.

    Raises:
        InvalidInput: There is not exactly one of a phrase and a box, or not exactly one fidelity, or a value is out of
            its range.
    """

    phrase: str | None = None
    """What is kept, in words: "the licence plate". It is looked for in the image (`tacit.finding`)."""

    box: tuple[int, int, int, int] | None = None
    """What is kept, as left, top, right and bottom in pixels of the upright image."""

    psnr: float | None = None
    """The lowest PSNR inside of each box, in dB, up to 55."""

    ssimulacra2: float | None = None
    """The lowest SSIMULACRA 2 of each box, as an image of its own; up to 100."""

    def __post_init__(self) -> None:
        if (self.phrase is None) == (self.box is None):
            raise InvalidInput(f"what is kept must be either a phrase or a box, got {self.phrase!r} and {self.box!r}")
        if self.phrase is not None and not (isinstance(self.phrase, str) and self.phrase.strip()):
            raise InvalidInput(f"a phrase must be text that names something, got {self.phrase!r}")
        if self.box is not None:
            object.__setattr__(self, "box", _checked(self.box))
        given = [name for name in HIGHEST if getattr(self, name) is not None]
        if len(given) != 1:
            raise InvalidInput(f"{self.what} must be kept at either a psnr or a ssimulacra2, got {len(given)} of them")
        if not isinstance(self.least, Real):
            raise InvalidInput(f"{self.measure} must be a number, got {self.least!r}")
        if not 0 < self.least <= HIGHEST[self.measure]:
            raise InvalidInput(
                f"{self.measure} of what is kept must be above 0 and at most {HIGHEST[self.measure]:g}, "
                f"got {self.least:g}"
            )

    @classmethod
    def named(cls, text: str) -> Keep:
        """Return what a text asks for, such as "the licence plate=36dB" or "faces=75ssimulacra2".

        Raises:
            InvalidInput: The text is none.
        """
        phrase, psnr, ssimulacra2 = _parted(text, "the licence plate=36dB")
        return cls(phrase=phrase, psnr=psnr, ssimulacra2=ssimulacra2)

    @classmethod
    def boxed(cls, text: str) -> Keep:
        """Return what a text asks for that begins with a box, as left, top, width and height: "10,20,64,32=36dB".

        Raises:
            InvalidInput: The text is none.
        """
        example = "120,80,64,32=36dB"
        place, psnr, ssimulacra2 = _parted(text, example)
        numbers = re.fullmatch(r"\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*", place)
        if numbers is None:
            raise InvalidInput(f"a box must be LEFT,TOP,WIDTH,HEIGHT in pixels, as in {example}, got {place!r}")
        left, top, width, height = map(int, numbers.groups())
        return cls(box=(left, top, left + width, top + height), psnr=psnr, ssimulacra2=ssimulacra2)

    @property
    def measure(self) -> str:
        """What the fidelity is measured by: "psnr" or "ssimulacra2"."""
        return "psnr" if self.psnr is not None else "ssimulacra2"

    @property
    def least(self) -> float:
        """The lowest value of the measure."""
        return self.psnr if self.psnr is not None else self.ssimulacra2 or 0.0

    @property
    def what(self) -> str:
        """What is kept, as messages call it."""
        return f"'{self.phrase}'" if self.box is None else f"the box {_with_size(self.box)}"

    def __str__(self) -> str:
        """Return the text that `named` or `boxed` takes."""
        place = self.phrase if self.box is None else _with_size(self.box)
        return f"{place}={self.least:.12g}{UNITS[self.measure]}"


@dataclass(frozen=True, kw_only=True)
class KeptBox:
    """A box of an image that was to be kept, and the fidelity that it has."""

    keep: Keep
    """What was asked for; a phrase may have several boxes."""

    box: tuple[int, int, int, int]
    """Left, top, right and bottom in pixels of the upright image."""

    reached: float
    """What the box of the decoded image has, in dB or points of SSIMULACRA 2."""

    cues: tuple[str, ...] = ()
    """What it was found by; empty where the box was given."""

    @property
    def kept(self) -> bool:
        """Whether it is what was asked for."""
        return self.reached >= self.keep.least

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> KeptBox:
        """Return what `described` gave the values of."""
        left, top, width, height = values["box"]
        box = left, top, left + width, top + height
        place: dict[str, Any] = {"box": box} if values["phrase"] is None else {"phrase": values["phrase"]}
        keep = Keep(**place, **{values["measure"]: values["least"]})
        return cls(keep=keep, box=box, reached=values["reached"], cues=tuple(values["cues"]))

    def described(self) -> dict[str, Any]:
        """Return all of it as values fit for JSON; the box is left, top, width and height."""
        left, top, right, bottom = self.box
        return {
            "phrase": self.keep.phrase,
            "box": [left, top, right - left, bottom - top],
            "measure": self.keep.measure,
            "least": self.keep.least,
            "reached": round(self.reached, 4),
            "kept": self.kept,
            "cues": list(self.cues),
        }

    def __str__(self) -> str:
        """Return a line about it: "kept the red boat at 10,20,64,32 (by detector): 36.20 dB"."""
        return described(self.described())


def described(kept: Mapping[str, Any]) -> str:
    """Return the line about a box that was to be kept, of what `KeptBox.described` returns."""
    word, name = "kept" if kept["kept"] else "not kept:", kept["phrase"] or "box"
    unit = "dB" if kept["measure"] == "psnr" else "SSIMULACRA 2"
    place = ",".join(map(str, kept["box"]))
    by = f" (by {', '.join(kept['cues'])})" if kept["cues"] else ""
    return f"{word} {name} at {place}{by}: {kept['reached']:.2f} {unit}"


def _parted(text: str, example: str) -> tuple[str, float | None, float | None]:
    """Return what is kept, the PSNR and the SSIMULACRA 2 that a text names."""
    place, sign, value = text.rpartition("=")
    number = re.fullmatch(rf"\s*{_NUMBER}\s*(dB|ssimulacra2)\s*", value, re.IGNORECASE)
    if not sign or number is None:
        raise InvalidInput(f"what is kept must end in =NUMBERdB or =NUMBERssimulacra2, as in {example}, got {text!r}")
    least = float(number[1])
    return (place.strip(), least, None) if number[2].lower() == "db" else (place.strip(), None, least)


def _checked(box: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    try:
        left, top, right, bottom = map(operator.index, box)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"box must be four whole numbers (left, top, right, bottom), got {box!r}") from error
    if not (0 <= left < right and 0 <= top < bottom):
        raise InvalidInput(f"a box must have a width and a height of at least 1 pixel, got {_with_size(box)}")
    return left, top, right, bottom


def _with_size(box: tuple[int, int, int, int]) -> str:
    left, top, right, bottom = box
    return f"{left},{top},{right - left},{bottom - top}"
