"""The page of `tacit demo`: sample images in `.tacit` files, beside JPEG, WebP and AVIF files of the same size."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from html import escape
from importlib import resources
from pathlib import Path
from statistics import fmean
from string import Template
from typing import TYPE_CHECKING, Protocol

from tacit import files, machine
from tacit.demo.caption_effect import BPP, CaptionEffect, caption_effect
from tacit.demo.comparison import CodecFile, EqualSizeFiles, ImageComparison, compare, tacit_files
from tacit.demo.samples import SAMPLES, SampleImage, sample_image
from tacit.errors import InvalidInput
from tacit.evaluation.codecs.pillow_formats import BASELINES

if TYPE_CHECKING:
    import os

QUALITIES = (10, 30, 60)
"""The qualities of the `.tacit` files on the page."""

ASPECT = 4 / 3
"""Width by height of the enlarged part of an image."""


class Place(Protocol):
    """What tells where the enlarged part of an image is."""

    @property
    def sample(self) -> SampleImage:
        """The image, with its detail."""

    @property
    def width(self) -> int:
        """The image's width in pixels."""


def make_page(
    out_dir: str | os.PathLike[str],
    *,
    samples: Sequence[SampleImage] = SAMPLES,
    qualities: Sequence[float] = QUALITIES,
    say: Callable[[str], object] = print,
) -> Path:
    """Compress the sample images into a folder, and write a page about them there.

    Args:
        out_dir: The folder; it is made where it does not exist.
        samples: The images.
        qualities: The qualities of the `.tacit` files, 0 to 100.
        say: Takes each line of progress.

    Returns:
        The path of the page, `index.html` in the folder.

    Raises:
        MissingExtra: scikit-image, whose images these are, is not installed.
        PathError: A file cannot be written.
    """
    from tacit.codec import Codec

    out = Path(out_dir)
    images = [sample_image(s.name) for s in samples]
    say("Loading the model.")
    codec = Codec()
    codec.decode(codec.encode(images[0], samples[0].caption))  # so that no time below is that of loading
    effect = None
    own = []
    for sample, image in zip(samples, images, strict=True):
        if effect is None and sample.phrase:
            effect = caption_effect(codec, sample, image, out)
            say(
                f"{sample.name}, {effect.named.size:,} B: a caption changes {sample.phrase} from "
                f"{effect.plain.detail_psnr:.2f} to {effect.named.detail_psnr:.2f} dB"
            )
        own.append(tacit_files(codec, sample, image, qualities, out))
        say(f"{sample.name}, tacit: {', '.join(f'{file.size:,} B' for file in own[-1])}")
    say("Searching the qualities of JPEG, WebP and AVIF that give files of these sizes.")
    comparisons = []
    # Pillow's encoders run outside of the interpreter's lock, and AVIF's takes most of the time, with one thread.
    with ThreadPoolExecutor(machine.cores()) as pool:
        for comparison in pool.map(partial(compare, out=out), samples, images, own):
            for row in comparison.rows:
                say(f"{comparison.sample.name}, quality {row.quality:g}: {_progress_line(row)}")
            comparisons.append(comparison)
    path = out / "index.html"
    files.write(str(path), render(comparisons, effect).encode(), force=True)
    say(f"The page: {path.resolve().as_uri()}")
    return path


def _progress_line(row: EqualSizeFiles) -> str:
    own = row.files[0]
    parts = [
        f"{f.codec} {f.psnr:.2f} dB" + (f" in {f.size:,} B, its smallest file" if f.too_large else "")
        for f in row.files
    ]
    return f"{own.size:,} B, {own.bpp:.3f} bpp: {', '.join(parts)}"


def render(comparisons: Sequence[ImageComparison], effect: CaptionEffect | None = None) -> str:
    """Return the page's HTML, which refers to nothing but the files beside it.

    Raises:
        InvalidInput: There is no comparison to show.
    """
    if not comparisons:
        raise InvalidInput("a page must show at least one image, got none")
    template = Template(resources.files("tacit.demo").joinpath("page.html").read_text(encoding="utf-8"))
    settings = "; ".join(f"{b.title}: {b.setting}" for b in BASELINES.values())
    chosen = ",\n".join(
        f".tabs > input:nth-of-type({i}):checked ~ .panel:nth-of-type({i})"
        for i in range(1, len(comparisons[0].rows) + 1)
    )
    return template.substitute(
        chosen=chosen,
        codecs_divided=_codecs_divided(comparisons[0]),
        caption_divided="" if effect is None else _caption_divided(effect),
        settings=escape(settings),
        summary=_summary_table(comparisons),
        exhibits="\n".join(_section(c) for c in comparisons),
    )


