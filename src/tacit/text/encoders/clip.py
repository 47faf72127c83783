"""The text encoder that runs CLIP's text model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from tacit.extras import require
from tacit.text.caption_tokens import CaptionTokens
from tacit.text.encoders.encoder import check_captions, clean_text, pad_rows

if TYPE_CHECKING:
    from os import PathLike

    import torch
    from tokenizers import Encoding, Tokenizer

PUBLISHED_LENGTH = 38  # tokens of a caption in the published TACO, special ones included
BATCH = 32  # windows that are run at once, so that memory stays bounded for a caption of any length


class ClipEncoder:
    """Last hidden states of a CLIP text model, run by `transformers` (the extra `clip`).

    Every token of a caption gets its state, however long the caption: tokens beyond the model's length (77 with its
    two special tokens) are dealt out to as few windows as will hold them, of nearly equal length. Each window is
    framed by the special tokens and run on its own; the states of the caption's tokens, without the special ones, are
    put together again in order. Words at the start of a later window are thus read without the words before them.

    Args:
        source: A folder, or a name whose files are in the Hugging Face cache; both with the tokenizer's files. None is
            CLIP ViT-B/32.
        published: Whether to do what the published TACO did, for weights that were trained so: the caption is cut at
            38 tokens, special ones included, and padded to 38 with the padding token; CLIP gets a mask of the padding,
            but the mask that is returned is all True; no caption means the empty caption.

    Raises:
        MissingExtra: `transformers` or torch is not installed.
        MissingWeights: The files are not on this machine; the message says how to get them.
        CorruptWeights: The files hold no CLIP text model, or not the whole of one.
    """

    def __init__(self, source: str | PathLike[str] | None = None, *, published: bool = False) -> None:
        require("torch", "CLIP", "clip")
        from tacit.pretrained import clip

        source = clip.DEFAULT if source is None else str(source)
        kind = "clip-published" if published else "clip"
        model, tokenizer = clip.load_clip(source, text_only=True)
        self.name = kind + ("" if source == clip.DEFAULT else f":{source}")
        self.width = int(model.config.hidden_size)
        self._published = published
        self._window = int(model.config.max_position_embeddings)
        self._model = model
        self._first, self._last, self._pad = tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id
        self._tokenizer: Tokenizer = tokenizer.backend_tokenizer
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        # A caption that says "<|endoftext|>" means the letters; the published code took it for the token.
        self._tokenizer.encode_special_tokens = not published

    def __call__(self, captions: Sequence[str | None]) -> CaptionTokens:
        """Return embeddings [B, T, 512] (ViT-B/32), float32; T is 38 if `published`."""
        check_captions(captions)
        tokens = [self._encode(c).ids for c in captions]
        if self._published:
            states = self._run([ids[: PUBLISHED_LENGTH - 2] for ids in tokens], PUBLISHED_LENGTH)
            return CaptionTokens(states, np.ones(states.shape[:2], np.bool_), np.ones(states.shape[:2], np.float32))
        windows = [list(_windows(ids, self._window - 2)) for ids in tokens]
        rows = iter(self._rows([w for caption in windows for w in caption]))
        nothing = np.zeros((0, self.width), np.float32)
        return pad_rows([np.concatenate([nothing, *islice(rows, len(c))]) for c in windows], self.width)

    def offsets(self, caption: str | None) -> list[tuple[int, int]]:
        """Return start and end character of each token; (0, 0) for special and padding tokens if `published`."""
        offsets = list(self._encode(caption).offsets)
        if not self._published:
            return offsets
        offsets = [(0, 0), *offsets[: PUBLISHED_LENGTH - 2]]
        return offsets + [(0, 0)] * (PUBLISHED_LENGTH - len(offsets))

    def _encode(self, caption: str | None) -> Encoding:
        return self._tokenizer.encode(clean_text(caption), add_special_tokens=False)

    def _rows(self, windows: Sequence[Sequence[int]]) -> Iterator[np.ndarray]:
        """Yield the states [len(w), D] of each window's own tokens."""
        for start in range(0, len(windows), BATCH):
            batch = windows[start : start + BATCH]
            states = self._run(batch, max(map(len, batch)) + 2)
            yield from (row[1 : 1 + len(window)] for row, window in zip(states, batch, strict=True))

    def _run(self, windows: Sequence[Sequence[int]], length: int) -> np.ndarray:
        """Return the last hidden states [N, length, D] of windows, framed by the special tokens and padded."""
        import torch

        ids = torch.full((len(windows), length), self._pad)
        mask = torch.zeros_like(ids)
        for i, window in enumerate(windows):
            ids[i, : len(window) + 2] = torch.tensor([self._first, *window, self._last])
            mask[i, : len(window) + 2] = 1
        with torch.no_grad():
            states: torch.Tensor = self._model(input_ids=ids, attention_mask=mask).last_hidden_state
        return states.float().numpy()


def _windows(ids: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """Cut `ids` into as few runs of at most `size` as will do, whose lengths differ by at most one."""
    count = -(-len(ids) // size)
    for i in range(count):
        yield ids[i * len(ids) // count : (i + 1) * len(ids) // count]
