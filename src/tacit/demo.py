"""`tacit demo`: sample photographs through the codec, and a page of them beside JPEG, WebP and AVIF.

Everything shown comes from files: `.tacit` files are written, read back and decoded, and the other codecs' files are
what the page shows. Photographs and captions come with scikit-image and with this module.
"""

from __future__ import annotations

import io
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from html import escape
from importlib import resources
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from PIL import Image

from tacit import files
from tacit.errors import InvalidInput, MissingExtra
from tacit.evaluation.baselines import BASELINES, Baseline, decode, largest_within
from tacit.evaluation.metrics import psnr

if TYPE_CHECKING:
    import os

    from tacit.codec import Codec

QUALITIES = (10, 30, 55, 80)
CROP = 4 / 3  # width / height of the enlarged part

T = TypeVar("T")


@dataclass(frozen=True)
class Sample:
    """A photograph of scikit-image. looking_at: where the enlarged part begins, x and y, and its width, in pixels."""

    name: str
    caption: str
    looking_at: tuple[int, int, int]
    note: str = ""


SAMPLES = (
    Sample("astronaut", "a smiling astronaut in an orange suit in front of a flag and a space shuttle", (160, 60, 136)),
    Sample("chelsea", "a close-up of a tabby cat with green eyes", (125, 65, 136)),
    Sample("coffee", "a cup of espresso on a red saucer with a spoon on a wooden table", (300, 190, 136)),
    Sample(
        "rocket",
        "a white rocket on its launch pad between steel towers at dusk",
        (270, 112, 136),
        "Kept as a JPEG by scikit-image, so JPEG's traces are in what every codec gets here.",
    ),
)


@dataclass(frozen=True)
class Shown:
    """One codec's file of one photograph.

    picture: what the page shows, for `.tacit` the decoded PNG. over: the file is larger than the `.tacit` file,
    because the codec cannot make a smaller one. Times in seconds.
    """

    codec: str
    file: str
    picture: str
    size: int
    bpp: float
    psnr: float
    setting: str
    encode_time: float
    decode_time: float
    over: bool = False


@dataclass(frozen=True)
class Row:
    """All codecs at the size of one `.tacit` file, that one first."""

    quality: float
    shown: tuple[Shown, ...]


@dataclass(frozen=True)
class Exhibit:
    """One photograph with its rows, by rising quality."""

    sample: Sample
    width: int
    height: int
    rows: tuple[Row, ...]


def run(
    out_dir: str | os.PathLike[str],
    *,
    samples: Sequence[Sample] = SAMPLES,
    qualities: Sequence[float] = QUALITIES,
    say: Callable[[str], object] = print,
) -> Path:
    """Compress the samples into `out_dir`, write `index.html` there, and return its path. say: takes lines of progress.

    Raises: MissingExtra (scikit-image), PathError.
    """
    from tacit.codec import Codec

    out = Path(out_dir)
    photos = [photograph(s.name) for s in samples]
    say("Loading the model.")
    codec = Codec()
    codec.decode(codec.encode(photos[0], samples[0].caption))  # so that the times are those of work, not of loading
    exhibits = []
    for sample, photo in zip(samples, photos, strict=True):
        exhibit = show(codec, sample, photo, qualities, out)
        for row in exhibit.rows:
            say(f"{sample.name}, quality {row.quality:g}: {_line(row)}")
        exhibits.append(exhibit)
    path = out / "index.html"
    files.write(str(path), page(exhibits).encode(), force=True)
    say(f"The page: {path.resolve().as_uri()}")
    return path


def photograph(name: str) -> Image.Image:
    """A sample of scikit-image, as RGB.

    Raises: MissingExtra.
    """
    try:
        from skimage import data
    except ImportError as error:
        raise MissingExtra("the demo's photographs come with scikit-image: pip install 'tacit[demo]'") from error
    return Image.fromarray(getattr(data, name)()).convert("RGB")


