"""Reading of a unit's records, one by one, from tar shards, folders and Parquet files."""

from __future__ import annotations

import json
import os
import tarfile
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, BinaryIO

from tacit.bulk.job import BoxSource, BulkJob, StorageKind
from tacit.bulk.record import (
    IMAGE_EXTENSIONS,
    TACIT_EXTENSIONS,
    Record,
    file_name,
    first_image,
    image_extensions,
    is_apple_double,
    split_file,
    split_member,
)
from tacit.bulk.store import ShardStore
from tacit.bulk.unit import WorkUnit
from tacit.captions.caption_value import usable_texts
from tacit.captions.sidecar import member_captions
from tacit.errors import InvalidInput, PathError
from tacit.files.shard_members import dotted_samples
from tacit.finding.box_map import BoxMap, ListedBox, listed_boxes
from tacit.image import ConversionWarning

if TYPE_CHECKING:
    import pyarrow

IMAGE_COLUMNS = ("image", "jpg", "jpeg", "png", "webp", "tacit", "img", "image_bytes", "bytes", "content")
CAPTION_COLUMNS = ("caption", "captions", "text", "txt", "alt", "alt_text", "prompt", "sentence", "sentences", "title")
KEY_COLUMNS = ("key", "__key__", "id", "image_id", "file_name", "filename", "uid")
REST = "rest"
"""The column for the files beside an image, where tar shards or folders become a table."""
ROWS = 64  # of a table, read at a time


def read_records(unit: WorkUnit, store: ShardStore, job: BulkJob) -> Iterator[Record]:
    """Yield a unit's records in order, each read when it is asked for.

    A file of a folder that cannot be read becomes its record's problem.

    Raises:
        PathError: A shard cannot be read.
        InvalidInput: A shard is damaged or cut off, or a table has no column of images.
    """
    for record in _read(unit, store, job):
        yield replace(record, boxes=_boxes(record, unit, store, job)) if job.box_source and record.image else record


def _boxes(record: Record, unit: WorkUnit, store: ShardStore, job: BulkJob) -> tuple[ListedBox, ...]:
    """Return the boxes that a record's image has in the list, or in the `.json` beside it."""
    name = file_name(record.key, record.suffix)
    if job.box_source == BoxSource.LIST:
        assert unit.boxes is not None
        within = [] if unit.kind == StorageKind.FOLDER else list(unit.inputs)  # the shard, as if it were a folder
        return unit.boxes.boxes.find(os.path.join(_listed_root(store, unit.boxes), *within, name)) or ()
    try:
        content = json.loads(record.rest.get("json", b"null"))
        return listed_boxes(content, name) if isinstance(content, dict) and "boxes" in content else ()
    except (ValueError, RecursionError):  # one bad sidecar must not end a run, nor cost its image
        warnings.warn("a sidecar whose boxes cannot be read is left out", ConversionWarning, stacklevel=2)
        return ()


def _listed_root(store: ShardStore, boxes: BoxMap) -> str:
    """Return where a list's paths are seen from: the source's folder or, if that is not here, the list's."""
    return store.root if store.local else str(boxes.folder)


def _read(unit: WorkUnit, store: ShardStore, job: BulkJob) -> Iterator[Record]:
    extensions = TACIT_EXTENSIONS if job.decode else image_extensions()
    if unit.kind == StorageKind.FOLDER:
        yield from _with_captions(_read_files(store, unit, extensions), unit.captions)
        return
    (name,) = unit.inputs
    with store.open(name) as stream:
        if unit.kind == StorageKind.TAR:
            yield from _with_captions(_read_tar(stream, extensions), {})
        else:
            yield from _read_parquet(stream, job)


def _with_captions(records: Iterable[Record], captions: Mapping[str, str]) -> Iterator[Record]:
    for record in records:
        yield record if record.image is None else _with_caption(record, captions.get(record.key))


def _with_caption(record: Record, caption: str | None) -> Record:
    """Return the record with a caption: the one from a map, else that of its `.txt`, else of its `.json`."""
    return replace(record, caption=caption or _first_caption(record.rest) or record.caption)


