"""Captions to token embeddings.

`EmbeddedEncoder` is the default and works offline; `ClipEncoder` runs CLIP's text model through `transformers`, the
extra `clip`. Encoding an image uses these; decoding never does, and no decoder code may import this module.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import torch
from safetensors.torch import load as load_safetensors
from tokenizers import Encoding, Tokenizer
from torch import Tensor

from tacit.errors import InvalidInput, UnknownModel
from tacit.files import verified
from tacit.pretrained import clip
from tacit.text.tokens import TextTokens

if TYPE_CHECKING:
    from os import PathLike

_HERE = Path(__file__).parent
TABLE_SHA256 = "b794f04f3746a498edd76657c852cf61c172d586ddf57f4ea035c2e4eb0f393b"
TOKENIZER_SHA256 = "0021c53aef816452d61c1aa9fc35fdba1684b29eedc38abe3aad6a25185088e3"

PUBLISHED_LENGTH = 38  # tokens of a caption in the published TACO, specials included
CLIP_BATCH = 32  # windows run at once, so that memory stays bounded for a caption of any length


class TextEncoder(Protocol):
    """Captions in, token embeddings out."""

    @property
    def name(self) -> str:
        """What `load_encoder` takes to make this encoder again."""
        ...

    @property
    def width(self) -> int:
        """Channels D of the embeddings."""
        ...

    def __call__(self, captions: Sequence[str | None]) -> TextTokens:
        """The captions' tokens, [B, T, D] with T ≥ 1: a caption without a token (or None) is a masked row."""
        ...

    def offsets(self, caption: str | None) -> list[tuple[int, int]]:
        """Where each token stands in the caption: start and end character, in the order of the T axis.

        As many entries as the caption's mask has True values; (0, 0) for a token that stands for no text.
        """
        ...


def load_encoder(name: str) -> TextEncoder:
    """The encoder of that name: "embedded", "clip", "clip:SOURCE", "clip-published" or "clip-published:SOURCE".

    SOURCE is a folder, or a name whose files are in the Hugging Face cache; without one it is CLIP ViT-B/32.

    Raises:
        UnknownModel: no encoder has that name.
        MissingExtra: CLIP without the extra `clip`.
        MissingWeights: CLIP's files are not on this machine; the message says how to get them.
        CorruptWeights: an encoder's files do not verify.
    """
    kind, colon, source = name.partition(":")
    if name == "embedded":
        return EmbeddedEncoder()
    if kind in ("clip", "clip-published") and bool(colon) == bool(source):
        return ClipEncoder(source or clip.DEFAULT, published=kind == "clip-published")
    raise UnknownModel(
        f"text encoder {name!r}: known are 'embedded', 'clip', 'clip:SOURCE' and 'clip-published:SOURCE'"
    )


def _clean(caption: str | None) -> str:
    """The caption with lone surrogates, which are not text, replaced one for one; offsets stay true."""
    return re.sub("[\ud800-\udfff]", "\ufffd", caption or "")


def _check(captions: Sequence[str | None]) -> None:
    """Raises InvalidInput for what would otherwise fail far from here, such as one string for a list of one."""
    if isinstance(captions, str) or not len(captions):
        raise InvalidInput("captions: expected a sequence with one caption (or None) for each image")
    for caption in captions:
        if not isinstance(caption, str | None):
            raise InvalidInput(f"caption: expected text or None, got {type(caption).__name__}")


def _padded(rows: Sequence[Tensor], width: int) -> TextTokens:
    """Captions' embeddings [T_i, D] as one batch; no tokens at all is a masked row."""
    length = max(1, *(len(row) for row in rows))
    embeddings = torch.zeros(len(rows), length, width)
    mask = torch.zeros(len(rows), length, dtype=torch.bool)
    for i, row in enumerate(rows):
        embeddings[i, : len(row)] = row
        mask[i, : len(row)] = True
    return TextTokens(embeddings, mask, torch.ones(len(rows), length))


