"""`.tacit` files in training jobs: WebDataset's decoder, data sets for torch, batches, Ray Data."""

from __future__ import annotations

import gc
import io
import logging
import pickle
import re
import tarfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader

import tacit.data
from support.paths import ROOT
from tacit import container
from tacit.codec import Codec, Latents
from tacit.container import Header
from tacit.data.batches import Collate, ImageBatch, LatentBatch, Synthesiser
from tacit.data.crops import CenterCrop, RandomCrop
from tacit.data.datasets import Coded, TacitFiles, TacitShards
from tacit.data.local_codec import local_codec
from tacit.data.webdataset_decoder import KINDS
from tacit.errors import CorruptFile, ImageTooLarge, InvalidInput, MissingExtra, MissingWeights, PathError
from tacit.models.coding import CodingModel

webdataset = pytest.importorskip("webdataset")

Picture = Callable[..., Image.Image]


@pytest.fixture(autouse=True)
def small_models(
    monkeypatch: pytest.MonkeyPatch,
    weights_folder: Path,
    tiny_weights: Path,
    tiny_taco_weights: Path,
    tiny_taco_fixed_weights: Path,
) -> None:
    """The small models' files are found by those that know nothing but the file, in other processes, too."""
    monkeypatch.setenv("TACIT_WEIGHTS", str(weights_folder))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As in workers: float sums may depend on the number."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def encoded(codec: Codec, taco_codec: Codec, taco_fixed_codec: Codec) -> dict[str, bytes]:
    """Files of several models, qualities, sizes and modes."""
    from support.pictures import synthetic

    def photo(width: int, height: int, seed: int, mode: str = "RGB") -> Image.Image:
        image = Image.fromarray(synthetic(width, height, seed)).convert(mode)
        if mode == "RGBA":
            image.putalpha(90)
        return image

    return {
        "low": codec.encode(photo(150, 130, 1), quality=15),
        "high": codec.encode(photo(150, 130, 2), "stored with it", quality=90, store_caption=True),
        "wide": codec.encode(photo(200, 97, 3), quality=40.25),
        "grey": codec.encode(photo(150, 130, 4, "L"), quality=70),
        "alpha": codec.encode(photo(150, 130, 5, "RGBA"), quality=70),
        "taco": taco_codec.encode(photo(150, 130, 6), quality=60),
        "fixed": taco_fixed_codec.encode(photo(150, 130, 7)),
        "mapped": codec.encode(
            photo(150, 130, 9), quality=50, quality_map=np.array([[-40, 0, 30], [0, 9, 0], [0, 0, 50]])
        ),
        "long": codec.encode(photo(1100, 90, 8), quality=30),
    }


