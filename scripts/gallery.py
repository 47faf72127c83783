"""Make the gallery of the documents: `python scripts/gallery.py [--page]`.

Each sample image is encoded by tacit without a caption, and by every other codec at its highest quality whose file has
no more bytes. Headless Chromium draws a part of each, enlarged, into docs/images/gallery-NAME.webp. Bytes, settings and
fidelity go into results/gallery.json, and from there into docs/gallery.md; --page writes that page alone.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tacit import weights
from tacit.codec import Codec
from tacit.demo.samples import SAMPLES, SampleImage, sample_image
from tacit.evaluation.codecs.pillow import decode_image, largest_file
from tacit.evaluation.codecs.pillow_formats import AVIF, HEIC, JPEG, JPEG_XL, WEBP
from tacit.evaluation.readable_json import dumps
from tacit.image.psnr import psnr

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "results" / "gallery.json"
PAGE = ROOT / "docs" / "gallery.md"
CHROMIUM = shutil.which("chromium-headless-shell") or shutil.which("chromium")
CODECS = (AVIF, HEIC, JPEG_XL, WEBP, JPEG)
RATE = 0.2  # bits per pixel of tacit's files: few enough to see what is lost, and enough for every codec
ASPECT = 4 / 3  # of the enlarged parts
TERMS = {
    "astronaut": "NASA, public domain",
    "chelsea": "Stéfan van der Walt, CC0",
    "coffee": "Rachel Michetti, CC0",
    "rocket": "SpaceX, public domain",
}
HEAD = f"""<!-- Made by scripts/gallery.py: change that, not this page. -->

# Gallery

