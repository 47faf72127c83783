"""The text encoder that comes with the package: a table of one vector per word piece."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from safetensors.numpy import load as load_safetensors

from tacit.files import verified
from tacit.text.caption_tokens import CaptionTokens
from tacit.text.encoders.encoder import check_captions, clean_text, pad_rows
from tacit.text.encoders.word_pieces import WordPieces

FOLDER = Path(__file__).parents[1]
TABLE_SHA256 = "b794f04f3746a498edd76657c852cf61c172d586ddf57f4ea035c2e4eb0f393b"
TOKENIZER_SHA256 = "0021c53aef816452d61c1aa9fc35fdba1684b29eedc38abe3aad6a25185088e3"


class EmbeddedEncoder:
    """One stored vector per word piece, distilled from all-MiniLM-L6-v2 by `scripts/distill_text_encoder.py`.

    It works offline, takes 8 MB, and is ready in a few tens of milliseconds. It knows English in lower case; words in
    other scripts become unknown words. A vector depends on its piece alone, so captions of any length are embedded
    whole, and order carries no meaning. The table as a whole has unit mean square; function words lie below it, words
    that tell something above.

    Raises:
        CorruptWeights: The files in the package are missing or altered.
    """

    name = "embedded"
    width = 256

    def __init__(self) -> None:
        tensors = load_safetensors(verified(FOLDER / "embedded.safetensors", TABLE_SHA256))
        tokenizer = json.loads(verified(FOLDER / "embedded-tokenizer.json", TOKENIZER_SHA256))
        self._cut = WordPieces(tokenizer["model"]["vocab"])
        self._rows = tensors["rows"]  # int8 [V, 256]
        self._scales = tensors["scales"]  # float16 [V, 1]

    def __call__(self, captions: Sequence[str | None]) -> CaptionTokens:
        """Return embeddings [B, T, 256], float32; equal, bit for bit, for a caption alone and in a batch."""
        check_captions(captions)
        ids = [np.array([piece.number for piece in self._cut(clean_text(c))], dtype=np.intp) for c in captions]
        rows = [self._rows[i].astype(np.float32) * self._scales[i].astype(np.float32) for i in ids]
        return pad_rows(rows, self.width)

    def offsets(self, caption: str | None) -> list[tuple[int, int]]:
        """Return start and end character of each token."""
        return [(piece.start, piece.stop) for piece in self._cut(clean_text(caption))]
