"""Captions while training: which of several is read, and their embeddings, each made once.

`CaptionCache` keeps what the text encoder made in files of at most 15 MB, in half precision, so that a run, or another
machine (which need not have the encoder), reads instead of encoding. The weights of words, where a run has them, are in
files of their own beside these, so that captions that were embedded without may be weighed later.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from tacit.errors import CorruptWeights, InvalidInput, MissingWeights, PathError
from tacit.text.tokens import TextTokens

if TYPE_CHECKING:
    from tacit.text.encoders import TextEncoder
    from tacit.words import Weigher

PIECE = 15_000_000  # bytes of embeddings and text in one file
ENCODED_AT_ONCE = 128
WEIGHED_IN_A_FILE = 5_000  # captions
WEIGHED_AT_MOST = 500_000  # captions whose weights are kept in memory


class CaptionCache:
    """Captions to tokens, each encoded once.

    encoder: a name that `tacit.text.encoders.load_encoder` takes; loaded only where a caption is not known. width: of
    its embeddings. folder: of what `write` made; a caption that is not there is encoded.
    limit: bytes of the captions beyond the folder's that are kept in memory. weighted: with the weights of their words
    (`tacit.words`), which are kept in the folder likewise.
    """

    def __init__(
        self, encoder: str, width: int, folder: Path | None = None, limit: int = 256 << 20, *, weighted: bool = False
    ) -> None:
        self.encoder = encoder
        self.width = width
        self.folder = folder
        self.limit = limit
        self.weighted = weighted
        self._loaded: TextEncoder | None = None
        self._known: dict[str, Tensor] = {}
        self._size = 0
        self._places: dict[str, tuple[int, int, int]] | None = None  # piece, first row, rows
        self._rows: dict[int, Any] = {}
        self._weights: dict[str, list[float]] | None = None  # of each caption's tokens
        self._weigher: Weigher | None = None

    def __call__(self, captions: Sequence[str | None]) -> TextTokens:
        """Tokens of a batch; None is a caption of no token.

        Raises:
            MissingWeights, MissingExtra: a caption is not known, and the encoder is not here.
            CorruptWeights: a damaged folder, or an encoder of another width.
            InvalidInput: captions in the folder were weighed by another table or pipeline than this machine's.
        """
        return TextTokens.stack([self._one(c) for c in captions])

    def _one(self, caption: str | None) -> TextTokens:
        if not caption:
            return TextTokens.empty(1, self.width)
        if (rows := self._stored(caption)) is None and (rows := self._known.get(caption)) is None:
            made = self._load()([caption])
            if made.embeddings.shape[2] != self.width:
                found = made.embeddings.shape[2]
                raise CorruptWeights(
                    f"text encoder {self.encoder} gives {found} channels, the model takes {self.width}"
                )
            rows = made.embeddings[made.mask].half()
            self._size += rows.numel() * 2
            if self._size < self.limit:
                self._known[caption] = rows
        return _tokens(rows, self._weights_of(caption) if self.weighted else None)

    def _weights_of(self, caption: str) -> list[float]:
        if self._weights is None:
            self._weights = self._read_weights()
        if (found := self._weights.get(caption)) is None:
            found = self._weigh(caption)
            if len(self._weights) < WEIGHED_AT_MOST:
                self._weights[caption] = found
        return found

    def _weigh(self, caption: str) -> list[float]:
        from tacit.words.token_weights import token_weights

        if self._weigher is None:
            self._weigher = self._this_weigher()
        return token_weights(self._weigher(caption), self._load().offsets(caption))

    def _this_weigher(self) -> Weigher:
        """The one of this machine; it must be the folder's."""
        from tacit.words import shared_weigher

        found = shared_weigher()
        path = None if self.folder is None else _weights_file(self.folder, 0)
        if path is not None and path.is_file() and (before := _read(path)[1]["weigher"]) != dict(found.settings):
            raise InvalidInput(
                f"{path}: weighed by {_said(before)}, and here it would be by {_said(found.settings)}; remove the "
                "folder's weights-*.safetensors, or choose the same ($TACIT_NAMES, $TACIT_WORD_TABLE)"
            )
        return found

    def _read_weights(self) -> dict[str, list[float]]:
        """Of the folder's files."""
        found: dict[str, list[float]] = {}
        number = 0
        while self.folder is not None and (path := _weights_file(self.folder, number)).is_file():
            tensors, about = _read(path)
            if about["encoder"] != self.encoder:
                raise CorruptWeights(
                    f"{path}: for the tokens of {about['encoder']}; those of {self.encoder} are needed"
                )
            parts = tensors["weights"].float().split(tensors["lengths"].tolist())
            found |= {c: part.tolist() for c, part in zip(about["captions"], parts, strict=True)}
            number += 1
        return found

    def _load(self) -> TextEncoder:
        if self._loaded is None:
            try:
                from tacit.text.encoders import load_encoder
            except ImportError as error:
                raise MissingWeights(
                    f"a caption was not embedded beforehand, and the encoder {self.encoder!r} cannot run here: {error}"
                ) from error
            self._loaded = load_encoder(self.encoder)
        return self._loaded

    def _stored(self, caption: str) -> Tensor | None:
        if self._places is None:
            self._places = self._index()
        if (place := self._places.get(caption)) is None:
            return None
        piece, start, count = place
        if piece not in self._rows:
            from safetensors import safe_open

            assert self.folder is not None
            stored: Any = safe_open(_piece(self.folder, piece), framework="pt")
            self._rows[piece] = stored.get_slice("rows")
        rows: Tensor = self._rows[piece][start : start + count]
        return rows

    def _index(self) -> dict[str, tuple[int, int, int]]:
        from safetensors import SafetensorError, safe_open

        places: dict[str, tuple[int, int, int]] = {}
        number = 0
        while self.folder is not None and (path := _piece(self.folder, number)).is_file():
            try:
                with safe_open(path, framework="pt") as stored:
                    about = json.loads(stored.metadata()["tacit"])
                    lengths = stored.get_tensor("lengths").tolist()
            except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
                raise CorruptWeights(f"{path}: no embedded captions ({error})") from error
            if (about["encoder"], about["width"]) != (self.encoder, self.width):
                raise CorruptWeights(
                    f"{path}: embedded by {about['encoder']} with {about['width']} channels; "
                    f"{self.encoder} with {self.width} is needed"
                )
            start = 0
            for caption, length in zip(about["captions"], lengths, strict=True):
                places[caption] = (number, start, length)
                start += length
            number += 1
        return places

    def write(self, captions: Iterable[str]) -> int:
        """Encode those that the folder does not have yet, and add them to it; weigh them likewise, where that is asked
        for. Returns how many were encoded. Raises: PathError; and as a call does."""
        if self.folder is None:
            raise ValueError("no folder to write to")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PathError(f"{self.folder}: {error.strerror}") from error
        captions = list(captions)
        if self.weighted:
            self._write_weights(self.folder, captions)
        known = self._index()
        missing = [c for c in dict.fromkeys(captions) if c and c not in known]
        number = 1 + max((piece for piece, _, _ in known.values()), default=-1)
        for part in self._pieces(missing):
            path = _piece(self.folder, number)
            about = {"encoder": self.encoder, "width": self.width, "captions": [c for c, _ in part]}
            lengths = torch.tensor([len(rows) for _, rows in part], dtype=torch.int32)
            tensors = {"rows": torch.cat([rows for _, rows in part]), "lengths": lengths}
            _save(path, tensors, about)
            number += 1
        self._places = None
        return len(missing)

    def _write_weights(self, folder: Path, captions: Iterable[str]) -> None:
        known = self._read_weights()
        missing = [c for c in dict.fromkeys(captions) if c and c not in known]
        number = 0
        while _weights_file(folder, number).is_file():
            number += 1
        for start in range(0, len(missing), WEIGHED_IN_A_FILE):
            part = missing[start : start + WEIGHED_IN_A_FILE]
            weights = [torch.tensor(self._weigh(c)).half() for c in part]
            assert self._weigher is not None
            about = {"encoder": self.encoder, "weigher": dict(self._weigher.settings), "captions": part}
            lengths = torch.tensor([len(w) for w in weights], dtype=torch.int32)
            _save(_weights_file(folder, number), {"weights": torch.cat(weights), "lengths": lengths}, about)
            number += 1
        self._weights = None

    def _pieces(self, captions: Sequence[str]) -> Iterator[list[tuple[str, Tensor]]]:
        part: list[tuple[str, Tensor]] = []
        size = 0
        for start in range(0, len(captions), ENCODED_AT_ONCE):
            some = captions[start : start + ENCODED_AT_ONCE]
            tokens = self._load()(some)
            for caption, rows, mask in zip(some, tokens.embeddings, tokens.mask, strict=True):
                kept = rows[mask].half()
                more = kept.numel() * 2 + 6 * len(caption) + 8  # JSON may write a character as six
                if part and size + more > PIECE:
                    yield part
                    part, size = [], 0
                part.append((caption, kept))
                size += more
        if part:
            yield part