Images at equal bytes: each codec was given as many bytes as tacit's file has, and the highest quality that fits. The
parts are enlarged, with their pixels as they are. No file had a caption; what captions change is
[below](#what-a-caption-changes). At {RATE:g} bits per pixel, differences show. The images were chosen for their terms,
and are few; for a verdict, see [the evaluation](evaluation.md), which measures whole data sets.
"""
TAIL = """## What a caption changes

![A woman's face, enlarged: the original; a file without a caption, in which the eyes are smeared; and a file of the
same size with the caption "the woman's face", in which they are clearer.](images/kept-face.webp)

*Two files of 0.1 bits per pixel, by `python scripts/readme.py --picture`.*

![Where the bits of a file go without a caption, with the caption "the orange suit", and what that changes: the suit
gets more, all else less.](images/map-suit.webp)

*Where bits go with the caption "the orange suit", as `tacit map` draws it ([more](steering.md)).*

## How it is made

By `{command}`, with weights {weights}. PSNR in dB and SSIMULACRA 2 are of the whole images. Libraries: {libraries}.
"""
STYLE = """
body { margin: 0; background: #fff; color: #1c1d20; font: 15px/1.35 sans-serif; }
main { display: grid; grid-template-columns: repeat(4, 288px); gap: 10px; width: 1182px; }
figure { margin: 0; } b { font-weight: 600; } .own b { color: #b3481c; }
img { display: block; width: 288px; height: 216px; object-fit: cover; image-rendering: pixelated; }
.whole img { object-fit: contain; image-rendering: auto; background: #eee; }
figcaption { padding: 3px 1px 4px; color: #55575d; font-size: 13px; } figcaption b { color: #1c1d20; font-size: 15px; }
.own figcaption b { color: #b3481c; }
"""


def main() -> int:
    """Make the images and the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--page", action="store_true", help="write docs/gallery.md alone")
    if not parser.parse_args().page:
        RESULTS.write_text(dumps(make()), encoding="utf-8")
    PAGE.write_text(page(json.loads(RESULTS.read_text(encoding="utf-8"))), encoding="utf-8")
    return 0


def make() -> dict[str, Any]:
    """Encode and draw all images, and return what is said about them."""
    if CHROMIUM is None:
        sys.exit("the gallery is drawn by Chromium, which is not here: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    codec = Codec()
    told = {}
    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        window = browser.new_page(viewport={"width": 1200, "height": 640})
        for sample in SAMPLES:
            rows, images = compare(codec, sample)
            window.set_content(drawing(sample, rows, images))
            drawn = Image.open(io.BytesIO(window.locator("main").screenshot())).convert("RGB")
            drawn.save(ROOT / "docs" / "images" / f"gallery-{sample.name}.webp", quality=86, method=6)
            told[sample.name] = {"caption": sample.caption, "terms": TERMS[sample.name], "files": rows}
        browser.close()
    return {
        "command": "python scripts/gallery.py",
        "weights": weights.describe(weights.locate(weights.DEFAULT)).decode_hash.hex(),
        "libraries": {other.title: other.library() for other in CODECS},
        "images": told,
    }


def compare(codec: Codec, sample: SampleImage) -> tuple[list[dict[str, Any]], list[Image.Image]]:
    """Return what is told of each codec's file of an image, tacit's first, and what the files decode to.

    Args:
        codec: Encodes tacit's file.
        sample: The image.
    """
    from tacit.image.ssimulacra2 import ssimulacra2

    image = sample_image(sample.name)
    own = codec.encode_result(image, bpp=RATE)
    limit = len(own.data)
    made = [("tacit", f"quality {own.quality:.1f}, no caption", own.data, codec.decode(own.data).convert("RGB"))]
    for other in CODECS:
        if other.missing() is not None:
            sys.exit(f"{other.title}: {other.missing()}")
        quality, data = largest_file(other, lambda q, other=other: other.encode_image(image, q), limit)  # type: ignore[misc]
        setting = f"quality {quality:g}" + (f", {other.setting}" if other.setting else "")
        made.append((other.title, setting, data, decode_image(data)))
    pixels = np.asarray(image)
    rows = [
        {
            "codec": title,
            "setting": setting,
            "bytes": len(data),
            "bpp": round(8 * len(data) / (image.width * image.height), 3),
            "psnr": round(psnr(np.asarray(decoded), pixels), 2),
            "ssimulacra2": round(ssimulacra2(np.asarray(decoded), pixels), 1),
            "too_large": len(data) > limit,
        }
        for title, setting, data, decoded in made
    ]
    return rows, [decoded for *_, decoded in made]


def drawing(sample: SampleImage, rows: Sequence[Mapping[str, Any]], images: Sequence[Image.Image]) -> str:
    """Return the page that the browser draws: the whole image, the original's part, and the part of each file.

    Args:
        sample: The image.
        rows: What is told of each file.
        images: What each file decodes to.
    """
    original = sample_image(sample.name)
    left, top, width = sample.detail
    box = (left, top, left + width, top + round(width / ASPECT))
    figures = [
        _figure("whole", "the image", f"{original.width}x{original.height}", original),
        _figure("", "original, enlarged", f"{3 * original.width * original.height:,} bytes", original.crop(box)),
    ]
    for row, image in zip(rows, images, strict=True):
        words = f"{row['bytes']:,} bytes{', its least' if row['too_large'] else ''}"
        figures.append(_figure("own" if row["codec"] == "tacit" else "", row["codec"], words, image.crop(box)))
    return f'<!doctype html><meta charset="utf-8"><style>{STYLE}</style><main>{"".join(figures)}</main>'


def _figure(kind: str, title: str, words: str, image: Image.Image) -> str:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    source = base64.b64encode(stream.getvalue()).decode()
    caption = f"<figcaption><b>{escape(title)}</b><br>{escape(words)}</figcaption>"
    return f'<figure class="{kind}"><img src="data:image/png;base64,{source}">{caption}</figure>'


def page(told: Mapping[str, Any]) -> str:
    """Return the gallery's page.

    Args:
        told: What `make` returned.
    """
    codecs = [row["codec"] for row in next(iter(told["images"].values()))["files"]]
    sections = [
        f"""## {name.capitalize()}

![{about["caption"].capitalize()}; a part of it, enlarged: the original, and {_listed(codecs)} in equal bytes.]({image})

{_table(about["files"])}

*The photograph comes with scikit-image: {about["terms"]}.*
"""
        for name, about in told["images"].items()
        for image in [f"images/gallery-{name}.webp"]
    ]
    libraries = "; ".join(f"{title}: {version}" for title, version in told["libraries"].items())
    return "\n".join(
        [HEAD, *sections, TAIL.format(command=told["command"], weights=told["weights"], libraries=libraries)]
    )


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    lines = ["| codec | bytes | bits per pixel | PSNR | SSIMULACRA 2 | setting |", "|---|--:|--:|--:|--:|---|"]
    for row in rows:
        size = f"{row['bytes']:,}" + (" (its least)" if row["too_large"] else "")
        figures = f"{row['bpp']:.3f} | {row['psnr']:.2f} | {row['ssimulacra2']:.1f}"
        lines.append(f"| {row['codec']} | {size} | {figures} | {row['setting']} |")
    return "\n".join(lines)


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"


if __name__ == "__main__":
    sys.exit(main())