def write_shard(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


@pytest.fixture
def shards(tmp_path: Path, encoded: dict[str, bytes]) -> str:
    """Four shards of three samples each, numbered on: 0/00.tacit to 3/11.tacit, with captions."""
    files = [data for name, data in encoded.items() if name != "long"]
    for shard in range(4):
        members = {}
        for number in range(3 * shard, 3 * shard + 3):
            members[f"{number:02}.tacit"] = files[number % len(files)]
            members[f"{number:02}.json" if number % 2 else f"{number:02}.txt"] = (
                b'{"captions": ["number %d", "or so"], "id": 7}' % number if number % 2 else b"number %d" % number
            )
        write_shard(tmp_path / f"{shard}.tar", members)
    return f"{tmp_path}/{{0..3}}.tar"


def coded(name: str, data: Any, *captions: str, seed: int = 0) -> Coded:
    return Coded(name, data, captions, (seed,))


def pixels(image: Image.Image) -> np.ndarray:
    """[3, H, W]."""
    return np.asarray(image.convert("RGB")).transpose(2, 0, 1)


@pytest.fixture
def leaves_files_open() -> Iterator[None]:
    """WebDataset does, where a sample is bad."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()


# -- WebDataset -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("name", ["grey", "alpha"])
def test_the_decoder_gives_what_webdatasets_own_gives_of_a_png(encoded: dict[str, bytes], kind: str, name: str) -> None:
    png = io.BytesIO()
    Codec(threads=1).decode(encoded[name]).save(png, "PNG")
    expected = webdataset.autodecode.imagehandler(kind)(".png", png.getvalue())
    found = tacit.data.decoder(kind)("photo.TACIT", encoded[name])
    assert type(found) is type(expected) or isinstance(found, Image.Image)
    if isinstance(expected, Image.Image):
        assert found.mode == expected.mode
    else:
        assert found.dtype == expected.dtype
    assert np.array_equal(np.asarray(found), np.asarray(expected))


def test_all_of_webdatasets_kinds_are_there() -> None:
    assert set(KINDS) == set(webdataset.autodecode.imagespecs)
    with pytest.raises(InvalidInput, match="decoder 'rgb9': there are l8, "):
        tacit.data.decoder("rgb9")


@pytest.mark.usefixtures("leaves_files_open")
def test_the_decoder_in_a_pipeline_with_others(tmp_path: Path, encoded: dict[str, bytes]) -> None:
    png = io.BytesIO()
    Image.new("RGB", (8, 9), (1, 2, 3)).save(png, "PNG")
    members = {"a.tacit": encoded["low"], "a.txt": b"first", "b.png": png.getvalue(), "b.cls": b"5"}
    shard = write_shard(tmp_path / "a.tar", members)
    handler = pickle.loads(pickle.dumps(tacit.data.decoder("rgb8")))
    first, second = webdataset.WebDataset(str(shard), shardshuffle=False).decode(handler, "rgb8")
    assert first["tacit"].shape == (130, 150, 3)
    assert first["txt"] == "first"
    assert second["png"].tolist() == np.broadcast_to([1, 2, 3], (9, 8, 3)).tolist()
    assert second["cls"] == 5
    assert handler(".tacit.json", b"{}") is None


@pytest.mark.usefixtures("leaves_files_open")
def test_a_bad_file_in_a_pipeline_is_raised_or_left_out(tmp_path: Path, encoded: dict[str, bytes]) -> None:
    bad = encoded["low"][:-1] + b"!"
    shard = write_shard(tmp_path / "a.tar", {"a.tacit": bad, "b.tacit": encoded["low"]})
    rows = webdataset.WebDataset(str(shard), shardshuffle=False)
    with pytest.raises(webdataset.autodecode.DecodingError) as raised:
        list(rows.decode(tacit.data.decoder()))
    assert isinstance(raised.value.__cause__ or raised.value.__context__, CorruptFile)
    rest = rows.decode(tacit.data.decoder("pil"), handler=webdataset.handlers.ignore_and_continue)
    assert [row["__key__"] for row in rest] == ["b"]
    with pytest.raises(ImageTooLarge, match="at most 100 pixels"):
        tacit.data.decoder(max_pixels=100)(".tacit", encoded["low"])


# -- batches ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("precision", "box"),
    [
        ("fp32", None),
        ("auto", None),
        ("auto", (0, 0, 40, 30)),
        ("fp32", (37, 21, 101, 85)),
        ("auto", (86, 59, 150, 90)),
    ],
)
def test_batches_are_to_the_bit_what_decode_gives(
    encoded: dict[str, bytes], precision: str, box: tuple[int, int, int, int] | None
) -> None:
    def crop(width: int, height: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
        return box or (0, 0, width, height)

    batch = Collate(crop)([coded(name, data) for name, data in encoded.items()])
    assert isinstance(batch, LatentBatch)
    found = Synthesiser(precision=precision)(pickle.loads(pickle.dumps(batch)))
    codec = Codec(precision=precision, threads=1)
    assert found.names == tuple(encoded)
    assert isinstance(found.images, Tensor) == (box is not None)
    for image, data in zip(found.images, encoded.values(), strict=True):
        assert np.array_equal(image.numpy(), pixels(codec.decode(data, box=box)))
    assert found.sizes.tolist()[2] == [97, 200]
    assert found.boxes.tolist()[2] == list(box or (0, 0, 200, 97))
    if isinstance(found.images, Tensor):
        assert found.images.is_contiguous(memory_format=torch.channels_last)


def test_what_a_worker_makes_pixels_of_is_the_same(encoded: dict[str, bytes]) -> None:
    samples = [coded(name, data, "a", "b", seed=3) for name, data in encoded.items()]
    here = Synthesiser()(Collate(64)(samples))  # type: ignore[arg-type]
    there = Collate(64, pixels=True)(samples)
    assert isinstance(there, ImageBatch)
    assert torch.equal(here.images, there.images)  # type: ignore[arg-type]
    assert here.captions == there.captions
    assert here.boxes.tolist() == there.boxes.tolist()


def test_crops_of_one_size_run_together(encoded: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    corners = [(0, 0), (86, 66), *((int(x), int(y)) for x, y in rng.integers((86, 66), size=(6, 2)))]
    places = iter(corners)

    def crop(width: int, height: int, _: np.random.Generator) -> tuple[int, int, int, int]:
        left, top = next(places)
        return left, top, left + 64, top + 64

    files = ["low", "high", "alpha", "taco"] * 2
    batch = Collate(crop)([coded(name, encoded[name]) for name in files])
    assert isinstance(batch, LatentBatch)
    calls: list[int] = []
    synthesise = CodingModel.synthesise

    def counted(self: CodingModel, latents: Tensor, *rest: Any, **more: Any) -> Tensor:
        calls.append(len(latents))
        return synthesise(self, latents, *rest, **more)

    monkeypatch.setattr(CodingModel, "synthesise", counted)
    together = Synthesiser(precision="fp32", together=1 << 20)(batch)
    assert sorted(calls) == [2, 6], "one run for each model, whatever the quality and the place"
    calls.clear()
    limited = Synthesiser(precision="fp32", together=3 * 150 * 150)(batch)
    assert max(calls) <= 3
    alone = Synthesiser(precision="fp32")(batch)
    for other in (together, limited):
        difference = other.images.int() - alone.images.int()  # type: ignore[union-attr]
        assert difference.abs().max() <= 1
        assert (difference != 0).float().mean() < 0.001


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(1, 1500), st.integers(1, 300)),
    st.data(),
    st.integers(0, 7),
)
def test_windows(size: tuple[int, int], data: st.DataObject, reach: int) -> None:
    """Boxes of one size get latents of one shape, which hold all that a box alone needs, in the right place."""
    width, height = size
    rows, columns = -(-height // 16), -(-width // 16)
    whole = torch.arange(rows * columns, dtype=torch.int16).view(1, rows, columns)
    wide, high = data.draw(st.integers(1, width)), data.draw(st.integers(1, height))
    header = Header(width=width, height=height, color=True, alpha=False, quality=50, model_id=1, weights_hash=bytes(8))
    shapes = set()
    for _ in range(2):
        left, top = data.draw(st.integers(0, width - wide)), data.draw(st.integers(0, height - high))
        latents = Latents(header, (left, top, left + wide, top + high), (0, 0), whole)
        cut = latents.cut(reach)
        shapes.add(cut.values.shape)
        assert torch.equal(cut.values, cut.cut(reach).values)
        for even in (False, True):
            expected, found = (list(one.tiles(reach, even=even)) for one in (latents, cut))
            assert len(expected) == len(found) == (1 if wide <= 1024 else 2)
            for a, b in zip(expected, found, strict=True):
                assert torch.equal(a.latents, b.latents)
                assert (a.row, a.column, a.top, a.left, a.height, a.width) == (
                    b.row, b.column, b.top, b.left, b.height, b.width
                )  # fmt: skip
                first = int(a.latents[0, 0, 0])
                row, column = divmod(first, columns)
                assert row * 16 + a.row == top + a.top
                assert column * 16 + a.column == left + a.left
                for begin, length, there, count in (
                    (row, a.latents.shape[1], (top + a.top, a.height), rows),
                    (column, a.latents.shape[2], (left + a.left, a.width), columns),
                ):
                    assert begin <= max(0, there[0] // 16 - reach)
                    assert begin + length >= min(count, -(-sum(there) // 16) + reach)
    assert len(shapes) == 1


def test_captions_and_other_fields(encoded: dict[str, bytes]) -> None:
    samples = [
        coded("a", encoded["high"], "beside it"),
        coded("b", encoded["high"]),
        coded("c", encoded["low"]),
        Coded("d", encoded["low"], ("one", "two"), (1,), {"cls": b"3"}),
    ]
    batch = Collate(32)(samples)
    assert batch.captions[:3] == ("beside it", "stored with it", None)
    assert batch.captions[3] in ("one", "two")
    assert batch.fields == ({}, {}, {}, {"cls": b"3"})
    drawn = {Collate(32)([Coded("d", encoded["low"], ("one", "two"), (seed,))]).captions[0] for seed in range(12)}
    assert drawn == {"one", "two"}


def test_bad_files_are_raised_or_left_out_and_named(
    encoded: dict[str, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    good = coded("good", encoded["low"])
    bad = {
        "cut": (encoded["low"][:-9], CorruptFile, "cut: chunk R 0"),
        "changed": (encoded["low"][:-30] + bytes(30), CorruptFile, "changed: chunk R 0"),
        "forged": (forged(encoded["low"]), CorruptFile, "forged: chunk R 0: entropy-coded data"),
        "jpeg": (b"\xff\xd8\xff\xe0" * 40, tacit.UnsupportedFile, "jpeg: "),
        "small": (encoded["wide"], InvalidInput, "small: 200x97 pixels, less than a crop of 100"),
        "gone": (PathError("/x/gone: no such file"), PathError, "/x/gone: no such file"),
    }
    for name, (data, kind, message) in bad.items():
        with pytest.raises(kind) as raised:
            Collate(100)([good, coded(name, data)])
        assert str(raised.value).startswith(message)
        assert "\n" not in str(raised.value)
    with caplog.at_level(logging.WARNING):
        samples = [good, *(coded(name, data) for name, (data, _, _) in bad.items()), good]
        batch = Collate(100, on_error="skip")(samples)
    assert batch.names == ("good", "good")
    assert len(batch.skipped) == len(bad) == len(caplog.records)
    for line, (_, _, message) in zip(batch.skipped, bad.values(), strict=True):
        assert line.startswith(message)
    with pytest.raises(ImageTooLarge, match="good: image of 150x130"):
        Collate(100, max_pixels=1000)([good])


def forged(data: bytes) -> bytes:
    """Right checksums around what no encoder wrote."""
    file = container.read(data)
    return container.write(file.header, file.metadata, file.alpha, [b"\xff" * 40])


def test_nothing_left(encoded: dict[str, bytes]) -> None:
    latents = Collate(on_error="skip")([coded("a", b"nothing"), coded("b", b"of it")])
    assert isinstance(latents, LatentBatch)
    batch = Synthesiser()(latents)
    assert len(latents) == len(batch) == len(batch.images) == 0
    assert batch.sizes.shape == (0, 2)
    assert batch.boxes.shape == (0, 4)
    assert len(batch.skipped) == 2


def test_weights_that_are_not_here_are_not_the_files_fault(
    encoded: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    latents = Collate()([coded("a", encoded["low"])])
    monkeypatch.setenv("TACIT_WEIGHTS", str(tmp_path))
    with pytest.raises(MissingWeights, match="this file needs weights"):
        Collate(on_error="skip")([coded("a", encoded["low"])])
    with pytest.raises(MissingWeights):
        Synthesiser()(latents)  # type: ignore[arg-type]


def test_options_that_are_none() -> None:
    with pytest.raises(InvalidInput, match="on_error 'ignore': raise or skip"):
        Collate(on_error="ignore")


def test_crops() -> None:
    rng = np.random.default_rng(0)
    boxes = [RandomCrop(10)(13, 11, rng) for _ in range(100)]
    assert {b[0] for b in boxes} == {0, 1, 2, 3}
    assert {b[1] for b in boxes} == {0, 1}
    assert all((right - left, bottom - top) == (10, 10) for left, top, right, bottom in boxes)
    assert CenterCrop(10)(13, 20, rng) == (1, 5, 11, 15)
    with pytest.raises(InvalidInput, match="9x20 pixels, less than a crop of 10"):
        CenterCrop(10)(9, 20, rng)
    for make in (Collate, RandomCrop, CenterCrop):
        with pytest.raises(InvalidInput, match="a crop of 0 pixels"):
            make(0)


def test_pinned_batches(encoded: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nothing to pin without a GPU; what is asked for it is tensors, all of them."""
    pinned: list[Tensor] = []

    def pin(self: Tensor) -> Tensor:
        pinned.append(self)
        return self

    monkeypatch.setattr(Tensor, "pin_memory", pin)
    latents = Collate(64)([coded("a", encoded["low"]), coded("b", encoded["high"])])
    assert isinstance(latents, LatentBatch)
    images, several = (Synthesiser()(b) for b in (latents, Collate()([coded("a", encoded["low"]), coded("b", encoded["wide"])])))  # type: ignore[arg-type]  # fmt: skip  # noqa: E501
    for batch, count in ((latents, 1), (images, 1), (several, 2)):
        pinned.clear()
        assert type(batch.pin_memory()) is type(batch)
        assert len(pinned) == count


# -- data sets --------------------------------------------------------------------------------------------------------


def looks(batch: LatentBatch) -> list[tuple[Any, ...]]:
    """What a batch is, in a form that can be compared."""
    hashes = [hash(p.values.numpy().tobytes()) for p in batch.latents()]
    return list(zip(batch.names, batch.captions, batch.boxes, hashes, strict=True))


def run(loader: DataLoader[Coded]) -> list[tuple[Any, ...]]:
    return [one for batch in loader for one in looks(batch)]


def test_files(tmp_path: Path, encoded: dict[str, bytes]) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "a.tacit").write_bytes(encoded["low"])
    (tmp_path / "a.txt").write_text("beside it\n")
    (tmp_path / "below" / "b.tacit").write_bytes(encoded["high"])
    (tmp_path / "c.jpg").write_bytes(b"")
    files = TacitFiles(tmp_path, seed=4)
    batch = Collate(40)([files[i] for i in range(len(files))])
    assert [Path(name).name for name in batch.names] == ["a.tacit", "b.tacit"]
    assert batch.captions == ("beside it", "stored with it")
    again = Collate(40)([files[i] for i in range(len(files))])
    assert batch.boxes == again.boxes
    files.set_epoch(1)
    assert files.epoch == 1
    assert batch.boxes != Collate(40)([files[i] for i in range(len(files))]).boxes
    assert batch.boxes != Collate(40)([TacitFiles(tmp_path, seed=5)[i] for i in range(2)]).boxes
    (tmp_path / "a.tacit").unlink()
    with pytest.raises(PathError, match=r"a\.tacit"):
        Collate(40)([files[0]])
    with pytest.raises(PathError):
        TacitFiles(tmp_path / "none")
    with pytest.raises(InvalidInput, match=r"no \.tacit files"):
        TacitFiles()


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on one core
@pytest.mark.parametrize(("workers", "context"), [(1, "spawn"), (2, "fork")])
def test_workers_change_nothing_but_the_order(shards: str, workers: int, context: str) -> None:
    data = TacitShards(shards, seed=1)
    here = run(DataLoader(data, 4, collate_fn=Collate(48)))
    assert len(here) == len({name for name, *_ in here}) == 12
    local_codec()  # what a fork takes along is not used
    loader = DataLoader(
        data,
        4,
        num_workers=workers,
        collate_fn=Collate(48),
        multiprocessing_context=context,
        persistent_workers=True,
    )
    there = run(loader)
    assert sorted(there) == sorted(here)
    if workers == 2:
        assert there == run(loader), "the same seed, the same order"
        data.set_epoch(1)  # the workers are alive already
        other = run(loader)
        assert [name for name, *_ in other] != [name for name, *_ in there]
        assert sorted(name for name, *_ in other) == sorted(name for name, *_ in there)
        assert {(name, box) for name, _, box, _ in other} != {(name, box) for name, _, box, _ in there}