def show(codec: Codec, sample: Sample, photo: Image.Image, qualities: Sequence[float], out: Path) -> Exhibit:
    """Write one photograph's files into a folder of its own below `out`."""
    stream = io.BytesIO()
    photo.save(stream, "PNG")
    files.write(str(out / sample.name / "original.png"), stream.getvalue(), force=True)
    rows = []
    made: dict[tuple[str, float], bytes] = {}  # the searches of several sizes try the same qualities
    for quality in sorted(qualities):
        stem = f"{sample.name}/q{quality:g}"
        data, encode_time = _timed(partial(codec.encode, photo, sample.caption, quality))
        files.write(str(out / f"{stem}.tacit"), data, force=True)
        decoded, decode_time = _timed(partial(codec.decode, out / f"{stem}.tacit"))
        stream = io.BytesIO()
        decoded.save(stream, "PNG")
        files.write(str(out / f"{stem}.tacit.png"), stream.getvalue(), force=True)
        shown = [
            Shown(
                "tacit",
                f"{stem}.tacit",
                f"{stem}.tacit.png",
                len(data),
                8 * len(data) / (photo.width * photo.height),
                _psnr(decoded, photo),
                f"quality {quality:g}",
                encode_time,
                decode_time,
            )
        ]
        shown += [_beside(b, photo, len(data), stem, out, made) for b in BASELINES.values()]
        rows.append(Row(quality, tuple(shown)))
    return Exhibit(sample, photo.width, photo.height, tuple(rows))


def _beside(
    codec: Baseline, photo: Image.Image, limit: int, stem: str, out: Path, made: dict[tuple[str, float], bytes]
) -> Shown:
    """Another codec's file of at most `limit` bytes, if it can."""

    def encode(quality: float) -> bytes:
        if (codec.name, quality) not in made:
            made[codec.name, quality] = codec.encode(photo, quality)
        return made[codec.name, quality]

    quality, data = largest_within(codec, encode, limit)
    _, encode_time = _timed(lambda: codec.encode(photo, quality))
    name = f"{stem}.{codec.suffix}"
    files.write(str(out / name), data, force=True)
    decoded, decode_time = _timed(lambda: decode((out / name).read_bytes()))
    return Shown(
        codec.name,
        name,
        name,
        len(data),
        8 * len(data) / (photo.width * photo.height),
        _psnr(decoded, photo),
        f"quality {quality:g}",
        encode_time,
        decode_time,
        over=len(data) > limit,
    )


def _psnr(image: Image.Image, original: Image.Image) -> float:
    return psnr(np.asarray(image.convert("RGB")), np.asarray(original))


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    begun = time.perf_counter()
    result = work()
    return result, time.perf_counter() - begun


def _line(row: Row) -> str:
    own = row.shown[0]
    said = [f"{s.codec} {s.psnr:.2f} dB" + (f" in {s.size:,} B, its least" if s.over else "") for s in row.shown]
    return f"{own.size:,} B, {own.bpp:.3f} bpp: {', '.join(said)}"


# -- the page ---------------------------------------------------------------------------------------------------------


def page(exhibits: Sequence[Exhibit]) -> str:
    """The page, which refers to nothing but the pictures beside it."""
    if not exhibits:
        raise InvalidInput("a page of no photographs")
    template = Template(resources.files("tacit").joinpath("demo.html").read_text(encoding="utf-8"))
    settings = "; ".join(f"{b.name}: {b.setting}" for b in BASELINES.values())
    chosen = ",\n".join(
        f".tabs > input:nth-of-type({i}):checked ~ .panel:nth-of-type({i})" for i in range(1, len(exhibits[0].rows) + 1)
    )
    return template.substitute(
        chosen=chosen,
        settings=escape(settings),
        summary=_summary(exhibits),
        exhibits="\n".join(_section(e) for e in exhibits),
    )


def _summary(exhibits: Sequence[Exhibit]) -> str:
    """Per quality, the mean PSNR of each codec, the best in bold; a codec that could not get so small is marked."""
    names = [s.codec for s in exhibits[0].rows[0].shown]
    lines = ["<table>", f"<tr><th>tacit's quality</th><th>bpp</th>{''.join(f'<th>{n}</th>' for n in names)}</tr>"]
    for level, row in enumerate(exhibits[0].rows):
        rows = [e.rows[level] for e in exhibits]
        cells = [f"<td>{row.quality:g}</td><td>{_mean([r.shown[0].bpp for r in rows]):.3f}</td>"]
        means = [_mean([r.shown[i].psnr for r in rows]) for i in range(len(names))]
        over = [sum(r.shown[i].over for r in rows) for i in range(len(names))]
        best = max(mean for mean, larger in zip(means, over, strict=True) if not larger)
        for mean, larger in zip(means, over, strict=True):
            fidelity = f"{mean:.2f} dB"
            if larger:
                fidelity += f' <span class="over">{larger} of {len(rows)} too large</span>'
            elif mean == best:
                fidelity = f"<strong>{fidelity}</strong>"
            cells.append(f"<td>{fidelity}</td>")
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return "\n".join([*lines, "</table>"])


