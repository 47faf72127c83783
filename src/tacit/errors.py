"""Every error that tacit raises on purpose.

TacitError
├── InvalidInput            an argument, image, caption or option that cannot be used
│   ├── ImageTooLarge       more pixels than the limit
│   └── TargetNotReached    no quality gives the size or fidelity that was asked for
├── FileError
│   ├── CorruptFile         damaged or truncated
│   └── UnsupportedFile     not a .tacit file, or one that needs a newer tacit
├── WeightsError
│   ├── UnknownModel        no weights of that name
│   ├── MissingWeights      weights that are needed are not here
│   ├── CorruptWeights      a weights file that does not verify
│   └── NotExact            a network that cannot be proven exact, or a machine that is not
├── CaptionerError          a captioner gave no caption of an image
│   └── CaptionerUnusable   it will give none of any image: a wrong key, an unknown model, no money left
├── ServiceError            the service of `tacit serve`, asked by its client, did not do it
├── MissingExtra            an optional dependency is not installed
└── PathError               a path that cannot be read or written
"""

from __future__ import annotations


class TacitError(Exception):
    """The root: `except tacit.TacitError` catches everything below."""


class InvalidInput(TacitError, ValueError):
    """An argument, image, caption or option that cannot be used."""


class ImageTooLarge(InvalidInput):
    """An image has more pixels than the limit in force."""


class TargetNotReached(InvalidInput):
    """No quality gives the size or fidelity that was asked for."""


class FileError(TacitError):
    """A `.tacit` file that cannot be read."""


class CorruptFile(FileError):
    """A damaged or truncated file."""


class UnsupportedFile(FileError):
    """Not a `.tacit` file, or one that needs a newer version."""


class WeightsError(TacitError):
    """Weights that cannot be used."""


class UnknownModel(WeightsError):
    """No weights have that name."""


class MissingWeights(WeightsError):
    """Weights that a file names, or that should have come with the package, are not on this machine."""


class CorruptWeights(WeightsError):
    """A weights file that does not verify."""


class NotExact(WeightsError):
    """A network whose integers cannot be proven exact, or a machine that computes them inexactly."""


class CaptionerError(TacitError):
    """A captioner gave no caption of an image."""


class CaptionerUnusable(CaptionerError):
    """A captioner that will give no caption of any image: a wrong key, an unknown model, no money left."""


class ServiceError(TacitError):
    """A service did not do what its client asked, and not because of the image or file: it cannot be reached, is too
    busy, wants another token. status: of HTTP, 0 where no answer came; kind: the problem's type."""

    def __init__(self, message: str, status: int = 0, kind: str = "about:blank") -> None:
        super().__init__(message)
        self.status, self.kind = status, kind


class MissingExtra(TacitError, ImportError):
    """An optional dependency is not installed; the message names the extra."""


class PathError(TacitError, OSError):
    """A path that cannot be read or written."""