def _first_caption(members: Mapping[str, bytes]) -> str | None:
    beside = (member_captions({suffix: members.get(suffix, b"")}) for suffix in ("txt", "json"))
    return next((text for texts in beside for text in texts), None)


# -- tar --------------------------------------------------------------------------------------------------------------


def _read_tar(stream: BinaryIO, extensions: frozenset[str]) -> Iterator[Record]:
    """Yield the samples: members that follow each other and share a name up to the first dot."""
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
                    yield from _samples(current, parts, extensions, mtime)
                    parts = {}
                    yield Record(key=member.name, problem="a link or a device, not a file")
                    continue
                content = tar.extractfile(member)
                assert content is not None
                data = content.read()
                if is_apple_double(member.name, data):
                    warnings.warn("a file of macOS's attributes (._NAME) is left out", ConversionWarning, stacklevel=2)
                    continue
                if key != current or suffix in parts:
                    yield from _samples(current, parts, extensions, mtime)
                    parts, current, mtime = {}, key, int(member.mtime)
                parts[suffix] = data
            # Behind the last member must be a block of zeros. tarfile lets a file that is cut off between two members,
            # or in the padding behind one, pass for a whole one.
            if tar.fileobj is None or tar.fileobj.tell() < tar.offset + tarfile.BLOCKSIZE:
                raise tarfile.ReadError("it ends without an end marker")
            yield from _samples(current, parts, extensions, mtime)
    except (tarfile.TarError, EOFError, TypeError, ValueError, OverflowError) as error:  # tarfile's answers to damage
        raise InvalidInput(f"not a whole tar file: {error or type(error).__name__}") from error


def _sample(key: str, parts: Mapping[str, bytes], extensions: frozenset[str], mtime: int) -> Iterator[Record]:
    """Yield the record of one name: its first image is coded; a second one stays as it is, like all the rest."""
    suffix = first_image(parts, extensions)
    image = None if suffix is None else parts[suffix]
    rest = {s: data for s, data in parts.items() if s != suffix}
    yield Record(key=key, suffix=suffix or "", image=image, rest=rest, mtime=mtime)


def _samples(key: str, parts: Mapping[str, bytes], extensions: frozenset[str], mtime: int) -> Iterator[Record]:
    """Yield the records of members that share a name up to the first dot: one, or one for each name with more dots."""
    for stem, own, captions in dotted_samples(parts, extensions) if parts else ():
        for record in _sample(file_name(key, stem), own, extensions, mtime):
            yield replace(record, caption=_first_caption(captions)) if captions else record


# -- folders ----------------------------------------------------------------------------------------------------------


def _read_files(store: ShardStore, unit: WorkUnit, extensions: frozenset[str]) -> Iterator[Record]:
    for key, names in unit.groups().items():
        try:
            parts: dict[str, bytes] = {}
            for name in names:
                if (data := store.read(name)) is None:
                    raise PathError(f"{name}: gone since the source was listed")
                parts[split_file(name)[1]] = data
        except PathError as error:
            yield Record(key=key, problem=str(error))
        else:
            yield from _sample(key, parts, extensions, 0)


# -- Parquet ----------------------------------------------------------------------------------------------------------


def _read_parquet(stream: BinaryIO, job: BulkJob) -> Iterator[Record]:
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.ParquetFile(stream)
        schema = table.schema_arrow
        columns = find_columns(schema, job)
        number = 0
        for batch in table.iter_batches(batch_size=ROWS):
            for index in range(batch.num_rows):
                row = batch.slice(index, 1)
                yield row_record(row, columns, number, as_files=job.output_kind != StorageKind.PARQUET)
                number += 1
    except pyarrow.ArrowException as error:
        raise InvalidInput(f"not a whole Parquet file: {error}") from error