class _Threads:
    def __call__(self, samples: Sequence[Coded]) -> tuple[int, int]:
        return torch.get_num_threads(), id(local_codec())


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on one core
def test_workers_have_one_thread_and_one_codec(shards: str) -> None:
    data = TacitShards(shards)
    found = list(DataLoader(data, 2, num_workers=2, collate_fn=_Threads(), multiprocessing_context="fork"))
    assert {threads for threads, _ in found} == {1}
    assert len({codec for _, codec in found}) <= 2


def test_shards_as_they_stand_and_shared_out(shards: str) -> None:
    assert [one.name for one in TacitShards(shards, shuffle=0)] == [f"{i // 3}.tar/{i:02}" for i in range(12)]
    parts = [[one.name for one in TacitShards(shards, rank=r, processes=3)] for r in range(3)]
    assert sorted(name for part in parts for name in part) == sorted(one.name for one in TacitShards(shards))
    assert all(parts)
    shuffled = [one.name for one in TacitShards(shards, seed=2)]
    assert shuffled != sorted(shuffled)
    assert shuffled != [one.name for one in TacitShards(shards, seed=3)]
    sample = next(iter(TacitShards(shards, shuffle=0)))
    assert sample.captions == ("number 0",)
    assert sample.fields == {"txt": b"number 0"}
    with pytest.raises(InvalidInput, match="each of 5 processes, got 4"):
        TacitShards(shards, processes=5)


