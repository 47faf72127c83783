"""Writing of a unit's records to the destination: a tar shard, a Parquet file, or files in folders."""

from __future__ import annotations

import io
import posixpath
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from tacit.bulk.job import BulkJob, StorageKind
from tacit.bulk.readers import REST, find_columns
from tacit.bulk.record import IMAGE_EXTENSIONS, TACIT_EXTENSIONS, Record, file_name, is_inside
from tacit.bulk.store import PartialFile, ShardStore, WrittenFile
from tacit.bulk.unit import WorkUnit
from tacit.errors import InvalidInput

if TYPE_CHECKING:
    import pyarrow

GROUP = 32 << 20  # bytes of images and more in a row group


class RecordWriter(Protocol):
    """Takes a unit's records in order."""

    files: dict[str, WrittenFile]
    """The files that were written by name, complete when the writer's block has ended."""

    def add(self, record: Record, data: bytes | None, suffix: str) -> None:
        """Write a record.

        Args:
            record: The record.
            data: The new bytes of its image; None where it has no image.
            suffix: The suffix of the new image.

        Raises:
            InvalidInput: The record cannot be written; nothing of it is then.
            PathError: The destination cannot be written.
        """


@contextmanager
def open_writer(unit: WorkUnit, store: ShardStore, job: BulkJob) -> Iterator[RecordWriter]:
    """Open the writer of a unit's output.

    The output is one file, which is there at the end of the block or not at all; or, in folders, a file for each part
    of each record.

    Raises:
        PathError: The destination cannot be written.
    """
    if job.output_kind == StorageKind.FOLDER:
        # Files of a folder keep their names; those of a shard get a folder of their own.
        yield _FolderWriter(store, "" if unit.kind == StorageKind.FOLDER else unit.name)
        return
    name = f"{unit.name}.{job.output_kind}"
    with store.create(name) as part:
        if job.output_kind == StorageKind.TAR:
            writer: _TarWriter | _ParquetWriter = _TarWriter(part, rename=unit.kind != StorageKind.TAR)
        else:
            writer = _ParquetWriter(part, job)
        yield writer
        writer.close()
    writer.files[name] = part.written


class _FolderWriter:
    def __init__(self, store: ShardStore, folder: str) -> None:
        self._store, self._folder = store, folder
        self.files: dict[str, WrittenFile] = {}

    def add(self, record: Record, data: bytes | None, suffix: str) -> None:
        contents = {posixpath.join(self._folder, n): part for n, part in _record_files(record, data, suffix).items()}
        for name in contents:
            if not is_inside(name):
                raise InvalidInput(f"{name}: not a name for a file inside the destination")
            if name in self.files:
                raise InvalidInput(f"{name}: there already, from another sample of this shard")
        for name, content in contents.items():
            self.files[name] = self._store.put(name, content)


class _TarWriter:
    """Writes a tar shard.

    Args:
        part: The file to write to.
        rename: Whether the keys are not WebDataset's yet, for which a key ends at its first dot.
    """

    def __init__(self, part: PartialFile, rename: bool) -> None:
        self._tar = tarfile.open(fileobj=part.stream, mode="w|")  # noqa: SIM115 - closed by `close`
        self._rename = rename
        self._taken: set[str] = set()
        self.files: dict[str, WrittenFile] = {}

    def add(self, record: Record, data: bytes | None, suffix: str) -> None:
        if self._rename:
            record = replace(record, key=self._free_key(record.key))
        for name, content in _record_files(record, data, suffix).items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(content), record.mtime
            self._tar.addfile(member, io.BytesIO(content))
        self._tar.members = []  # type: ignore[attr-defined]  # else a list of all that were added grows

    def close(self) -> None:
        self._tar.close()

    def _free_key(self, key: str) -> str:
        """Return the key as WebDataset reads it back, with a number where another record has it already."""
        folder, base = posixpath.split(key.lstrip("/"))
        plain = posixpath.join(folder, base[:1] + base[1:].replace(".", "_"))
        free, number = plain, 2
        while free in self._taken:
            free, number = f"{plain}-{number}", number + 1
        self._taken.add(free)
        return free


class _ParquetWriter:
    """Writes a Parquet file.

    Rows of a table keep their columns, except for the image's bytes. Samples of shards and folders get these columns:
    key, image, caption, suffix (the image's in the source) and rest, a map of everything else by suffix.
    """

    def __init__(self, part: PartialFile, job: BulkJob) -> None:
        self._stream, self._job = part.stream, job
        self._table: pyarrow.parquet.ParquetWriter | None = None
        self._waiting: list[pyarrow.RecordBatch] = []
        self._size = 0
        self.files: dict[str, WrittenFile] = {}

    def add(self, record: Record, data: bytes | None, suffix: str) -> None:
        try:
            old = record.row
            row = _new_row(record, data) if old is None else _with_new_image(old, data, suffix, self._job)
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


def _record_files(record: Record, data: bytes | None, suffix: str) -> dict[str, bytes]:
    """Return the files of a record by name, the image first.

    Raises:
        InvalidInput: The image's new name is that of another file.
    """
    if data is not None and suffix in record.rest:
        raise InvalidInput(f"{file_name(record.key, suffix)}: there already, beside the image")
    rest = {file_name(record.key, s): content for s, content in record.rest.items()}
    return rest if data is None else {file_name(record.key, suffix): data, **rest}


def _schema() -> pyarrow.Schema:
    import pyarrow

    text, data = pyarrow.string(), pyarrow.binary()
    columns = {"key": text, "image": data, "caption": text, "suffix": text, REST: pyarrow.map_(text, data)}
    return pyarrow.schema(list(columns.items()))


def _new_row(record: Record, data: bytes | None) -> pyarrow.RecordBatch:
    import pyarrow

    row = {
        "key": record.key,
        "image": data,
        "caption": record.caption,
        "suffix": record.suffix or None,
        REST: list(record.rest.items()),
    }
    return pyarrow.RecordBatch.from_pylist([row], schema=_schema())


def _with_new_image(row: pyarrow.RecordBatch, data: bytes | None, suffix: str, job: BulkJob) -> pyarrow.RecordBatch:
    """Return the row with its image's new bytes; a column called by the image's format is renamed to the new one."""
    import pyarrow

    column = find_columns(row.schema, job).image
    index = row.schema.get_field_index(column)
    old = row.schema.field(index)
    value = row.column(index)[0].as_py()
    old = old.with_type(_plain_type(old.type))
    new = pyarrow.array([{**value, "bytes": data} if isinstance(value, dict) else data], type=old.type)
    field = old.with_name(suffix) if column.lower() in IMAGE_EXTENSIONS | TACIT_EXTENSIONS else old
    return pyarrow.RecordBatch.from_arrays(
        [new if i == index else row.column(i) for i in range(row.num_columns)],
        schema=row.schema.set(index, field),
    )


def _plain_type(kind: Any) -> Any:
    """Return the type of a column of images without dictionaries, whose indices might be too small for new values."""
    import pyarrow

    if pyarrow.types.is_dictionary(kind):
        return kind.value_type
    if pyarrow.types.is_struct(kind):
        return pyarrow.struct([field.with_type(_plain_type(field.type)) for field in kind])
    return kind
