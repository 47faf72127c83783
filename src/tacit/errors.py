"""Every error that tacit raises on purpose.

A message says what is wrong, the rule, and the value: "quality must be 0 to 100, got 120". Where it is about a file,
the path comes first.

    TacitError
    ├── InvalidInput            an argument, image, caption or option cannot be used
    │   ├── ImageTooLarge       an image has more pixels than the limit
    │   ├── NotFound            an image shows nothing that a phrase names
    │   └── TargetNotReached    no quality reaches the size or fidelity that was asked for
    ├── FileError
    │   ├── CorruptFile         a .tacit file is damaged or truncated
    │   └── UnsupportedFile     a file is not a .tacit file, or needs a newer tacit
    ├── WeightsError
    │   ├── UnknownModel        no weights have this name
    │   ├── MissingWeights      weights that are needed are not on this machine
    │   ├── CorruptWeights      a weights file does not match its hash, or cannot be understood
    │   └── NotExact            a network cannot be proven exact, or a machine computes it inexactly
    ├── CaptionerError          a captioner gave no caption of an image
    │   └── CaptionerUnusable   a captioner will caption no image: a wrong key, an unknown model, no money left
    ├── ServiceError            the service of `tacit serve` did not do what its client asked
    ├── MissingExtra            an optional dependency is not installed
    └── PathError               a path cannot be read or written
"""

from __future__ import annotations


class TacitError(Exception):
    """The root of all errors: `except tacit.TacitError` catches each one below."""


class InvalidInput(TacitError, ValueError):
    """An argument, image, caption or option cannot be used."""


class ImageTooLarge(InvalidInput):
    """An image has more pixels than the limit in force."""


class NotFound(InvalidInput):
    """An image shows nothing that a phrase names, as far as can be told."""


class TargetNotReached(InvalidInput):
    """No quality reaches the size or fidelity that was asked for."""


class FileError(TacitError):
    """A `.tacit` file cannot be read."""


class CorruptFile(FileError):
    """A `.tacit` file is damaged or truncated."""


class UnsupportedFile(FileError):
    """A file is not a `.tacit` file, or needs a newer version of tacit."""


class WeightsError(TacitError):
    """Weights cannot be used."""


class UnknownModel(WeightsError):
    """No weights have this name."""


class MissingWeights(WeightsError):
    """Weights that a file names, or that should have come with the package, are not on this machine.

    Args:
        message: What is missing, and what to do about it.
        for_clients: What a service tells its clients, who cannot do that and need not know its paths; by default the
            message.
    """

    for_clients: str
    """What a service tells its clients."""

    def __init__(self, message: str, for_clients: str | None = None) -> None:
        super().__init__(message)
        self.for_clients = message if for_clients is None else for_clients


class CorruptWeights(WeightsError):
    """A weights file does not match its hash, or cannot be understood."""


class NotExact(WeightsError):
    """A network's integers cannot be proven exact, or a machine computes them inexactly."""


class CaptionerError(TacitError):
    """A captioner gave no caption of an image."""


class CaptionerUnusable(CaptionerError):
    """A captioner will caption no image: its key is wrong, its model unknown, or its account empty."""


class ServiceError(TacitError):
    """A service did not do what its client asked, for a reason other than the image or file.

    It cannot be reached, is too busy, or wants another token.
    """

    status: int
    """The HTTP status; 0 where no answer came."""
    kind: str
    """The type of the problem, as in RFC 9457."""

    def __init__(self, message: str, status: int = 0, kind: str = "about:blank") -> None:
        super().__init__(message)
        self.status, self.kind = status, kind


class MissingExtra(TacitError, ImportError):
    """An optional dependency is not installed; the message names the extra."""


class PathError(TacitError, OSError):
    """A path cannot be read or written."""
