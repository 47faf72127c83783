"""The samples of a unit, one by one, as they are in tar shards, folders and Parquet files."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO

from tacit.bulk.job import Job, Kind
from tacit.bulk.record import PHOTOS, TACIT, Record, split_file, split_member
from tacit.bulk.store import Store
from tacit.bulk.unit import Unit
from tacit.captions.sidecar import member_captions
from tacit.errors import InvalidInput, PathError

if TYPE_CHECKING:
    import pyarrow

IMAGE_COLUMNS = ("image", "jpg", "jpeg", "png", "webp", "tacit", "img", "image_bytes", "bytes", "content")
CAPTION_COLUMNS = ("caption", "captions", "text", "txt", "alt", "alt_text", "prompt", "sentence", "title")
KEY_COLUMNS = ("key", "__key__", "id", "image_id", "file_name", "filename", "uid")
REST = "rest"
"""The column that the files beside an image are in, where tar shards or folders became a table."""
ROWS = 64  # of a table, read at a time


def read(unit: Unit, store: Store, job: Job) -> Iterator[Record]:
    """The unit's records, in order, each read when it is asked for.

    Raises: PathError, InvalidInput where a shard cannot be read (to its end). A file of a folder that cannot be read
    becomes its record's problem.
    """
    suffixes = TACIT if job.decode else PHOTOS
    if unit.kind == Kind.FOLDER:
        yield from _with_captions(_read_files(store, unit, suffixes), unit.captions)
        return
    (name,) = unit.inputs
    with store.open(name) as stream:
        if unit.kind == Kind.TAR:
            yield from _with_captions(_read_tar(stream, suffixes), {})
        else:
            yield from _read_parquet(stream, job)


def _with_captions(records: Iterable[Record], given: Mapping[str, str]) -> Iterator[Record]:
    for record in records:
        yield record if record.image is None else _captioned(record, given.get(record.key))


def _captioned(record: Record, given: str | None) -> Record:
    """The record with a caption: the one that a map gives, else that of its .txt, else of its .json."""
    found = [given] if given else [*member_captions(_only(record, "txt")), *member_captions(_only(record, "json"))]
    return replace(record, caption=found[0] if found else None)


def _only(record: Record, suffix: str) -> dict[str, bytes]:
    return {suffix: record.rest[suffix]} if suffix in record.rest else {}


# -- tar --------------------------------------------------------------------------------------------------------------


def _read_tar(stream: BinaryIO, suffixes: frozenset[str]) -> Iterator[Record]:
    """Members that follow each other and share a name up to the first dot are a sample."""
    parts: dict[str, bytes] = {}
    current, mtime = "", 0
    try:
        with tarfile.open(fileobj=stream, mode="r|*") as tar:
            for member in tar:
                tar.members = []  # type: ignore[attr-defined]  # else the list of all that have been read grows
                if member.isdir():
                    continue
                key, suffix = split_member(member.name)
                if not member.isfile():
                    yield from _sample(current, parts, suffixes, mtime)
                    parts = {}
                    yield Record(member.name, problem="a link or a device, not a file")
                    continue
                if key != current or suffix in parts:
                    yield from _sample(current, parts, suffixes, mtime)
                    parts, current, mtime = {}, key, int(member.mtime)
                content = tar.extractfile(member)
                assert content is not None
                parts[suffix] = content.read()
            # Behind the last member must be a block of zeros. tarfile lets a file that is cut off between two members,
            # or in the padding behind one, pass for a whole one.
            if tar.fileobj is None or tar.fileobj.tell() < tar.offset + tarfile.BLOCKSIZE:
                raise tarfile.ReadError("it ends without an end marker")
            yield from _sample(current, parts, suffixes, mtime)
    except (tarfile.TarError, EOFError) as error:
        raise InvalidInput(f"not a whole tar file: {error or type(error).__name__}") from error


def _sample(key: str, parts: Mapping[str, bytes], suffixes: frozenset[str], mtime: int) -> Iterator[Record]:
    """The first image of a name is the one that is coded; a second one stays as it is, like all the rest."""
    if parts:
        suffix = next((s for s in parts if s.lower() in suffixes), None)
        rest = {s: data for s, data in parts.items() if s != suffix}
        yield Record(key, suffix or "", parts[suffix] if suffix else None, None, rest, mtime=mtime)


# -- folders ----------------------------------------------------------------------------------------------------------


def _read_files(store: Store, unit: Unit, suffixes: frozenset[str]) -> Iterator[Record]:
    for key, names in unit.groups().items():
        try:
            parts = {}
            for name in names:
                if (data := store.read(name)) is None:
                    raise PathError(f"{name}: gone since the source was listed")
                parts[split_file(name)[1]] = data
        except PathError as error:
            yield Record(key, problem=str(error))
        else:
            yield from _sample(key, parts, suffixes, 0)


# -- Parquet ----------------------------------------------------------------------------------------------------------


def _read_parquet(stream: BinaryIO, job: Job) -> Iterator[Record]:
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.ParquetFile(stream)
        schema = table.schema_arrow
        columns = find_columns(schema, job)
        number = 0
        for batch in table.iter_batches(batch_size=ROWS):
            for index in range(batch.num_rows):
                yield _row(batch.slice(index, 1), columns, number, files=job.to != Kind.PARQUET)
                number += 1
    except pyarrow.ArrowException as error:
        raise InvalidInput(f"not a whole Parquet file: {error}") from error


class Columns:
    """Where things are in a table. caption, key, rest: None where there is none."""

    def __init__(self, image: str, caption: str | None, key: str | None, rest: str | None) -> None:
        self.image, self.caption, self.key, self.rest = image, caption, key, rest


def find_columns(schema: pyarrow.Schema, job: Job) -> Columns:
    """The columns that are named, else those of a usual name and a fitting type.

    Raises: InvalidInput, which lists what is there.
    """
    import pyarrow

    def text(kind: Any) -> bool:
        if pyarrow.types.is_list(kind) or pyarrow.types.is_large_list(kind):
            kind = kind.value_type
        return bool(pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind))

    def usual(names: Sequence[str]) -> list[str]:
        return [n for wanted in names for n in schema.names if n.lower() == wanted]

    for wanted in (job.image_column, job.caption_column):
        if wanted is not None and wanted not in schema.names:
            raise InvalidInput(f"no column {wanted!r}; there are {', '.join(schema.names)}")
    likely = ("tacit", *IMAGE_COLUMNS) if job.decode else IMAGE_COLUMNS  # a second image of a row is as it was
    image = job.image_column or next((n for n in usual(likely) if is_image(schema.field(n).type)), None)
    if image is None or not is_image(schema.field(image).type):
        there = ", ".join(f"{f.name} ({f.type})" for f in schema)
        raise InvalidInput(f"no column of images, as bytes; name one with --image-column. There are {there}")
    caption = job.caption_column or next((n for n in usual(CAPTION_COLUMNS) if text(schema.field(n).type)), None)
    key = next((n for n in usual(KEY_COLUMNS) if not pyarrow.types.is_nested(schema.field(n).type)), None)
    rest = REST if REST in schema.names and pyarrow.types.is_map(schema.field(REST).type) else None
    return Columns(image, caption, key, rest)


def is_image(kind: Any) -> bool:
    """Whether a column's type can hold images: bytes, or as Hugging Face's data sets have them, {bytes, path}."""
    import pyarrow

    if pyarrow.types.is_struct(kind):
        index = kind.get_field_index("bytes")
        return index >= 0 and is_image(kind.field(index).type)
    return bool(pyarrow.types.is_binary(kind) or pyarrow.types.is_large_binary(kind))


def _row(row: pyarrow.RecordBatch, columns: Columns, number: int, files: bool) -> Record:
    """files: whether what the other columns hold is wanted as files."""
    image = row.column(columns.image)[0].as_py()
    path = ""
    if isinstance(image, dict):
        image, path = image["bytes"], str(image.get("path") or "")
    key = f"{number:08}"
    if columns.key is not None and (value := row.column(columns.key)[0].as_py()) is not None:
        key = str(value)
        stem, suffix = split_file(key)
        key = stem if suffix.lower() in PHOTOS | TACIT else key
    if image is None and path:
        return Record(key, row=row, problem=f"no bytes in the column {columns.image} ({path})")
    if image is None:  # such as img2dataset's rows of what could not be fetched; only tables have a place for them
        return Record(key, row=row, rest=_beside(row, columns, None) if files and columns.rest else {})
    caption = None
    if columns.caption is not None:
        given = row.column(columns.caption)[0].as_py()
        caption = next((c for c in given if c), None) if isinstance(given, list) else given
    suffix = split_file(path)[1] or (columns.image if columns.image.lower() in PHOTOS | TACIT else "")
    return Record(key, suffix, image, caption, _beside(row, columns, caption) if files else {}, row=row)


def _beside(row: pyarrow.RecordBatch, columns: Columns, caption: str | None) -> Mapping[str, bytes]:
    """The other columns as the files that stand beside an image in shards and folders."""
    if columns.rest is not None:
        return dict(row.column(columns.rest)[0].as_py() or ())
    values = {name: row.column(name)[0].as_py() for name in row.schema.names if name != columns.image}
    binary = {name: value for name, value in values.items() if isinstance(value, bytes)}
    plain = {name: value for name, value in values.items() if name not in binary}
    about = json.dumps(plain, ensure_ascii=False, default=str).encode()  # str: dates and the like
    return {**binary, **({} if caption is None else {"txt": caption.encode()}), **({"json": about} if plain else {})}
