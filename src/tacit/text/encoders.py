"""Captions to token embeddings.

`EmbeddedEncoder` is the default and works offline; `ClipEncoder` runs CLIP's text model through `transformers`, the
extra `clip`. Encoding an image uses these; decoding never does, and no decoder code may import this module.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from tokenizers import Encoding, Tokenizer
from torch import Tensor

from tacit.errors import CorruptWeights, InvalidInput, MissingExtra, MissingWeights, UnknownModel
from tacit.files import verified
from tacit.text.tokens import TextTokens

if TYPE_CHECKING:
    from os import PathLike

_HERE = Path(__file__).parent
TABLE_SHA256 = "b794f04f3746a498edd76657c852cf61c172d586ddf57f4ea035c2e4eb0f393b"
TOKENIZER_SHA256 = "0021c53aef816452d61c1aa9fc35fdba1684b29eedc38abe3aad6a25185088e3"

CLIP_DEFAULT = "openai/clip-vit-base-patch32"
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

    SOURCE is a name on the Hugging Face hub or a local folder; without one it is CLIP ViT-B/32.

    Raises:
        UnknownModel: no encoder has that name.
        MissingExtra: CLIP without the extra `clip`.
        MissingWeights: CLIP's files are neither here nor to be had from the hub.
        CorruptWeights: an encoder's files do not verify.
    """
    kind, colon, source = name.partition(":")
    if name == "embedded":
        return EmbeddedEncoder()
    if kind in ("clip", "clip-published") and bool(colon) == bool(source):
        return ClipEncoder(source or CLIP_DEFAULT, published=kind == "clip-published")
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

    source: a name on the Hugging Face hub or a local folder, both with the tokenizer's files. The hub is asked only for
    what its cache on this machine lacks.

    Every token of a caption gets its state, however long the caption: tokens beyond the model's length (77 with its
    two special tokens) are dealt out to as few windows as will hold them, of nearly equal length. Each window is
    framed by the special tokens and run on its own; the states of the caption's tokens, without the special ones, are
    put together again in order. Words at the start of a later window are thus read without the words before them.

    With `published=True` it does what the published TACO did, for weights that were trained so: the caption is cut at
    38 tokens, special ones included, and padded to 38 with the padding token; CLIP is told which are padding, but the
    mask that is returned is all True; no caption means the empty caption.

    Raises:
        MissingExtra: `transformers` is not installed.
        MissingWeights: the files are neither here nor to be had from the hub.
        CorruptWeights: the files hold no CLIP text model, or not the whole of it.
    """

    def __init__(self, source: str | PathLike[str] = CLIP_DEFAULT, *, published: bool = False) -> None:
        source = str(source)
        kind = "clip-published" if published else "clip"
        model, tokenizer = _load_clip(source, kind)
        self.name = kind + ("" if source == CLIP_DEFAULT else f":{source}")
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


def _load_clip(source: str, kind: str) -> tuple[Any, Any]:
    """The text model and the tokenizer; `transformers` takes seconds to import, so it is imported here."""
    try:
        transformers: Any = importlib.import_module("transformers")
    except ImportError as error:
        raise MissingExtra("CLIP text needs transformers: pip install 'tacit[clip]'") from error
    hub: Any = importlib.import_module("huggingface_hub")
    folder = Path(source).is_dir()
    if not folder and not re.fullmatch(r"[\w-][\w.-]*(/[\w.-]+)?", source):
        raise MissingWeights(f"CLIP text model {source!r}: no such folder, and not a name on the hub")
    try:
        with _errors_only(transformers.utils.logging), _errors_only(hub.utils.logging):
            try:
                with _no_bars(transformers.utils.logging):
                    tokenizer, model, report = _read_clip(transformers, source, local=True)
            except (OSError, ValueError):  # ValueError: the cache has a part of it, the tokenizer not
                if folder:
                    raise
                _ask_hub(hub, source, kind)
                tokenizer, model, report = _read_clip(transformers, source, local=False)
    except OSError as error:
        raise MissingWeights(f"CLIP text model {source!r}: {_first_line(error)}") from error
    except (ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise CorruptWeights(f"CLIP text model {source!r}: {_first_line(error)}") from error
    # transformers fills what a file lacks with random numbers and goes on.
    if lacking := sorted(report["missing_keys"]):
        raise CorruptWeights(f"CLIP text model {source!r}: {len(lacking)} tensors missing, the first {lacking[0]}")
    special = (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id)
    if None in special or len(tokenizer) > model.config.vocab_size:
        raise CorruptWeights(f"CLIP text model {source!r}: its tokenizer is not the model's")
    return model.eval().requires_grad_(False), tokenizer


def _read_clip(transformers: Any, source: str, *, local: bool) -> tuple[Any, Any, Any]:
    tokenizer = transformers.AutoTokenizer.from_pretrained(source, local_files_only=local)
    model, report = transformers.CLIPTextModel.from_pretrained(source, output_loading_info=True, local_files_only=local)
    return tokenizer, model, report


def _ask_hub(hub: Any, source: str, kind: str) -> None:
    """Once and for ten seconds at most: without an answer, transformers would try for most of a minute."""
    try:
        hub.get_hf_file_metadata(hub.hf_hub_url(source, "config.json"), timeout=10)
    except Exception as error:  # of the HTTP library that the hub's client happens to use
        raise MissingWeights(
            f"CLIP text model {source!r} is neither on this machine nor to be had from the hub ({_first_line(error)}); "
            f"name a folder that holds it (--text-encoder {kind}:FOLDER)"
        ) from error


@contextmanager
def _errors_only(logging: Any) -> Iterator[None]:
    """Hold back transformers' report of the weights left unread (a CLIP checkpoint has the image model's too), and what
    the hub's client says of each attempt."""
    level = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)


@contextmanager
def _no_bars(logging: Any) -> Iterator[None]:
    """Reading a file takes no time worth a progress bar; a download does."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