@dataclass(frozen=True)
class Columns:
    """Where things are in a table; None for what it lacks."""

    image: str
    """The column of images."""
    caption: tuple[str, ...] | None
    """The column of captions, and the names of the fields that lead to them inside it."""
    key: str | None
    """The column of the rows' names."""
    rest: str | None
    """The column of other files."""


def find_columns(schema: pyarrow.Schema, job: BulkJob) -> Columns:
    """Return the columns that a job names, else those of a usual name and a fitting type.

    Captions may be in a field of a column with fields, such as `json.caption`.

    Raises:
        InvalidInput: There is no such column, or none of images; the message lists the columns that there are.
    """
    import pyarrow

    def usual(names: Sequence[str]) -> list[str]:
        return [column for name in names for column in schema.names if column.lower() == name]

    caption = None
    if job.caption_column is not None:
        caption = _caption_path(schema, job.caption_column)
    for wanted, found in ((job.image_column, job.image_column in schema.names), (job.caption_column, caption)):
        if wanted is not None and not found:
            raise InvalidInput(f"no column {wanted!r}; there are {', '.join(schema.names)}")
    likely = ("tacit", *IMAGE_COLUMNS) if job.decode else IMAGE_COLUMNS  # a second image of a row is not encoded
    image = job.image_column or next((n for n in usual(likely) if is_image(schema.field(n).type)), None)
    if image is None or not is_image(schema.field(image).type):
        there = ", ".join(f"{field.name} ({field.type})" for field in schema)
        raise InvalidInput(f"no column of images as bytes; name one with --image-column. There are {there}")
    if caption is None:
        direct = [(name,) for name in usual(CAPTION_COLUMNS) if _holds_text(schema.field(name).type)]
        others = [field for field in schema if field.name != image]
        caption = next(iter(direct or _paths_inside(others, CAPTION_COLUMNS) or _paths_deep_inside(others)), None)
    key = next((n for n in usual(KEY_COLUMNS) if not pyarrow.types.is_nested(schema.field(n).type)), None)
    rest = REST if REST in schema.names and pyarrow.types.is_map(schema.field(REST).type) else None
    return Columns(image, caption, key, rest)


def is_image(kind: Any) -> bool:
    """Return whether a column's type can hold images: bytes, or {bytes, path} as in Hugging Face's data sets."""
    import pyarrow

    types = pyarrow.types
    if types.is_dictionary(kind):
        return is_image(kind.value_type)
    if types.is_struct(kind):
        index = kind.get_field_index("bytes")
        return index >= 0 and is_image(kind.field(index).type)
    return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind))


def _paths_inside(fields: Iterable[pyarrow.Field], names: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the ways to captions in columns with fields, by the names of these fields."""
    import pyarrow

    return [
        (field.name, name)
        for field in fields
        if pyarrow.types.is_struct(field.type)
        for name in names
        if field.type.get_field_index(name) >= 0 and _holds_text(field.type.field(name).type)
    ]


def _paths_deep_inside(fields: Iterable[pyarrow.Field]) -> list[tuple[str, ...]]:
    """Return the ways to captions in lists of objects and further down; there, other names may be of other texts."""
    import pyarrow

    names, found = ("caption", "captions"), []
    for field in fields:
        kind = field.type
        if pyarrow.types.is_struct(kind):
            below = _paths_inside(kind, names) or _paths_deep_inside(kind)
            found += [(field.name, *path) for path in below]
        elif pyarrow.types.is_nested(kind) and not pyarrow.types.is_map(kind) and hasattr(kind, "value_type"):
            item = pyarrow.field("item", kind.value_type)
            found += [(field.name,)] * bool(_paths_inside([item], names[:1]))  # `usable_texts` finds it in each object
    return found


def _holds_text(kind: Any) -> bool:
    """Return whether a column's type can hold captions: text, or lists, maps and objects in which there is text."""
    import pyarrow

    types = pyarrow.types
    if types.is_struct(kind):
        return any(_holds_text(field.type) for field in kind)
    if types.is_map(kind):
        return _holds_text(kind.item_type)
    if types.is_dictionary(kind) or (types.is_nested(kind) and hasattr(kind, "value_type")):
        return _holds_text(kind.value_type)
    # Bytes, too: a shard's texts are bytes, and some programs leave them so when they make a table of it.
    strings = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    return bool(strings or types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind))