def _codecs_divided(comparison: ImageComparison) -> str:
    """Return an enlarged part of an image by tacit, right of a divider, and by each other codec, left of it."""
    own, *others = comparison.rows[_shown_first(comparison)].files
    choices, covers = [], []
    for number, file in enumerate(others):
        checked = " checked" if number == 0 else ""
        choices.append(f'<label><input type="radio" name="other"{checked}><span>{file.codec}</span></label>')
        size = f"{file.size:,} bytes" + (", its smallest file" if file.too_large else "")
        covers.append(_cover(comparison, file.image, file.codec, size, hidden=number > 0))
    choices.append('<label><input type="radio" name="other"><span>the original</span></label>')
    raw = f"{3 * comparison.width * comparison.height:,} bytes"
    covers.append(_cover(comparison, _original(comparison), "the original", raw, hidden=True))
    return _divider(
        comparison,
        f"{own.size:,} bytes: which would you send?",
        f'<div class="choice" role="radiogroup" aria-label="The codec on the left">{"".join(choices)}</div>',
        "".join(covers),
        (own.image, "tacit", f"{own.size:,} bytes"),
    )


def _caption_divided(effect: CaptionEffect) -> str:
    """Return an enlarged part of an image without a caption, left of a divider, and with one, right of it."""
    plain, named, sample = effect.plain, effect.named, effect.sample
    words = (
        f"<p>Both have {BPP:g} bits per pixel. The part that is shown gains {{:+.1f}} dB; the rest pays for it. Files: "
    )
    links = f'<a href="{plain.file}">without</a>, <a href="{named.file}">with the caption</a>.</p>'
    return _divider(
        effect,
        f"Say “{escape(sample.phrase)}”, and it is kept",
        words.format(named.detail_psnr - plain.detail_psnr) + links,
        _cover(effect, plain.image, "no caption", f"{plain.size:,} bytes", hidden=False),
        (named.image, "with the caption", f"{named.size:,} bytes"),
    )


def _divider(place: Place, title: str, text: str, covers: str, under: tuple[str, str, str]) -> str:
    image, name, words = under
    return (
        f'<article class="divided"><h2>{title}</h2>{text}<div class="stage">'
        f'<img src="{image}" alt="{escape(place.sample.caption)}: {name}" style="{_square(place)}">{covers}<i></i>'
        f'<span class="tag right"><b>{name}</b> {words}</span>'
        f'<input type="range" min="0" max="100" value="50" step="0.5" aria-label="The divider: {escape(title)}">'
        "</div></article>"
    )


def _cover(place: Place, image: str, name: str, words: str, *, hidden: bool) -> str:
    return (
        f'<div class="cover"{" hidden" if hidden else ""}><img src="{image}" alt="{name}" style="{_square(place)}">'
        f'<span class="tag"><b>{name}</b> {words}</span></div>'
    )


def _square(place: Place) -> str:
    """Return the style that shows the sample's detail, as a square, in a square."""
    left, top, width = place.sample.detail
    return f"width:{100 * place.width / width:.3f}%;left:{-100 * left / width:.3f}%;top:{-100 * top / width:.3f}%"


def _shown_first(comparison: ImageComparison) -> int:
    """Return the number of the row that is shown at first: a low rate, where codecs differ."""
    return len(comparison.rows) // 3


def _summary_table(comparisons: Sequence[ImageComparison]) -> str:
    """Return a table of each codec's mean PSNR by quality.

    The best is in bold. A codec that could not make a file as small for every image is marked, and is never the best.
    """
    names = [f.codec for f in comparisons[0].rows[0].files]
    lines = ["<table>", f"<tr><th>tacit's quality</th><th>bpp</th>{''.join(f'<th>{n}</th>' for n in names)}</tr>"]
    for level, row in enumerate(comparisons[0].rows):
        rows = [c.rows[level] for c in comparisons]
        cells = [f"<td>{row.quality:g}</td><td>{fmean(r.files[0].bpp for r in rows):.3f}</td>"]
        means = [fmean(r.files[i].psnr for r in rows) for i in range(len(names))]
        too_large = [sum(r.files[i].too_large for r in rows) for i in range(len(names))]
        best = max(mean for mean, count in zip(means, too_large, strict=True) if not count)
        for mean, count in zip(means, too_large, strict=True):
            cell = f"{mean:.2f} dB"
            if count:
                cell += f' <span class="over">{count} of {len(rows)} too large</span>'
            elif mean == best:
                cell = f"<strong>{cell}</strong>"
            cells.append(f"<td>{cell}</td>")
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return "\n".join([*lines, "</table>"])