class EmbeddedEncoder:
    """One stored vector per word piece, distilled from all-MiniLM-L6-v2; made by `scripts/distill_text_encoder.py`.

    Offline, 8 MB, ready in a few tens of milliseconds. English; lower-cased; other scripts become unknown words. A
    vector depends on its piece alone, so captions of any length are embedded whole and order carries no meaning. The
    table as a whole has unit mean square; function words lie below it and telling words above.

    Raises:
        CorruptWeights: the files in the package are missing or altered.
    """

    name = "embedded"
    width = 256

    def __init__(self) -> None:
        tensors = load_safetensors(verified(_HERE / "embedded.safetensors", TABLE_SHA256))
        self._tokenizer = Tokenizer.from_str(verified(_HERE / "embedded-tokenizer.json", TOKENIZER_SHA256).decode())
        self._rows = tensors["rows"]  # int8 [V, 256]
        self._scales = tensors["scales"]  # float16 [V, 1]

    def __call__(self, captions: Sequence[str | None]) -> TextTokens:
        """Embeddings [B, T, 256], float32 on the CPU; equal, bit for bit, for a caption alone and in a batch."""
        _check(captions)
        # One at a time: the tokenizer's own threads would quarrel with a caller that forks, as data loaders do.
        ids = [torch.tensor(self._tokenizer.encode(_clean(c)).ids, dtype=torch.long) for c in captions]
        return _padded([self._rows[i].float() * self._scales[i].float() for i in ids], self.width)

    def offsets(self, caption: str | None) -> list[tuple[int, int]]:
        """Start and end character of each token."""
        return list(self._tokenizer.encode(_clean(caption)).offsets)


class ClipEncoder:
    """Last hidden states of a CLIP text model, run through `transformers` (the extra `clip`).

    source: a folder, or a name whose files are in the Hugging Face cache; both with the tokenizer's files.

    Every token of a caption gets its state, however long the caption: tokens beyond the model's length (77 with its
    two special tokens) are dealt out to as few windows as will hold them, of nearly equal length. Each window is
    framed by the special tokens and run on its own; the states of the caption's tokens, without the special ones, are
    put together again in order. Words at the start of a later window are thus read without the words before them.

    With `published=True` it does what the published TACO did, for weights that were trained so: the caption is cut at
    38 tokens, special ones included, and padded to 38 with the padding token; CLIP is told which are padding, but the
    mask that is returned is all True; no caption means the empty caption.

    Raises:
        MissingExtra: `transformers` is not installed.
        MissingWeights: the files are not on this machine; the message says how to get them.
        CorruptWeights: the files hold no CLIP text model, or not the whole of it.
    """

    def __init__(self, source: str | PathLike[str] = clip.DEFAULT, *, published: bool = False) -> None:
        source = str(source)
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

    def __call__(self, captions: Sequence[str | None]) -> TextTokens:
        """Embeddings [B, T, 512] (ViT-B/32), float32 on the CPU; T is 38 if `published`."""
        _check(captions)
        tokens = [self._encode(c).ids for c in captions]
        if self._published:
            states = self._run([ids[: PUBLISHED_LENGTH - 2] for ids in tokens], PUBLISHED_LENGTH)
            return TextTokens(states, torch.ones(states.shape[:2], dtype=torch.bool), torch.ones(states.shape[:2]))
        windows = [list(_windows(ids, self._window - 2)) for ids in tokens]
        rows = iter(self._rows([w for caption in windows for w in caption]))
        return _padded([torch.cat([torch.zeros(0, self.width), *islice(rows, len(c))]) for c in windows], self.width)

    def offsets(self, caption: str | None) -> list[tuple[int, int]]:
        """Start and end character of each token; (0, 0) for the special and padding tokens if `published`."""
        found = list(self._encode(caption).offsets)
        if not self._published:
            return found
        found = [(0, 0), *found[: PUBLISHED_LENGTH - 2]]
        return found + [(0, 0)] * (PUBLISHED_LENGTH - len(found))

    def _encode(self, caption: str | None) -> Encoding:
        return self._tokenizer.encode(_clean(caption), add_special_tokens=False)

    def _rows(self, windows: Sequence[Sequence[int]]) -> Iterator[Tensor]:
        """The states [len(w), D] of each window's own tokens."""
        for start in range(0, len(windows), CLIP_BATCH):
            batch = windows[start : start + CLIP_BATCH]
            states = self._run(batch, max(map(len, batch)) + 2)
            yield from (row[1 : 1 + len(window)] for row, window in zip(states, batch, strict=True))

    def _run(self, windows: Sequence[Sequence[int]], length: int) -> Tensor:
        """Last hidden states [N, length, D] of windows framed by the special tokens and padded."""
        ids = torch.full((len(windows), length), self._pad)
        mask = torch.zeros_like(ids)
        for i, window in enumerate(windows):
            ids[i, : len(window) + 2] = torch.tensor([self._first, *window, self._last])
            mask[i, : len(window) + 2] = 1
        with torch.no_grad():
            states: Tensor = self._model(input_ids=ids, attention_mask=mask).last_hidden_state
        return states.float()


def _windows(ids: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """`ids` in as few runs of at most `size` as will do, their lengths differing by at most one."""
    count = -(-len(ids) // size)
    for i in range(count):
        yield ids[i * len(ids) // count : (i + 1) * len(ids) // count]
