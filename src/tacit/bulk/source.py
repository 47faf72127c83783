"""The source of a bulk run: its files, and how they are stored."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass

from tacit.bulk.job import StorageKind
from tacit.bulk.record import TACIT_EXTENSIONS, image_extensions, split_file
from tacit.bulk.store import OWN_FOLDER, FileStat, ShardStore
from tacit.errors import InvalidInput, MissingExtra, PathError

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
PARQUET_SUFFIXES = (".parquet", ".pq")


@dataclass(frozen=True)
class Source:
    """The files of a data set."""

    store: ShardStore
    """The folder that the files' names are relative to."""
    kind: StorageKind
    """How the images are stored."""
    files: Mapping[str, FileStat]
    """The files by name."""
    whole: bool = True
    """Whether everything below the folder belongs to the data set, so that a file put there would, too; False where
    files were named."""


def open_source(url: str, kind: StorageKind | None, decode: bool) -> Source:
    """List the files of a data set; hidden files are left out.

    Args:
        url: A folder, a file, or a pattern of files (`*`, `?`, `[...]`, `{0000..0099}`).
        kind: How the images are stored. None finds out: tar shards where there are any, Parquet where there are no
            images.
        decode: Whether the images are `.tacit` files.

    Raises:
        PathError: Nothing is found.
        InvalidInput: It is not clear what is meant.
        MissingExtra: A library for patterns or for the file system is not installed.
    """
    store, listed, whole = _list(url)
    files = {n: s for n, s in listed.items() if not any(p.startswith(".") for p in n.split("/")) and not _is_own(n)}
    if not files:
        raise PathError(f"{url}: no files there")
    extensions = TACIT_EXTENSIONS if decode else image_extensions()
    shards = any(name.lower().endswith(TAR_SUFFIXES) for name in files)
    images = any(split_file(name)[1].lower() in extensions for name in files)
    tables = any(name.lower().endswith(PARQUET_SUFFIXES) for name in files)
    if kind is None:
        if shards and images:
            raise InvalidInput(
                f"{url}: must hold tar shards or images in files, got both; choose with --from tar or --from folder"
            )
        kind = StorageKind.TAR if shards else StorageKind.FOLDER if images or not tables else StorageKind.PARQUET
    if not {StorageKind.TAR: shards, StorageKind.FOLDER: images, StorageKind.PARQUET: tables}[kind]:
        wanted = {
            StorageKind.TAR: "tar shard",
            StorageKind.FOLDER: ".tacit file" if decode else "image",
            StorageKind.PARQUET: ".parquet file",
        }
        raise PathError(f"{url}: no {wanted[kind]} there")
    return Source(store, kind, files, whole)


def _list(url: str) -> tuple[ShardStore, dict[str, FileStat], bool]:
    """Return the store, its files, and whether everything below the store's folder belongs to the data set."""
    store = ShardStore(url)
    if any(c in url for c in "*?[{") and not _exists(store):
        return _expand(url)
    if files := store.list():
        return store, files, True
    folder, name = posixpath.split(url.rstrip("/"))
    parent = ShardStore(folder or ".")
    return parent, {name: parent.stat(name)}, False


def _exists(store: ShardStore) -> bool:
    try:
        store.stat("")
    except PathError:
        return False
    return True


def _expand(pattern: str) -> tuple[ShardStore, dict[str, FileStat], bool]:
    try:
        from braceexpand import braceexpand
    except ImportError as error:
        raise MissingExtra("patterns of shards need braceexpand: pip install 'tacit[bulk]'") from error
    base = pattern
    while any(c in base for c in "*?[{"):
        base = posixpath.dirname(base)
    store = ShardStore(base or ".")
    files: dict[str, FileStat] = {}
    whole = False
    try:
        urls = list(braceexpand(pattern))
    except ValueError as error:
        raise InvalidInput(f"{pattern}: {error}") from error
    start = len(base) + 1 if base and base != "/" else len(base)
    for url in urls:
        name = url[start:]
        if not any(c in name for c in "*?["):
            files[name] = store.stat(name)
            continue
        whole |= any(c in posixpath.dirname(name) for c in "*?[") or "**" in name
        matches = [str(path)[len(store.root.rstrip("/")) + 1 :] for path in store.fs.glob(store.path(name))]
        files.update({match: store.stat(match) for match in sorted(matches)})
    return store, files, whole


def _is_own(name: str) -> bool:
    return name.split("/", 1)[0] == OWN_FOLDER