def _section(comparison: ImageComparison) -> str:
    """Return the part of the page about one image."""
    sample = comparison.sample
    name = sample.name
    first = _shown_first(comparison)
    tabs, panels = [], []
    for i, row in enumerate(comparison.rows):
        own = row.files[0]
        checked = " checked" if i == first else ""
        size = f"<small>{_kilobytes(own.size)} · {own.bpp:.2f} bpp</small>"
        tabs.append(f'<input type="radio" name="{name}" id="{name}-{i}"{checked}>')
        tabs.append(f'<label for="{name}-{i}">quality {row.quality:g} {size}</label>')
        original = _figure(
            comparison,
            "original",
            _original(comparison),
            [
                f"{comparison.width}x{comparison.height}",
                f"{_kilobytes(comparison.width * comparison.height * 3)} as RGB",
            ],
        )
        best = max(f.psnr for f in row.files if not f.too_large)
        figures = [_file_figure(comparison, f, own, f.psnr == best and not f.too_large) for f in row.files]
        panels.append(f'<div class="panel">{original}{"".join(figures)}</div>')
    note = f" <em>{escape(sample.note)}</em>" if sample.note else ""
    return (
        f'<section><h2>{name}</h2><p class="caption">“{escape(sample.caption)}”{note}</p>'
        f'<div class="tabs">{"".join(tabs)}{"".join(panels)}</div></section>'
    )


def _file_figure(comparison: ImageComparison, file: CodecFile, own: CodecFile, best: bool) -> str:
    """Return one codec's image with its figures; `own` is tacit's file of the same row."""
    size = f"{file.size:,} bytes"
    if file.too_large:
        excess = file.size / own.size - 1
        size = f'<span class="over">{size}: its smallest file, {excess:.0%} larger than that of tacit</span>'
    fidelity = f"{file.psnr:.2f} dB" if math.isfinite(file.psnr) else "lossless"
    return _figure(
        comparison,
        file.codec,
        file.image,
        [
            f"{f'<strong>{fidelity}</strong>' if best else fidelity} · {file.bpp:.3f} bpp",
            size,
            f'<a href="{file.file}">{Path(file.file).name}</a> · quality {file.quality:g}',
            f"encode {1000 * file.encode_seconds:.0f} ms, decode {1000 * file.decode_seconds:.0f} ms",
        ],
    )


def _figure(comparison: ImageComparison, title: str, image: str, lines: Sequence[str]) -> str:
    """Return a whole image and its enlarged part, placed by percentages so that they fit any width."""
    left, top, width = comparison.sample.detail
    height = width / ASPECT
    box = (
        f"left:{100 * left / comparison.width:.3f}%;top:{100 * top / comparison.height:.3f}%;"
        f"width:{100 * width / comparison.width:.3f}%;height:{100 * height / comparison.height:.3f}%"
    )
    part = f"width:{100 * comparison.width / width:.3f}%;left:{-100 * left / width:.3f}%;top:{-100 * top / height:.3f}%"
    alt = escape(f"{comparison.sample.caption}: {title}")
    own = ' class="own"' if title == "tacit" else ""
    return (
        f"<figure{own}><h3>{title}</h3>"
        f'<div class="part"><img src="{image}" alt="" style="{part}"></div>'
        f'<a class="whole" href="{image}"><img src="{image}" alt="{alt}" width="{comparison.width}" '
        f'height="{comparison.height}"><i style="{box}"></i></a>'
        f"<figcaption>{'<br>'.join(lines)}</figcaption></figure>"
    )


def _original(comparison: ImageComparison) -> str:
    """Return the path of the image itself, below the output folder."""
    return f"{comparison.sample.name}/original.png"


def _kilobytes(size: int) -> str:
    return f"{size / 1000:.1f} kB"