def test_bad_shards(tmp_path: Path, encoded: dict[str, bytes], shards: str) -> None:
    with tarfile.open(tmp_path / "1.tar") as tar:
        cut = tar.getmembers()[2].offset_data + 40  # in the second sample's file
    (tmp_path / "1.tar").write_bytes((tmp_path / "1.tar").read_bytes()[:cut])
    (tmp_path / "2.tar").unlink()
    write_shard(tmp_path / "3.tar", {"x.jpg": b"not ours", "y.tacit": encoded["low"]})
    loader = DataLoader(TacitShards(shards, shuffle=0), 100, collate_fn=Collate(on_error="skip"))
    (batch,) = loader
    assert batch.names[:3] == ("0.tar/00", "0.tar/01", "0.tar/02")
    assert batch.names[-1] == "3.tar/y"
    assert len(batch) == 5
    said = "\n".join(batch.skipped)
    assert f"{tmp_path}/1.tar: " in said
    assert f"{tmp_path}/2.tar: No such file or directory" in said
    assert "3.tar/x: no .tacit file" in said
    assert len(batch.skipped) == 3
    with pytest.raises(PathError, match=r"1\.tar: "):
        list(DataLoader(TacitShards(shards, shuffle=0), 2, collate_fn=Collate()))
    with pytest.raises(PathError, match="none found"):
        TacitShards(f"{tmp_path}/none-*.tar")


