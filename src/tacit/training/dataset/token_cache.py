"""The tokens of captions while training, each caption encoded once.

A folder can keep what the text encoder made, so that a run, or another machine (which need not have the encoder), reads
instead of encoding.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tacit.errors import CorruptWeights, InvalidInput, MissingWeights, PathError
from tacit.text.tokens import TextTokens
from tacit.training.dataset.embedding_files import EmbeddingFiles
from tacit.training.dataset.word_weight_files import WordWeightFiles

if TYPE_CHECKING:
    from tacit.text.encoders import TextEncoder
    from tacit.words import Weigher

MAX_WEIGHED = 500_000  # captions whose weights are kept in memory


class TokenCache:
    """The tokens of captions, each caption encoded once.

    Args:
        encoder: A name that `tacit.text.encoders.load_encoder` takes; loaded when a caption is not known.
        width: Channels of the encoder's embeddings.
        folder: The folder that `write` fills; a caption that it does not have is encoded.
        limit: Bytes of the captions beyond the folder's that are kept in memory.
        weighted: Whether tokens have the weights of their words (`tacit.words`), which the folder keeps, too.
    """

    def __init__(
        self, encoder: str, width: int, folder: Path | None = None, limit: int = 256 << 20, *, weighted: bool = False
    ) -> None:
        self.encoder = encoder
        self.width = width
        self.folder = folder
        self.limit = limit
        self.weighted = weighted
        self._embedding_files = None if folder is None else EmbeddingFiles(folder, encoder, width)
        self._weight_files = None if folder is None else WordWeightFiles(folder, encoder)
        self._loaded_encoder: TextEncoder | None = None
        self._loaded_weigher: Weigher | None = None
        self._embeddings: dict[str, Tensor] = {}  # of captions that the folder does not have
        self._size = 0  # bytes of these
        self._weights: dict[str, list[float]] | None = None  # of each caption's tokens

    def __call__(self, captions: Sequence[str | None]) -> TextTokens:
        """Return the tokens of a batch of captions; None is a caption of no token.

        Raises:
            MissingWeights: A caption is not known, and the encoder is not on this machine.
            MissingExtra: A caption is not known, and the encoder's packages are not installed.
            CorruptWeights: The folder is damaged, or the encoder has another width.
            InvalidInput: Captions in the folder were weighed by another table or pipeline than this machine's.
        """
        return TextTokens.stack([self._tokens(c) for c in captions])

    def write(self, captions: Iterable[str]) -> int:
        """Encode the captions that the folder does not have yet, weigh them where tokens are weighted, and keep them.

        Returns:
            How many captions were encoded.

        Raises:
            PathError: The folder cannot be written.
            MissingWeights: A caption is not known, and the encoder is not on this machine.
            MissingExtra: A caption is not known, and the encoder's packages are not installed.
            CorruptWeights: The folder is damaged, or the encoder has another width.
            InvalidInput: Captions in the folder were weighed by another table or pipeline than this machine's.
        """
        if self.folder is None or self._embedding_files is None or self._weight_files is None:
            raise ValueError("the cache has no folder to write to")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PathError(f"{self.folder}: {error.strerror}") from error
        captions = list(captions)
        if self.weighted:
            self._weight_files.add(captions, self._weigh, lambda: self._weigher().settings)
            self._weights = None
        return self._embedding_files.add(captions, lambda some: TextTokens.of(self._encoder()(some)))

    def _tokens(self, caption: str | None) -> TextTokens:
        if not caption:
            return TextTokens.empty(1, self.width)
        rows = None if self._embedding_files is None else self._embedding_files.find(caption)
        if rows is None and (rows := self._embeddings.get(caption)) is None:
            rows = self._embed(caption)
        return _one_caption(rows, self._word_weights(caption) if self.weighted else None)

    def _embed(self, caption: str) -> Tensor:
        """Encode a caption, and keep its embeddings [T, D] float16 in memory while there is room."""
        tokens = TextTokens.of(self._encoder()([caption]))
        if tokens.embeddings.shape[2] != self.width:
            raise CorruptWeights(
                f"text encoder {self.encoder}: the model takes {self.width} channels, got {tokens.embeddings.shape[2]}"
            )
        rows = tokens.embeddings[tokens.mask].half()
        self._size += rows.numel() * 2
        if self._size < self.limit:
            self._embeddings[caption] = rows
        return rows

    def _word_weights(self, caption: str) -> list[float]:
        if self._weights is None:
            self._weights = {} if self._weight_files is None else self._weight_files.read()
        if (weights := self._weights.get(caption)) is None:
            weights = self._weigh(caption)
            if len(self._weights) < MAX_WEIGHED:
                self._weights[caption] = weights
        return weights

    def _weigh(self, caption: str) -> list[float]:
        from tacit.words.token_weights import token_weights

        return token_weights(self._weigher()(caption), self._encoder().offsets(caption))

    def _weigher(self) -> Weigher:
        """Return this machine's weigher, which must have the settings of the one that weighed the folder's captions."""
        if self._loaded_weigher is None:
            from tacit.words import shared_weigher

            weigher = shared_weigher()
            kept = None if self._weight_files is None else self._weight_files.weigher_settings()
            if kept is not None and kept[1] != dict(weigher.settings):
                raise InvalidInput(
                    f"{kept[0]}: weighed by {_settings_text(kept[1])}, but this machine has "
                    f"{_settings_text(weigher.settings)}; remove the folder's weights-*.safetensors, or choose the "
                    "same settings ($TACIT_NAMES, $TACIT_WORD_TABLE)"
                )
            self._loaded_weigher = weigher
        return self._loaded_weigher

    def _encoder(self) -> TextEncoder:
        if self._loaded_encoder is None:
            try:
                from tacit.text.encoders import load_encoder
            except ImportError as error:
                raise MissingWeights(
                    f"a caption was not embedded beforehand, and the encoder {self.encoder!r} cannot run here: {error}"
                ) from error
            self._loaded_encoder = load_encoder(self.encoder)
        return self._loaded_encoder


def _settings_text(settings: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items())


def _one_caption(rows: Tensor, weights: Sequence[float] | None) -> TextTokens:
    """Return one caption's embeddings [T, D] and weights as a batch of one; a caption of no token is a masked row."""
    if not len(rows):
        return TextTokens.empty(1, rows.shape[1])
    embeddings = rows.float()[None]
    shape = embeddings.shape[:2]
    token_weights = torch.ones(shape) if weights is None else torch.tensor(weights)[None]
    return TextTokens(embeddings, torch.ones(shape, dtype=torch.bool), token_weights)