def _section(exhibit: Exhibit) -> str:
    sample = exhibit.sample
    name = sample.name
    first = len(exhibit.rows) // 3  # a low rate, where codecs differ
    tabs, panels = [], []
    for i, row in enumerate(exhibit.rows):
        own = row.shown[0]
        checked = " checked" if i == first else ""
        size = f"<small>{_bytes(own.size)} · {own.bpp:.2f} bpp</small>"
        tabs.append(f'<input type="radio" name="{name}" id="{name}-{i}"{checked}>')
        tabs.append(f'<label for="{name}-{i}">quality {row.quality:g} {size}</label>')
        original = _tile(
            exhibit,
            "original",
            f"{name}/original.png",
            [f"{exhibit.width}x{exhibit.height}", f"{_bytes(exhibit.width * exhibit.height * 3)} as RGB"],
        )
        best = max(s.psnr for s in row.shown if not s.over)
        tiles = [_shown(exhibit, s, own, s.psnr == best and not s.over) for s in row.shown]
        panels.append(f'<div class="panel">{original}{"".join(tiles)}</div>')
    note = f" <em>{escape(sample.note)}</em>" if sample.note else ""
    return (
        f'<section><h2>{name}</h2><p class="caption">“{escape(sample.caption)}”{note}</p>'
        f'<div class="tabs">{"".join(tabs)}{"".join(panels)}</div></section>'
    )


def _shown(exhibit: Exhibit, shown: Shown, own: Shown, best: bool) -> str:
    size = f"{shown.size:,} bytes"
    if shown.over:
        more = shown.size / own.size - 1
        size = f'<span class="over">{size}: its smallest file, {more:.0%} larger than that of tacit</span>'
    fidelity = f"{shown.psnr:.2f} dB" if math.isfinite(shown.psnr) else "lossless"
    return _tile(
        exhibit,
        shown.codec,
        shown.picture,
        [
            f"{f'<strong>{fidelity}</strong>' if best else fidelity} · {shown.bpp:.3f} bpp",
            size,
            f'<a href="{shown.file}">{Path(shown.file).name}</a> · {shown.setting}',
            f"encode {1000 * shown.encode_time:.0f} ms, decode {1000 * shown.decode_time:.0f} ms",
        ],
    )


def _tile(exhibit: Exhibit, title: str, picture: str, lines: Sequence[str]) -> str:
    """A whole picture and its enlarged part; percentages, so that they fit any width."""
    x, y, width = exhibit.sample.looking_at
    height = width / CROP
    box = (
        f"left:{100 * x / exhibit.width:.3f}%;top:{100 * y / exhibit.height:.3f}%;"
        f"width:{100 * width / exhibit.width:.3f}%;height:{100 * height / exhibit.height:.3f}%"
    )
    part = f"width:{100 * exhibit.width / width:.3f}%;left:{-100 * x / width:.3f}%;top:{-100 * y / height:.3f}%"
    alt = escape(f"{exhibit.sample.caption}: {title}")
    own = ' class="own"' if title == "tacit" else ""
    return (
        f"<figure{own}><h3>{title}</h3>"
        f'<div class="part"><img src="{picture}" alt="" style="{part}"></div>'
        f'<a class="whole" href="{picture}"><img src="{picture}" alt="{alt}" width="{exhibit.width}" '
        f'height="{exhibit.height}"><i style="{box}"></i></a>'
        f"<figcaption>{'<br>'.join(lines)}</figcaption></figure>"
    )


def _bytes(size: int) -> str:
    return f"{size / 1000:.1f} kB"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