# -- the page ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("leaves_files_open")
@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on one core
def test_the_pages_python_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: Codec, capsys: pytest.CaptureFixture[str]
) -> None:
    page = ROOT / "docs" / "reading.md"
    if not page.is_file():
        pytest.skip("no documents here")
    from support.pictures import synthetic

    blocks = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    assert len(blocks) == 3
    (tmp_path / "shards").mkdir()
    for shard in range(2):
        data = codec.encode(synthetic(240, 230, shard))
        write_shard(tmp_path / "shards" / f"0{shard}.tar", {"a.tacit": data, "a.txt": b"a boat", "b.tacit": b"bad"})
    write_shard(tmp_path / "shards" / "00.tar", {"a.tacit": data, "a.txt": b"a boat"})
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {}
    for block in blocks[:2]:  # Ray has a test of its own
        exec(compile(block, "reading.md", "exec"), namespace)
    said = capsys.readouterr().out
    assert "(230, 240, 3) a boat" in said
    assert said.count("torch.Size([1, 3, 224, 224]) a boat") == 4


def test_captions_in_shards() -> None:
    from tacit.captions.sidecar import member_captions

    assert member_captions({"json": b'{"captions": ["a", "b"]}', "txt": b"c"}) == ("a", "b")
    for about in (b'{"url": "x"}', b"[]", b"5", b"{", b'{"captions": 5}', b'{"caption": ""}'):
        assert member_captions({"json": about, "txt": b" c\n"}) == ("c",)
        assert member_captions({"json": about}) == ()