def _caption_path(schema: pyarrow.Schema, name: str) -> tuple[str, ...] | None:
    """Return the way to a column, or to a field of one (`json.caption`); None where there is none."""
    import pyarrow

    if name in schema.names:
        return (name,)
    first, *others = name.split(".")
    if first not in schema.names:
        return None
    kind = schema.field(first).type
    for field in others:
        if not pyarrow.types.is_struct(kind) or kind.get_field_index(field) < 0:
            return None
        kind = kind.field(field).type
    return (first, *others)


def _row_caption(row: pyarrow.RecordBatch, path: Sequence[str]) -> str | None:
    """Return the first text in what a row has for a caption."""
    column, *fields = path
    cells = row.column(column)
    value = _without_pairs(cells[0].as_py(), cells.type)
    for field in fields:
        value = None if value is None else value[field]
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return next(iter(usable_texts([value])), None)


def _without_pairs(value: Any, kind: Any) -> Any:
    """Return a value of a type with dictionaries in place of maps, which are lists of pairs in pyarrow's Python."""
    import pyarrow

    if value is None:
        return None
    if pyarrow.types.is_map(kind):
        return {key: _without_pairs(item, kind.item_type) for key, item in value}
    if pyarrow.types.is_struct(kind):
        return {field.name: _without_pairs(value[field.name], field.type) for field in kind}
    if pyarrow.types.is_nested(kind) and isinstance(value, list):
        return [_without_pairs(item, kind.value_type) for item in value]
    return value


def row_record(row: pyarrow.RecordBatch, columns: Columns, number: int, as_files: bool) -> Record:
    """Return the record of a table's row.

    Args:
        row: A batch of one row.
        columns: Where things are in the table.
        number: The row's number, for its key where the table has none.
        as_files: Whether the contents of the other columns are needed as files.
    """
    image = row.column(columns.image)[0].as_py()
    path = ""
    if isinstance(image, dict):
        image, path = image["bytes"], str(image.get("path") or "")
    key = f"{number:08}"
    if columns.key is not None and (value := row.column(columns.key)[0].as_py()) is not None:
        key = str(value)
        stem, suffix = split_file(key)
        key = stem if suffix.lower() in IMAGE_EXTENSIONS | TACIT_EXTENSIONS else key
    if image is None and path:
        return Record(key=key, row=row, problem=f"no bytes in the column {columns.image} ({path})")
    if image is None:  # such as img2dataset's rows of what could not be fetched; only tables have a place for them
        return Record(key=key, row=row, rest=_row_files(row, columns, None) if as_files and columns.rest else {})
    caption = None if columns.caption is None else _row_caption(row, columns.caption)
    named_by_format = columns.image.lower() in IMAGE_EXTENSIONS | TACIT_EXTENSIONS
    return Record(
        key=key,
        suffix=split_file(path)[1] or (columns.image if named_by_format else ""),
        image=image,
        caption=caption,
        rest=_row_files(row, columns, caption) if as_files else {},
        row=row,
    )


def _row_files(row: pyarrow.RecordBatch, columns: Columns, caption: str | None) -> Mapping[str, bytes]:
    """Return the other columns as the files that stand beside an image in shards and folders, by suffix."""
    if columns.rest is not None:
        return dict(row.column(columns.rest)[0].as_py() or ())
    values = {name: row.column(name)[0].as_py() for name in row.schema.names if name != columns.image}
    binary = {name: value for name, value in values.items() if isinstance(value, bytes)}
    plain = {name: value for name, value in values.items() if name not in binary}
    content = json.dumps(plain, ensure_ascii=False, default=str).encode()  # str: dates and the like
    return {**binary, **({} if caption is None else {"txt": caption.encode()}), **({"json": content} if plain else {})}
