"""Bulk runs without Ray, as fixtures, and the files that they read and write."""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tacit.bulk import BulkJob, Cluster
from tacit.bulk.conversion import attempt
from tacit.bulk.engine import EncodingEngine, Engine, make_engine
from tacit.bulk.manifest import Manifest, ManifestEntry
from tacit.bulk.plan import Plan, make_plan
from tacit.bulk.source import open_source
from tacit.bulk.store import ShardStore
from tacit.captions import CaptionMap
from tacit.codec.options import EncodeOptions


def read_tar(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        names = tar.getnames()
        assert len(names) == len(set(names)), "a member is there twice"
        return {name: tar.extractfile(name).read() for name in names}  # type: ignore[union-attr]


def write_files(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def read_files(folder: Path) -> dict[str, bytes]:
    found = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    return {name: data for name, data in found.items() if not name.startswith("_tacit/")}


class Runner:
    """A run without Ray: units one after the other."""

    def __init__(self, engines: Callable[[BulkJob], Engine], weights: Path) -> None:
        self.engines, self.weights = engines, weights

    def job(self, source: Path | str, destination: Path | str, **options: Any) -> BulkJob:
        names = EncodeOptions.__dataclass_fields__.keys() & options.keys()
        encoding = EncodeOptions(**{name: options.pop(name) for name in names})
        source, destination, model = str(source), str(destination), str(self.weights)
        return BulkJob(source=source, destination=destination, model=model, options=encoding, **options)

    def plan(self, job: BulkJob, captions: CaptionMap | None = None) -> tuple[BulkJob, Plan, Manifest]:
        source = open_source(job.source, job.source_kind, job.decode)
        job = replace(job, source=source.store.url, source_kind=source.kind, output_kind=job.output_kind or source.kind)
        store = ShardStore(job.destination)
        manifest = Manifest(store, job.settings())
        return job, make_plan(source, job, manifest.entries, store.list(), captions), manifest

    def __call__(
        self, source: Path | str, destination: Path | str, captions: CaptionMap | None = None, **options: Any
    ) -> tuple[dict[str, ManifestEntry], dict[str, str]]:
        """Entries and errors of the units that were done now."""
        job, todo, manifest = self.plan(self.job(source, destination, **options), captions)
        entries, errors = {}, {}
        for unit in todo.units:
            result = attempt(unit, job, self.engines(job))
            if isinstance(result, ManifestEntry):
                manifest.add(result)
                entries[unit.name] = result
            else:
                errors[unit.name] = result
        manifest.gather()
        manifest.close()
        return entries, errors


@pytest.fixture(scope="session")
def engines(tiny_weights: Path) -> Callable[[BulkJob], Engine]:
    """Engines with the small model, made once for each direction."""
    made: dict[bool, Engine] = {}

    def get(job: BulkJob) -> Engine:
        if job.decode not in made:
            made[job.decode] = make_engine(job)
        engine = made[job.decode]
        if isinstance(engine, EncodingEngine):
            engine.job = job
        else:
            engine.suffix = job.format
        return engine

    return get


@pytest.fixture
def runner(engines: Callable[[BulkJob], Engine], tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> Runner:
    """Runs with the small model, whose weights files find by their hash."""
    monkeypatch.setenv("TACIT_WEIGHTS", str(tiny_weights.parent))
    return Runner(engines, tiny_weights)


@pytest.fixture
def without_ray(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replaces Ray in `run`: units are done in this process, one after the other."""

    def units(todo: Any, job: BulkJob, cluster: Cluster) -> Iterator[tuple[str, ManifestEntry | str]]:
        for unit in todo:
            yield unit.name, attempt(unit, job, runner.engines(job))

    monkeypatch.setattr("tacit.bulk.driver.run_units", units)
    monkeypatch.setattr("tacit.bulk.driver.connect", lambda cluster: nullcontext())
