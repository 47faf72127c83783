"""Studies: their configurations, what they compare with what, and their reports; on small models and pictures."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from support.pictures import synthetic
from support.tiny_models import TINY
from tacit import cli
from tacit.codec import Codec
from tacit.errors import InvalidInput, PathError
from tacit.evaluation.bjontegaard import Curve
from tacit.evaluation.datasets import Dataset, Item, load_dataset
from tacit.evaluation.runner import load_pixels
from tacit.study import config as configurations
from tacit.study import report, sets
from tacit.study.bitmap import bit_maps, draw
from tacit.study.captions import CaptionStudy, caption_study
from tacit.study.conditions import NOTHING
from tacit.study.config import AblationConfig, CaptionStudyConfig, MeasureConfig, SetConfig, SteeringConfig
from tacit.study.mosaics import mosaics
from tacit.study.paired import Paired, qualities, rates
from tacit.study.regions import Region, others, part_psnrs, read_regions
from tacit.study.run import run
from tacit.study.steering import steering
from tacit.training.dataset.pool import build_pool

WORDS = ("a red boat", "a dog on grass", "an old door", "two parrots", "a tall lighthouse", "a sail")
SIZES = json.dumps(TINY.as_dict())


class Quiet:
    """Hears what a study says."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.begun: list[tuple[int, int]] = []

    def begin(self, total: int, known: int) -> None:
        self.begun.append((total, known))

    def done(self, text: str) -> None: ...

    def say(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture
def quiet() -> Quiet:
    return Quiet()


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six pictures, and lists of short captions and of several."""
    folder = tmp_path_factory.mktemp("study")
    rows = []
    for i, text in enumerate(WORDS):
        Image.fromarray(synthetic(96, 80, seed=i)).save(folder / f"p{i}.png")
        rows.append({"file": f"p{i}.png", "captions": [text, f"{text} in the sun"]})
    lines = "\n".join(map(json.dumps, rows))
    (folder / "list.jsonl").write_text(lines)
    (folder / "long.jsonl").write_text(
        "\n".join(json.dumps({"file": r["file"], "caption": f"{r['captions'][0]}, {'very ' * 30}large"}) for r in rows)
    )
    return folder


@pytest.fixture
def measured(photos: Path) -> Callable[..., MeasureConfig]:
    def make(*metrics: str, sources: Sequence[str] = ("list.jsonl",)) -> MeasureConfig:
        captions = {"short": "own", "detailed": str(photos / "long.jsonl"), "several": "joined"}
        return MeasureConfig(
            tuple(SetConfig(str(photos / s), captions) for s in sources), (20, 50, 80), metrics or ("psnr",), "fp32"
        )

    return make


# -- configurations ---------------------------------------------------------------------------------------------------


def test_the_package_has_configurations_that_hold(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TACIT_DATA", "/photos")
    monkeypatch.setenv("TACIT_POOL", "/pool")
    assert set(configurations.names()) == {"captions", "small", "steering"}
    kinds = {name: type(configurations.read(name)) for name in configurations.names()}
    assert kinds == {"captions": CaptionStudyConfig, "small": AblationConfig, "steering": SteeringConfig}
    small = configurations.read("small", ["seeds=[3]", "measure.qualities=[1, 2, 3]"])
    assert isinstance(small, AblationConfig)
    assert (small.seeds, small.measure.qualities) == ((3,), (1.0, 2.0, 3.0))
    assert small.measure.sets[0].source == "kodak:/photos/kodak"
    assert small.variants[0].name == "baseline"
    assert not small.variants[0].overrides
    path = tmp_path / "again.yaml"
    path.write_text(json.dumps(configurations.plain(small)))
    assert configurations.read(str(path)) == small


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("nothing=1", "no such key"),
        ("seeds=[]", "1 or more"),
        ("seeds=[1, 1]", "two are the same"),
        ("seeds=x", "expected"),
        ("variants=[{name: a}, {name: a}]", "two are the same"),
        ("variants=[{name: a/b}]", "letters"),
        ("kind=taste", "known are"),
        ("start=${NOT_SET_ANYWHERE}", "NOT_SET_ANYWHERE is not set"),
        ("seeds", "key=value"),
    ],
)
def test_wrong_configurations_are_refused(override: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TACIT_DATA", "/photos")
    monkeypatch.setenv("TACIT_POOL", "/pool")
    with pytest.raises(InvalidInput, match=message):
        configurations.read("small", [override])


# -- statistics -------------------------------------------------------------------------------------------------------


def test_intervals_are_those_of_scipy() -> None:
    rng = np.random.default_rng(1)
    values = {str(i): float(v) for i, v in enumerate(rng.normal(0.5, 1, 24))}
    found = Paired.of(values, {})
    numbers = list(values.values())
    low, high = stats.t.interval(0.95, 23, np.mean(numbers), stats.sem(numbers))
    assert found.t == pytest.approx((low, high), rel=0.01)
    wanted = stats.bootstrap((numbers,), np.mean, method="percentile", rng=2).confidence_interval
    assert found.bootstrap == pytest.approx((wanted.low, wanted.high), abs=0.03)
    assert found.mean == pytest.approx(np.mean(numbers))


def test_few_images_have_no_interval_and_are_not_sure() -> None:
    found = Paired.of({"a": 1.0, "b": 1.1}, {"c": "no overlap"})
    assert (found.mean, found.t, found.bootstrap, found.sure) == (1.05, None, None, False)
    assert Paired.of({}, {}).mean is None


def test_sure_is_where_both_intervals_exclude_zero() -> None:
    assert Paired.of({str(i): 1 + i / 10 for i in range(8)}, {}).sure
    assert Paired.of({str(i): -1 - i / 10 for i in range(8)}, {}).sure
    assert not Paired.of({str(i): (-1) ** i + i / 10 for i in range(8)}, {}).sure
    assert not Paired.of(dict.fromkeys(map(str, range(8)), 0.0), {}).sure


def test_differences_of_curves_that_are_known() -> None:
    anchor: Curve = [0.1, 0.2, 0.4], [30.0, 33.0, 36.0]
    tenth_less: Curve = [0.09, 0.18, 0.36], [30.0, 33.0, 36.0]
    better: Curve = [0.1, 0.2, 0.4], [30.5, 33.5, 36.5]
    other: Curve = [4.0, 5.0, 6.0], [50.0, 51.0, 52.0]
    found = rates({"a": [(anchor, tenth_less)], "b": [(anchor, anchor), (anchor, tenth_less)], "c": [(anchor, other)]})
    assert found.values == {"a": pytest.approx(-10), "b": pytest.approx(-5)}
    assert list(found.left_out) == ["c"]
    assert qualities({"a": [(anchor, better)]}).values == {"a": pytest.approx(0.5)}


# -- sets and captions ------------------------------------------------------------------------------------------------


def test_captions_of_every_kind(photos: Path, quiet: Quiet) -> None:
    config = SetConfig(
        str(photos / "list.jsonl"), {"a": "own", "b": "joined", "c": str(photos / "long.jsonl")}, limit=2
    )
    ((same, dataset),) = sets.find([config, SetConfig("clic:nowhere")], [], quiet)
    assert same is config
    assert "nowhere" in quiet.said[0]
    assert sets.captions(config, dataset, "a") == {"p0.png": "a red boat", "p1.png": "a dog on grass"}
    joined = sets.captions(config, dataset, "b")
    assert joined is not None
    assert joined["p0.png"] == "a red boat. a red boat in the sun."
    detailed = sets.captions(config, dataset, "c")
    assert detailed is not None
    assert detailed["p1.png"].endswith("large")
    assert sets.captions(config, dataset, "d") is None


def test_a_written_map_is_what_the_harness_reads(photos: Path, tmp_path: Path) -> None:
    config = SetConfig(str(photos / "list.jsonl"), {"several": "joined"})
    dataset = load_dataset(config.source)
    path = sets.caption_map(config, dataset, "several", tmp_path / "new")
    again = load_dataset(config.source, captions=path)
    assert {i.name: i.caption for i in again.items} == sets.captions(config, dataset, "several")


def test_no_set_at_all_is_an_error(quiet: Quiet) -> None:
    with pytest.raises(InvalidInput, match="no set"):
        sets.find([SetConfig("kodak:/nowhere")], [], quiet)


@pytest.mark.parametrize("shift", [1, 3, 5])
def test_another_caption_is_never_the_own(shift: int) -> None:
    texts = {"a": "x", "b": "x", "c": "y", "d": "z", "e": "y", "f": "w"}
    found = sets.rotated(texts, shift)
    assert list(found) == list(texts)
    assert all(found[name] != text for name, text in texts.items())
    distinct = {str(i): f"text {i}" for i in range(6)}
    rotated = sets.rotated(distinct, shift)
    assert sorted(rotated.values()) == sorted(distinct.values())
    assert rotated["0"] == f"text {shift}"


# -- regions and mosaics ----------------------------------------------------------------------------------------------


def test_regions_of_the_package_are_in_the_pictures(kodak: list[Path]) -> None:
    regions = read_regions()
    assert len(regions) >= 30
    assert len({(r.image, r.phrase) for r in regions}) == len(regions)
    paths = {path.name: path for path in kodak}
    for region in regions:
        with Image.open(paths[region.image]) as image:
            width, height = image.size
        left, top, right, bottom = region.box
        assert right <= width
        assert bottom <= height
        assert 1000 < (right - left) * (bottom - top) < 0.6 * width * height


@pytest.mark.parametrize(
    "line",
    ["x", "[]", '{"image": "a.png"}', '{"image": "a", "phrase": " ", "box": [0, 0, 1, 1]}',
     '{"image": "a", "phrase": "b", "box": [0, 0, 0, 1]}', '{"image": "a", "phrase": "b", "box": [0, 0, 1]}',
     '{"image": 1, "phrase": "b", "box": [0, 0, 1, 1]}'],
)  # fmt: skip
def test_lines_that_are_no_region(line: str, tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(f'{{"image": "a", "phrase": "b", "box": [0, 0, 1, 1]}}\n{line}\n')
    with pytest.raises(InvalidInput, match="line 2"):
        read_regions(str(path))
    with pytest.raises(PathError):
        read_regions(str(tmp_path / "none"))


def test_another_phrase_is_of_another_part() -> None:
    regions = [
        Region("a", "left", (0, 0, 50, 50)),
        Region("a", "right", (60, 0, 100, 50)),
        Region("b", "all", (0, 0, 90, 90)),
        Region("b", "middle", (10, 10, 80, 80)),
    ]
    assert others(regions) == ("right", "left", "left", "left")
    with pytest.raises(InvalidInput):
        others(regions[:1])


def test_psnr_of_a_part_and_of_the_rest() -> None:
    original = np.full((40, 60, 3), 100, np.uint8)
    decoded = original.copy()
    decoded[10:20, 5:25] += 4
    decoded[30:, :] -= 2
    exact, outside = part_psnrs(original, decoded, [(30, 0, 60, 20)])[0]
    assert exact == 99
    inside, rest = part_psnrs(original, decoded, [(5, 10, 25, 20)])[0]
    assert inside == pytest.approx(20 * math.log10(255 / 4))
    assert rest == pytest.approx(10 * math.log10(255**2 / (600 * 4 / 2200)))
    assert outside < rest
    for box in ((0, 0, 61, 20), (0, 0, 20, 41), (0, 0, 60, 40)):
        with pytest.raises(InvalidInput):
            part_psnrs(original, decoded, [box])


def test_mosaics_have_each_photo_where_they_say(photos: Path, tmp_path: Path) -> None:
    dataset = load_dataset(str(photos / "list.jsonl"))
    texts = {item.name: item.caption or "" for item in dataset.items}
    made = mosaics(dataset, texts, {2: 3, 4: 2}, (64, 64), 0, tmp_path)
    again = mosaics(dataset, texts, {2: 3, 4: 2}, (64, 64), 0, tmp_path)
    assert [m.item for m in made] == [m.item for m in again]
    assert [len(m.photos) for m in made] == [2, 2, 2, 4, 4]
    assert sorted(name for m in made[:3] for name in m.photos) == sorted(texts)  # each once before any comes again
    for mosaic in made:
        pixels = load_pixels(mosaic.item.path)
        assert pixels.shape == (64 * (len(mosaic.photos) // 2), 128, 3)
        assert mosaic.captions == tuple(texts[name] for name in mosaic.photos)
        assert len(set(mosaic.photos)) == len(mosaic.photos)
        for name, (left, top, right, bottom) in zip(mosaic.photos, mosaic.boxes, strict=True):
            photo = load_pixels(photos / name)[:, 8:88].astype(float)  # the middle 80x80, scaled to 64x64
            part = pixels[top:bottom, left:right].astype(float)
            assert part.mean(axis=(0, 1)) == pytest.approx(photo.mean(axis=(0, 1)), abs=2)
    with pytest.raises(InvalidInput, match="a mosaic needs 4"):
        mosaics(dataset, dict(list(texts.items())[:3]), {4: 1}, (64, 64), 0, tmp_path)


# -- studies on files -------------------------------------------------------------------------------------------------


def test_what_the_caption_does(
    tiny_weights: Path, measured: Callable[..., MeasureConfig], quiet: Quiet, tmp_path: Path
) -> None:
    config = CaptionStudyConfig(
        str(tiny_weights), ("short", "detailed"), (0,), 1, measured("psnr", "fid", "lpips-alex")
    )
    result = run(config, tmp_path, quiet, command="tacit study x")
    (found,) = result["sets"].values()
    compared = {(c["told"], c["against"]): c for c in found["comparisons"]}
    assert list(compared) == [
        ("short caption", NOTHING),
        ("detailed caption", NOTHING),
        ("another's short caption", NOTHING),
        ("another's detailed caption", NOTHING),
        ("short caption", "another's short caption"),
        ("detailed caption", "another's detailed caption"),
        ("detailed caption", "short caption"),
    ]
    for comparison in compared.values():
        assert len(comparison["values"]) + len(comparison["left_out"]) == 6
        assert any(value != 0 for value in comparison["values"].values())  # these weights read
    assert set(result["skipped"]) >= {"fid"}
    assert quiet.begun == [(6 * 3, 0), (4 * 6 * 3, 0)]
    assert json.loads((tmp_path / report.JSON).read_text()) == result
    text = (tmp_path / report.MARKDOWN).read_text()
    assert "another's detailed caption" in text
    assert "Left out: " in text
    assert str(Path.home()) not in json.dumps(result["skipped"])
    assert "tacit study x" in text
    assert (tmp_path / "plots" / "list.svg").read_text().count("</svg>") == 1
    # again: nothing is encoded twice, and the same is found
    again = run(config, tmp_path, quiet)
    assert quiet.begun[2:] == [(6 * 3, 6 * 3), (4 * 6 * 3, 4 * 6 * 3)]
    assert again["sets"] == result["sets"]


def test_the_encoder_is_told_what_the_condition_says(
    tiny_weights: Path, measured: Callable[..., MeasureConfig], quiet: Quiet, tmp_path: Path, photos: Path
) -> None:
    config = CaptionStudyConfig(str(tiny_weights), ("short",), (0, 60), 1, measured())
    (study,) = caption_study(config, tmp_path, quiet)
    assert isinstance(study, CaptionStudy)
    told = {
        NOTHING: (None, 0),
        "short caption": (WORDS[0], 0),
        "another's short caption, 3 on": (WORDS[3], 0),
        "short caption, steering 60": (WORDS[0], 60),
        "another's short caption, steering 60, 3 on": (WORDS[3], 60),
    }
    pairs = [(c.told, c.against) for c in study.comparisons]
    assert ("short caption, steering 60", "another's short caption, steering 60") in pairs
    assert all(len(c.rate_percent.values) + len(c.rate_percent.left_out) == 6 for c in study.comparisons)
    rows = {row.dataset: row for row in study.told.rows if row.image == "p0.png" and row.quality == 80}
    assert set(rows) == set(told)
    for condition, (caption, steer) in told.items():
        wanted = Codec(tiny_weights, precision="fp32", steer=steer).encode(photos / "p0.png", caption, 80)
        assert (study.told.folder / rows[condition].file).read_bytes() == wanted


def test_steering(tiny_weights: Path, measured: Callable[..., MeasureConfig], quiet: Quiet, tmp_path: Path) -> None:
    regions = tmp_path / "regions.jsonl"
    rows = [
        {"image": f"p{i}.png", "phrase": f"{side} part {i}", "box": box}
        for i, side, box in (*((i, "left", [0, 0, 48, 80]) for i in range(5)), (0, "right", [48, 0, 96, 80]))
    ]
    regions.write_text("\n".join(map(json.dumps, rows)))
    config = SteeringConfig(
        str(tiny_weights), pairs=1, quads=1, width=64, height=64, regions=str(regions), measure=measured()
    )
    result = run(config, tmp_path / "out", quiet, command="tacit study steering")
    for gains, units in ((result["mosaics"], 2), (result["regions"], 5), (result["by_layout"]["quads"], 1)):
        assert set(gains) == {"named", "rest", "contrast", "against_other"}
        for found in gains.values():
            assert len(found["values"]) + len(found["left_out"]) == units
    assert len(result["by_region"]) == 6
    for found in (result["mosaics"], result["regions"]):
        for unit, value in found["contrast"]["values"].items():
            wanted = found["named"]["values"][unit] - found["rest"]["values"][unit]
            assert value == pytest.approx(wanted, abs=1e-4)
    text = (tmp_path / "out" / report.MARKDOWN).read_text()
    assert "| p0.png | left part 0 |" in text
    regions.write_text("\n".join(map(json.dumps, [*rows, {"image": "p1.png", "phrase": "all", "box": [0, 0, 96, 81]}])))
    before = list(quiet.begun)
    with pytest.raises(InvalidInput, match=r"p1\.png, 'all': box .* not a part of the image of 96x80 pixels"):
        steering(config, tmp_path, quiet)
    assert quiet.begun == before  # nothing was measured
    with pytest.raises(InvalidInput, match="nothing is left"):
        steering(
            SteeringConfig(str(tiny_weights), pairs=0, quads=0, regions="none", measure=measured()), tmp_path, quiet
        )


def test_steering_sees_a_codec_that_steers(
    monkeypatch: pytest.MonkeyPatch,
    tiny_weights: Path,
    measured: Callable[..., MeasureConfig],
    quiet: Quiet,
    tmp_path: Path,
) -> None:
    """A pretended one, that keeps the named half of a pair as it is, and nothing else any better."""
    from tacit.evaluation.codecs import TacitCodec

    decode = TacitCodec.decode

    def better(self: TacitCodec, source: Path, quality: Any, threads: int) -> Any:
        pixels, cost = decode(self, source, quality, threads)
        steered = np.array(pixels)
        for name, half in halves.items():
            if source.name in files_of.get(name, ()):
                steered[half] = (steered[half].astype(int) + load_pixels(tmp_path / "mosaics/pair-01.png")[half]) // 2
        return steered, cost

    halves = {"part 1": np.s_[:, :64], "part 2": np.s_[:, 64:]}
    files_of: dict[str, set[str]] = {}
    config = SteeringConfig(
        str(tiny_weights), pairs=1, quads=0, width=64, height=64, regions="none", measure=measured()
    )
    found = steering(config, tmp_path, quiet)
    for row in found.told[0].rows:
        files_of.setdefault(row.dataset, set()).add(Path(row.file).name)
    monkeypatch.setattr(TacitCodec, "decode", better)
    gains = steering(config, tmp_path, quiet).mosaics
    assert gains is not None
    assert gains.named.mean is not None
    assert gains.contrast.mean is not None
    assert gains.against_other.mean is not None
    assert gains.named.mean > 3
    assert gains.contrast.mean > 3
    assert gains.against_other.mean > 3


# -- ablations --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pool")
    rows = []
    for i, text in enumerate(WORDS):
        Image.fromarray(synthetic(100, 90, seed=10 + i)).save(folder / f"{i}.png")
        rows.append({"file": f"{i}.png", "captions": [text, f"{text} again"]})
    build_pool(rows, folder, folder / "pool", 64)
    return folder / "pool"


@pytest.fixture
def ablation_config(pool: Path, photos: Path, tmp_path: Path) -> Path:
    """Two variants, two seeds, four steps each."""
    path = tmp_path / "ablation.yaml"
    content = {
        "kind": "ablation",
        "training": "tacit-s",
        "seeds": [0, 1],
        "shared": [
            f"model.options={SIZES}", f"data.path={pool}", "data.batch=2", "data.crop=64", "run.minutes=0",
            "run.steps=4", "run.precision=32-true", "schedule.warmup=2", "run.threads=1",
        ],
        "variants": [
            {"name": "baseline"},
            {"name": "richer", "overrides": ["data.join_captions=true"], "captions": "several"},
        ],
        "measure": {
            "sets": [{"source": str(photos / "list.jsonl"), "captions": {"short": "own", "several": "joined"}}],
            "qualities": [20, 50, 80],
            "metrics": ["psnr", "lpips-alex"],
            "precision": "fp32",
        },
    }  # fmt: skip
    path.write_text(json.dumps(content))
    return path


def test_an_ablation_from_one_configuration(
    ablation_config: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    command = ["study", str(ablation_config), "-o", str(out)]
    assert cli.main(command) == 0
    assert capfd.readouterr().out.strip() == str(out / "report.md")
    result = json.loads((out / "study.json").read_text())
    assert result["command"].startswith("tacit study")
    assert [(r["variant"], r["seed"]) for r in result["runs"]] == [
        ("baseline", 0), ("richer", 0), ("baseline", 1), ("richer", 1),
    ]  # fmt: skip
    assert len({r["weights"] for r in result["runs"]}) == 4
    assert result["start"] is None
    found = result["sets"]["list"]
    assert found["images"] == 6
    assert [p["quality"] for p in found["points"]["richer"]] == [20, 50, 80]
    for points in found["points"].values():
        for point in points:
            assert len(point["bpp"]) == len(point["metrics"]["psnr"]) == 2
            assert all(seconds > 0 for seconds in point["encode_seconds"])
    assert len(found["rate_percent"]["psnr"]["richer"]) == 2
    assert len(found["between_seeds"]["psnr"]) == 2
    over = found["over_images"]["psnr"]["richer"]
    assert len(over["values"]) + len(over["left_out"]) == 6
    assert "lpips-alex" in result["skipped"]
    assert "baseline, one seed against another" in (out / "report.md").read_text()
    assert {p.name for p in (out / "plots").iterdir()} == {"list-differences.svg", "list-psnr.svg"}
    # the joined captions were what the encoder was told
    evaluated = json.loads((out / "measured" / "list-several" / "results.json").read_text())
    assert evaluated["datasets"][0]["images"][0]["caption"] == "a red boat. a red boat in the sun."

    # what is there is not done again, and another variant can be added
    from tacit.training import fit

    trained: list[str] = []
    train = fit.train

    def watched(config: Any, **options: Any) -> Path:
        trained.append(Path(config.run.out).name)
        return train(config, **options)

    monkeypatch.setattr(fit, "train", watched)
    before = {p: p.stat().st_mtime_ns for p in (out / "weights").iterdir()}
    content = json.loads(ablation_config.read_text())
    content["variants"].append({"name": "none", "overrides": ["data.caption_dropout=1.0"], "codec": ""})
    ablation_config.write_text(json.dumps(content))
    assert cli.main([*command, "seeds=[0]", "--quiet"]) == 0
    assert {p: p.stat().st_mtime_ns for p in before} == before
    assert set(json.loads((out / "study.json").read_text())["sets"]["list"]["points"]) == {"baseline", "richer", "none"}
    # but other settings are not mixed with these
    assert cli.main([*command, "variants=[{name: baseline, overrides: [data.join_captions=true]}]"]) == 2
    assert "baseline differ" in capfd.readouterr().err


def test_a_failing_variant_is_named(ablation_config: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    command = ["study", str(ablation_config), "-o", str(tmp_path / "out")]
    assert cli.main([*command, "variants=[{name: odd, overrides: [data.kind=tape]}]"]) == 2
    assert "odd-seed0: data.kind 'tape'" in capfd.readouterr().err
    assert cli.main([*command, "variants=[{name: a, captions: sung}]"]) == 2
    assert "list has no captions of the kind sung" in capfd.readouterr().err


def test_variants_train_at_a_time(
    ablation_config: Path, tiny_weights: Path, tmp_path: Path, quiet: Quiet, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tacit.study import summary
    from tacit.study.ablation import ablation

    monkeypatch.setenv("TACIT_WEIGHTS", str(tmp_path / "elsewhere"))
    overrides = ["seeds=[0]", f"start={tiny_weights}", "shared=" + json.dumps(_shared(ablation_config))]
    config = configurations.read(str(ablation_config), overrides)
    assert isinstance(config, AblationConfig)
    found = ablation(config, tmp_path / "out", quiet, jobs=2)
    result = summary.of_ablation(found, "tacit study", 1)
    digest = hashlib.sha256(tiny_weights.read_bytes()).hexdigest()
    assert result["start"] == {"file": tiny_weights.name, "sha256": digest}
    assert digest in "\n".join(report.provenance(result))
    assert "${TACIT_WEIGHTS}" in result["skipped"]["lpips-alex"]
    assert str(tmp_path / "elsewhere") not in json.dumps(result)
    assert [run.variant for run in found.runs] == ["baseline", "richer"]
    assert all(run.weights.is_file() for run in found.runs)


def _shared(path: Path) -> Any:
    return json.loads(path.read_text())["shared"]


# -- the command line -------------------------------------------------------------------------------------------------


def test_the_command_refuses_what_it_cannot_do(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TACIT_DATA", str(tmp_path))
    for arguments, said in (
        (["nowhere.yaml", "-o", "x"], "in the package: captions, small, steering"),
        (["captions"], "-o/--output"),
        (["captions", "-o", "x", "rotations=0"], "rotations 0"),
        (["captions", "-o", "x", "steer=[0, 101]"], "0 to 100"),
        (["steering", "-o", "x", "steer=-1"], "0 to 100"),
        (["captions", "-o", str(tmp_path / "x")], "no set of images"),
    ):
        assert cli.main(["study", *arguments]) in (1, 2)
        assert said in capfd.readouterr().err
    assert cli.main(["study", "captions", "--print-config"]) == 0
    assert "kodak:${TACIT_DATA}/kodak" in capfd.readouterr().out


# -- maps -------------------------------------------------------------------------------------------------------------


def test_maps_are_bits_per_pixel(codec: Codec) -> None:
    pixels = synthetic(90, 50)
    maps = bit_maps(codec, pixels, "a red boat", 60)
    assert maps.told is not None
    area = np.outer([16, 16, 16, 2], [16, 16, 16, 16, 16, 10])
    assert (maps.without * area).sum() == pytest.approx(codec.bit_map(pixels, None, 60).sum(), rel=1e-5)
    assert (maps.told * area).sum() == pytest.approx(codec.bit_map(pixels, "a red boat", 60).sum(), rel=1e-5)
    whole, alone = draw(maps), draw(bit_maps(codec, pixels, None, 60))
    assert whole.width > alone.width
    assert whole.height > alone.height


@pytest.mark.parametrize("size", [(1, 1), (300, 20), (20, 300)])
def test_maps_of_every_shape(codec: Codec, size: tuple[int, int]) -> None:
    grey = Image.fromarray(synthetic(*size)).convert("L")
    assert draw(bit_maps(codec, grey, "x " * 400, None)).width > 400


def test_the_map_command(tiny_weights: Path, photos: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "map.png"
    command = ["map", str(photos / "p0.png"), "-m", str(tiny_weights), "-o", str(target), "-c", "a red boat"]
    assert cli.main(command) == 0
    with Image.open(target) as picture:
        assert picture.width > 1000
    assert cli.main(command) == 1
    assert "there already" in capfd.readouterr().err
    assert cli.main([*command, "-f", "-q", "101"]) == 2
    assert cli.main(["map", str(photos / "p0.png"), "-o", str(tmp_path / "map.xyz")]) == 2
    assert cli.main(["map", str(tmp_path / "none.png"), "-o", str(tmp_path / "m.png")]) == 1
    assert not (tmp_path / "m.png").exists()


def test_every_dataset_item_keeps_its_place() -> None:
    dataset = Dataset("x", (Item("a", Path("a"), "0", "old"), Item("b", Path("b"), "1")))
    assert [i.caption for i in sets.given(dataset, "y", {"b": "new"}).items] == [None, "new"]
    assert [i.caption for i in sets.given(dataset, "y", None).items] == [None, None]
