"""Networks with tokenizers that `transformers` runs, from this machine alone: nothing is downloaded here.

`hf download NAME` puts a model's files into the Hugging Face cache, where they are found by their name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tacit.errors import CorruptWeights, MissingWeights
from tacit.extras import require

EXTRA = "clip"


def check_source(what: str, source: str, known: str = "") -> None:
    """Check that a source is a folder with a model, or may be a name on the Hugging Face hub.

    Args:
        what: The kind of model, as messages begin: "CLIP".
        source: A folder or a name.
        known: What is known of the usual model's weights, such as their size, for messages.

    Raises:
        MissingWeights: It is neither.
    """
    if not Path(source).is_dir():
        if not re.fullmatch(r"[\w-][\w.-]*(/[\w.-]+)?", source):
            raise MissingWeights(f"{what} {source}: no such folder, and not a name on the Hugging Face hub")
    elif not Path(source, "config.json").is_file():
        raise MissingWeights(f"{what} {source}: no config.json in this folder, which must hold {_files(known)}")


def cached_folder(what: str, source: str, known: str = "") -> Path:
    """Return the folder in which a model's files are, on this machine.

    Args:
        what: The kind of model, as messages begin.
        source: A folder, or a name whose files are in the Hugging Face cache.
        known: What is known of the usual model's weights, for messages.

    Raises:
        MissingExtra: `transformers` is not installed.
        MissingWeights: The files are not on this machine; the message says how to get them.
    """
    require("transformers", what, EXTRA)
    check_source(what, source, known)
    if Path(source).is_dir():
        return Path(source)
    hub = require("huggingface_hub", what, EXTRA)
    try:
        return Path(hub.snapshot_download(source, local_files_only=True))
    except (OSError, ValueError) as error:
        raise _missing(what, source, error, known) from error


def load_offline(what: str, source: str | os.PathLike[str], network: str, known: str = "") -> tuple[Any, Any]:
    """Load a network and its tokenizer from this machine, and check that all of it is there.

    Args:
        what: The kind of model, as messages begin: "CLIP".
        source: A folder, or a name whose files are in the Hugging Face cache.
        network: The network's class in `transformers`.
        known: What is known of the usual model's weights, for messages.

    Returns:
        The network and the tokenizer, as `transformers` has them. The network does not train.

    Raises:
        MissingExtra: `transformers` is not installed.
        MissingWeights: The files are not on this machine; the message says how to get them.
        CorruptWeights: The files are not such a model, or not all of one.
    """
    from safetensors import SafetensorError

    source = os.fspath(source)
    transformers = require("transformers", what, EXTRA)  # takes seconds
    check_source(what, source, known)
    try:
        with _quiet(transformers.utils.logging):
            tokenizer = transformers.AutoTokenizer.from_pretrained(source, local_files_only=True)
            model, report = getattr(transformers, network).from_pretrained(
                source, output_loading_info=True, local_files_only=True
            )
    except OSError as error:
        raise _missing(what, source, error, known) from error
    except (ValueError, KeyError, RuntimeError, SafetensorError) as error:
        # Where the cache has only a part of the files, the tokenizer raises a ValueError.
        if isinstance(error, ValueError) and not Path(source).is_dir():
            raise _missing(what, source, error, known) from error
        raise CorruptWeights(f"{what} {source}: {_first_line(error)}") from error
    # transformers fills in random numbers for what a file lacks, and continues.
    if lacking := sorted(report["missing_keys"]):
        raise CorruptWeights(f"{what} {source}: {len(lacking)} tensors missing, the first {lacking[0]}")
    return model.eval().requires_grad_(False), tokenizer


def _missing(what: str, source: str, error: Exception, known: str) -> MissingWeights:
    if Path(source).is_dir():
        return MissingWeights(f"{what} {source}: {_first_line(error)}; the folder must hold {_files(known)}")
    return MissingWeights(
        f"{what} {source} is not on this machine: run `hf download {source}`, or name a folder that holds "
        f"{_files(known)}"
    )


def _files(known: str) -> str:
    return f"its config.json, its tokenizer's files and its model.safetensors or pytorch_model.bin{known}"


@contextmanager
def _quiet(logging: Any) -> Iterator[None]:
    """Hold back transformers' progress bars, and its report of the weights that were left unread.

    A whole CLIP checkpoint holds the image network's weights too, so loading the text network leaves some unread.
    """
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
