"""A unit's records to the destination: a tar shard, a Parquet file, or files in folders."""

from __future__ import annotations

import io
import posixpath
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from tacit.bulk.job import Job, Kind
from tacit.bulk.readers import REST, find_columns
from tacit.bulk.record import PHOTOS, TACIT, Record, is_inside, named
from tacit.bulk.store import Part, Store, Written
from tacit.bulk.unit import Unit
from tacit.errors import InvalidInput

if TYPE_CHECKING:
    import pyarrow

GROUP = 32 << 20  # bytes of images and more in a row group


class Writer(Protocol):
    """Takes a unit's records in order. files: what was written, complete when the writer's block has ended."""

    files: dict[str, Written]

    def add(self, record: Record, data: bytes | None, suffix: str) -> None:
        """A record with its image's new bytes and suffix; None where it has no image.

        Raises: InvalidInput, where it cannot be written; nothing of it is then. PathError.
        """


@contextmanager
def writer(unit: Unit, store: Store, job: Job) -> Iterator[Writer]:
    """Writes what the unit becomes: one file, which is there at the end of the block or not at all, or one for each
    part of each record.

    Raises: PathError.
    """
    if job.to == Kind.FOLDER:
        # Files of a folder keep their names; those of a shard get a folder of their own.
        yield _FolderWriter(store, "" if unit.kind == Kind.FOLDER else unit.name)
        return
    name = f"{unit.name}.{job.to}"
    with store.create(name) as part:
        out = _TarWriter(part, unit.kind != Kind.TAR) if job.to == Kind.TAR else _ParquetWriter(part, job)
        yield out
        out.close()
    out.files[name] = part.written


class _FolderWriter:
    def __init__(self, store: Store, folder: str) -> None:
        self._store, self._folder = store, folder
        self.files: dict[str, Written] = {}

    def add(self, record: Record, data: bytes | None, suffix: str) -> None:
        parts = {posixpath.join(self._folder, name): part for name, part in _parts(record, data, suffix).items()}
        for name in parts:
            if not is_inside(name):
                raise InvalidInput(f"{name} is no name for a file inside the destination")
            if name in self.files:
                raise InvalidInput(f"{name} is there already, of another sample of this shard")
        for name, part in parts.items():
            self.files[name] = self._store.put(name, part)


class _TarWriter:
    """renamed: the names are not WebDataset's yet, for which a name ends at its first dot."""

    def __init__(self, part: Part, renamed: bool) -> None:
        self._tar = tarfile.open(fileobj=part.stream, mode="w|")
        self._renamed = renamed
        self._taken: set[str] = set()
        self.files: dict[str, Written] = {}

    def add(self, record: Record, data: bytes | None, suffix: str) -> None:
        if self._renamed:
            record = replace(record, key=self._free(record.key))
        for name, part in _parts(record, data, suffix).items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(part), record.mtime
            self._tar.addfile(member, io.BytesIO(part))
        self._tar.members = []  # type: ignore[attr-defined]  # else a list of all that were added grows

    def close(self) -> None:
        self._tar.close()

    def _free(self, key: str) -> str:
        """The key as WebDataset reads it back, and no other's."""
        folder, base = posixpath.split(key.lstrip("/"))
        plain = posixpath.join(folder, base[:1] + base[1:].replace(".", "_"))
        found, number = plain, 2
        while found in self._taken:
            found, number = f"{plain}-{number}", number + 1
        self._taken.add(found)
        return found


class _ParquetWriter:
    """Rows of a table keep their columns, but for the image's bytes; samples of shards and folders get these: key,
    image, caption, suffix (the image's, as it was) and rest, a map of everything else by suffix."""

    def __init__(self, part: Part, job: Job) -> None:
        self._stream, self._job = part.stream, job
        self._table: pyarrow.parquet.ParquetWriter | None = None
        self._waiting: list[pyarrow.RecordBatch] = []
        self._size = 0
        self.files: dict[str, Written] = {}

    def add(self, record: Record, data: bytes | None, suffix: str) -> None:
        try:
            row = _as_row(record, data) if record.row is None else _replaced(record.row, data, suffix, self._job)
        except ValueError as error:  # a name or caption that is not UTF-8
            raise InvalidInput(f"cannot be a row of a table: {error}") from error
        self._waiting.append(row)
        self._size += row.nbytes
        if self._size > GROUP:
            self._write()

    def close(self) -> None:
        if self._table is None and not self._waiting:
            self._waiting = [_schema().empty_table().to_batches()[0]]
        self._write()
        if self._table is not None:
            self._table.close()

    def _write(self) -> None:
        import pyarrow
        import pyarrow.parquet

        if self._waiting:
            table = pyarrow.Table.from_batches(self._waiting)
            if self._table is None:
                self._table = pyarrow.parquet.ParquetWriter(self._stream, table.schema)
            self._table.write_table(table)
        self._waiting, self._size = [], 0


def _parts(record: Record, data: bytes | None, suffix: str) -> dict[str, bytes]:
    """The files of a record, the image first.

    Raises: InvalidInput, where the image's new name is another part's.
    """
    if data is not None and suffix in record.rest:
        raise InvalidInput(f"{named(record.key, suffix)} is there already, beside the image")
    rest = {named(record.key, s): part for s, part in record.rest.items()}
    return rest if data is None else {named(record.key, suffix): data, **rest}


def _schema() -> pyarrow.Schema:
    import pyarrow

    text, data = pyarrow.string(), pyarrow.binary()
    columns = {"key": text, "image": data, "caption": text, "suffix": text, REST: pyarrow.map_(text, data)}
    return pyarrow.schema(list(columns.items()))


def _as_row(record: Record, data: bytes | None) -> pyarrow.RecordBatch:
    import pyarrow

    row = {
        "key": record.key,
        "image": data,
        "caption": record.caption,
        "suffix": record.suffix or None,
        REST: list(record.rest.items()),
    }
    return pyarrow.RecordBatch.from_pylist([row], schema=_schema())


def _replaced(row: pyarrow.RecordBatch, data: bytes | None, suffix: str, job: Job) -> pyarrow.RecordBatch:
    """The row with its image's new bytes; a column that is called by the image's format gets the new one's name."""
    import pyarrow

    column = find_columns(row.schema, job).image
    index = row.schema.get_field_index(column)
    old = row.schema.field(index)
    value = row.column(index)[0].as_py()
    new = pyarrow.array([{**value, "bytes": data} if isinstance(value, dict) else data], type=old.type)
    field = old.with_name(suffix) if column.lower() in PHOTOS | TACIT else old
    return pyarrow.RecordBatch.from_arrays(
        [new if i == index else row.column(i) for i in range(row.num_columns)],
        schema=row.schema.set(index, field),
    )