def _piece(folder: Path, number: int) -> Path:
    return folder / f"captions-{number:04}.safetensors"


def _weights_file(folder: Path, number: int) -> Path:
    return folder / f"weights-{number:04}.safetensors"


def _save(path: Path, tensors: dict[str, Tensor], about: Mapping[str, Any]) -> None:
    """Whole, or not at all. Raises: PathError."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    temporary = path.with_suffix(".tmp")
    try:
        save_file(tensors, temporary, metadata={"tacit": json.dumps(about)})
        temporary.replace(path)
    except (OSError, SafetensorError) as error:
        raise PathError(f"{path}: {error}") from error


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What `_save` wrote. Raises: CorruptWeights."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as stored:
            return {name: stored.get_tensor(name) for name in stored.keys()}, json.loads(stored.metadata()["tacit"])
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise CorruptWeights(f"{path}: no weighed captions ({error})") from error


def _said(settings: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items())


def _tokens(rows: Tensor, weights: Sequence[float] | None) -> TextTokens:
    """One caption's rows [T, D], and their weights, as a batch of one; a caption of no token is a masked row."""
    if not len(rows):
        return TextTokens.empty(1, rows.shape[1])
    embeddings = rows.float()[None]
    shape = embeddings.shape[:2]
    weighed = torch.ones(shape) if weights is None else torch.tensor(weights)[None]
    return TextTokens(embeddings, torch.ones(shape, dtype=torch.bool), weighed)