# -- Ray --------------------------------------------------------------------------------------------------------------


def table(folder: Path, encoded: dict[str, bytes]) -> Path:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    rows = {
        "key": ["a", "b", "c"],
        "image": [encoded["low"], encoded["grey"], encoded["wide"]],
        "caption": ["a house", None, "a tree"],
        "id": [1, 2, 3],
    }
    parquet.write_table(pyarrow.table(rows), folder / "part.parquet")
    return folder


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning")
def test_reading_on_ray(tmp_path: Path, shards: str, encoded: dict[str, bytes], ray_address: str) -> None:
    ray = pytest.importorskip("ray")
    pytest.importorskip("ray.data")
    from tacit.bulk.cluster import Cluster, connect

    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.tacit").write_bytes(encoded["low"])
    (folder / "a.txt").write_text("beside it")
    (folder / "b.tacit").write_bytes(b"no file")
    table(folder, encoded)  # beside files, it is about them
    (tmp_path / "table").mkdir()
    codec = Codec(threads=1)
    with connect(Cluster(ray_address)):
        ray.data.DataContext.get_current().enable_progress_bars = False
        rows = tacit.data.read_tacit(shards, fields=["json"]).take_all()
        assert sorted(row["key"] for row in rows) == [f"{i // 3}.tar/{i:02}" for i in range(12)]
        (row,) = [row for row in rows if row["key"] == "0.tar/01"]
        assert row["caption"] in ("number 1", "or so")
        assert row["json"].startswith(b"{")
        assert np.array_equal(row["image"], np.asarray(codec.decode(encoded["high"])))
        assert (row["width"], row["height"]) == (150, 130)
        files = tacit.data.read_tacit(str(folder), crop=64, on_error="skip").take_all()
        assert [(row["image"].shape, row["caption"]) for row in files] == [((64, 64, 3), "beside it")]
        found = tacit.data.read_tacit(str(table(tmp_path / "table", encoded)), fields=["id"]).take_all()
        assert [(row["key"], row["caption"], row["id"]) for row in found] == [
            ("a", "a house", 1), ("b", None, 2), ("c", "a tree", 3)
        ]  # fmt: skip
        assert np.array_equal(found[1]["image"][..., 0], np.asarray(codec.decode(encoded["grey"])))
        # shards with tables and other files below the same folder, as tacit bulk leaves what img2dataset wrote
        again = tacit.data.read_tacit(str(tmp_path)).take_all()
        assert sorted(row["key"] for row in again) == sorted(row["key"] for row in rows)
        (tmp_path / "empty").mkdir()
        with pytest.raises(InvalidInput, match=r"empty: no \.tar, \.tacit, \.parquet there"):
            tacit.data.read_tacit(str(tmp_path / "empty"))


def test_reading_on_ray_without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib

    import_module = importlib.import_module

    def missing(name: str, *rest: Any) -> Any:
        if name == "ray.data":
            raise ImportError(name)
        return import_module(name, *rest)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(MissingExtra, match=r"pip install 'tacit\[bulk\]'"):
        tacit.data.read_tacit("a.tar")


def test_the_names() -> None:
    assert set(tacit.data.__all__) <= set(dir(tacit.data))
    for name in tacit.data.__all__:
        assert getattr(tacit.data, name).__name__ == name
    with pytest.raises(AttributeError, match=r"'tacit\.data' has no attribute 'dekoder'"):
        tacit.data.dekoder  # noqa: B018
