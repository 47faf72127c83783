"""Writes the seed corpora, from which fuzzing starts: `python -m fuzz.seeds`."""

from __future__ import annotations

import gzip
import io
import json
import struct
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from fuzz.decode import codec
from support.containers import FILES, MAPPED, build, chunk, header
from tacit import container
from tacit.container import Metadata, write

CORPUS = Path(__file__).parent / "corpus"
XMP = (
    b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>"
    b"<rdf:Description xmlns:dc='http://purl.org/dc/elements/1.1/' xmlns:tiff='http://ns.adobe.com/tiff/1.0/'"
    b" xmlns:Iptc4xmpCore='http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/' xmlns:xmp='http://ns.adobe.com/xap/1.0/'"
    b" tiff:Orientation='6' Iptc4xmpCore:AltTextAccessibility='a boat'><dc:description><rdf:Alt>"
    b"<rdf:li xml:lang='x-default'>a red boat</rdf:li><rdf:li xml:lang='de'>ein Boot</rdf:li></rdf:Alt>"
    b"</dc:description><xmp:Thumbnails><rdf:Alt/></xmp:Thumbnails></rdf:Description></rdf:RDF></x:xmpmeta>"
)


def containers() -> Iterator[tuple[str, bytes]]:
    """Yield files of every kind of chunk, without images in their regions."""
    yield from FILES.items()
    yield "quality map", write(MAPPED, Metadata(), None, [b"region"])
    yield "fixed rate", write(header(quality=None), Metadata(), None, [b"region"])
    yield "unknown chunk", build(chunk("H", header().to_bytes()), chunk("z", b"later"), chunk("R", b"region"))
    yield "stored", build(chunk("H", header().to_bytes()), chunk("x", b"\0<x/>"), chunk("R", b"region"))


def files() -> Iterator[tuple[str, bytes]]:
    """Yield files that the small model decodes."""
    image = picture(48, 40)
    yield "rgb", codec().encode(image, quality=50)
    yield "low", codec().encode(image, quality=5)
    yield "grey", codec().encode(image.convert("L"), quality=50)
    alpha = image.copy()
    alpha.putalpha(picture(48, 40).convert("L").rotate(90, expand=False))
    yield "alpha", codec().encode(alpha, quality=30)
    alpha.putalpha(128)
    yield "constant alpha", codec().encode(alpha, quality=30)
    yield "caption", codec().encode(image, "a red boat", quality=30, store_caption=True, steer=0)
    yield "quality map", codec().encode(image, "a red boat", quality=30, steer=20)
    image.info.update(xmp=XMP, exif=exif(), icc_profile=icc()[:200])
    yield "metadata", codec().encode(image, quality=30)
    yield "two regions", codec().encode(picture(1030, 8), quality=5)
    yield "not progressive", codec().encode(picture(48, 40), quality=50, progressive=False)
    yield "plain quality map", codec().encode(picture(48, 40), "a boat", quality=30, progressive=False)
    yield "cut", codec().encode(picture(48, 40), quality=50)[:-60]
    wide = container.read(codec().encode(picture(1030, 8), quality=10))
    regions = [region or b"" for region in wide.regions]
    yield "scans", write(replace(wide.header, scans=4), wide.metadata, None, regions)


def images() -> Iterator[tuple[str, bytes]]:
    """Yield small images of several formats with metadata."""
    image = picture(16, 12)
    text = PngInfo()
    text.add_itxt("XML:com.adobe.xmp", XMP.decode())
    text.add_text("Description", "a boat", zip=True)
    everything = {"exif": exif(), "icc_profile": icc()}
    options: dict[str, dict[str, object]] = {
        "jpeg": {"xmp": XMP, "comment": b"a boat", **everything},
        "png": {"pnginfo": text, **everything},
        "tiff": {"exif": exif(), "icc_profile": icc()},
        "webp": {"xmp": XMP, **everything},
        "bmp": {},
        "gif": {},
        "ppm": {},
    }
    for name, extra in options.items():
        yield name, saved(image, name, **extra)
    yield "grey 16-bit png", saved(Image.new("I;16", (6, 4), 40000), "png")
    yield "palette png", saved(image.quantize(8), "png", transparency=3)
    yield "cmyk jpeg", saved(image.convert("CMYK"), "jpeg")
    yield "float tiff", saved(image.convert("F").point(lambda level: level * (1 / 255)), "tiff")
    yield "grey jpeg", saved(image.convert("L"), "jpeg", exif=exif())
    yield "alpha webp", saved(image.convert("RGBA"), "webp", lossless=True)
    calibrated = (0, *(round(v * 2**30) for v in (0.68, 0.32, 0, 0.265, 0.69, 0.045, 0.15, 0.06, 0.79)), *[144179] * 3)
    yield "calibrated bmp", bmp(image, struct.pack("<I9i3I", *calibrated), b"")
    place = 124 + len(image.tobytes())
    embedded = struct.pack("<I48x", int.from_bytes(b"MBED")) + struct.pack("<IIII", 4, place, len(icc()), 0)
    yield "bmp with profile", bmp(image, embedded, icc())
    jpeg_2000 = saved(image, "jpeg2000")
    yield "jpeg 2000", jpeg_2000
    yield "romm jpeg 2000", jpeg_2000.replace(b"colr\1\0\0\0\0\0\x10", b"colr\1\0\0\0\0\0\x15")
    yield "avif", saved(image, "avif", exif=exif())
    yield "mpo", saved(image, "mpo", save_all=True, append_images=[image.rotate(180)])


def metadata() -> Iterator[tuple[str, bytes]]:
    """Yield blocks of metadata behind the two bytes that choose what they are."""
    block = exif()
    for kind, data in enumerate((block, XMP, block + XMP, icc(), block + icc(), b"a boat" + XMP)):
        for suffix in range(5 if kind < 3 else 1):
            yield f"{kind} {suffix}", bytes([kind, suffix]) + data
    big = Image.Exif()
    big.endian = ">"
    big[0x0112], big[0x010E] = 6, "a boat"
    yield "big-endian", bytes([0, 0]) + big.tobytes()
    for name, space in (("adobe by space", 2), ("adobe by index", 0xFFFF)):
        big[0x8769] = {0xA001: space, 0xA005: {1: "R03"}}
        yield name, bytes([0, 0]) + big.tobytes()


def bmp(image: Image.Image, header: bytes, behind: bytes) -> bytes:
    """Return a BMP with a header of version 4 or 5, of which `header` is what begins with the kind of colours."""
    old = saved(image, "bmp")
    size = 56 + len(header)
    rows = old[54:]
    start = struct.pack("<I", size) + old[18:54] + bytes(16) + header
    return b"BM" + struct.pack("<IHHI", 14 + size + len(rows), 0, 0, 14 + size) + start + rows + behind


def shards() -> Iterator[tuple[str, bytes]]:
    """Yield tar shards."""
    small = saved(picture(8, 8), "jpeg")
    captions: tuple[object, ...] = ("a boat", None, {"en": "a boat", "de": "ein Boot"}, [{"text": "a boat"}, None])
    members: dict[str, bytes] = {"._0.jpg": b"\0\5\x16\7" + bytes(60), "0.jpg": small, "0.txt": b"a boat"}
    for number, caption in enumerate(captions, 1):
        members[f"{number}.jpg"] = small[:200]
        members[f"{number}.json"] = json.dumps({"caption": caption}).encode()
    members["a/b.05.jpg"] = small[:100]
    for name, form in (("ustar", tarfile.USTAR_FORMAT), ("gnu", tarfile.GNU_FORMAT), ("pax", tarfile.PAX_FORMAT)):
        yield name, tar(members | {f"{'long' * 20}/{'name' * 20}.jpg": small[:50]}, form)
    yield "gzip", gzip.compress(tar(members, tarfile.GNU_FORMAT), mtime=0)
    yield "cut", tar(members, tarfile.GNU_FORMAT)[:2000]


def picture(width: int, height: int) -> Image.Image:
    """Return a small image with colours."""
    wave = Image.linear_gradient("L").resize((width, height))
    return Image.merge("RGB", [wave, wave.rotate(180), Image.radial_gradient("L").resize((width, height))])


def exif() -> bytes:
    """Return EXIF with sub-IFDs, an orientation, a description and a thumbnail's IFD."""
    tags = Image.Exif()
    tags[0x0112], tags[0x010E], tags[0x010F] = 6, "a red boat", "Maker"
    tags.get_ifd(0x8769)[0x9003] = "2024:01:01 00:00:00"
    tags.get_ifd(0x8825)[1] = "N"
    block = bytearray(tags.tobytes())
    start = len(block) - 6  # of the thumbnail's IFD, behind Exif\0\0
    first = 6 + int.from_bytes(block[10:14], "little")
    link = first + 2 + 12 * int.from_bytes(block[first : first + 2], "little")
    block[link : link + 4] = start.to_bytes(4, "little")
    entries = ((513, 4, 1, start + 30), (514, 4, 1, 8))
    block += len(entries).to_bytes(2, "little")
    for tag, kind, count, value in entries:
        block += b"".join(
            n.to_bytes(size, "little") for n, size in zip((tag, kind, count, value), (2, 2, 4, 4), strict=True)
        )
    return bytes(block + bytes(4) + b"\xff\xd8thumb\xff\xd9")


def icc() -> bytes:
    """Return an ICC profile of sRGB."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def saved(image: Image.Image, format: str, **options: object) -> bytes:
    """Return an image as a file."""
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def tar(members: Mapping[str, bytes], form: int) -> bytes:
    """Return a tar archive in one of tarfile's formats."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as archive:
        for name, data in members.items():
            about = tarfile.TarInfo(name)
            about.size = len(data)
            archive.addfile(about, io.BytesIO(data))
    return stream.getvalue().rstrip(b"\0") + bytes(1536)


def main() -> None:
    """Write every corpus."""
    sources = {
        "container": (containers, files),
        "info": (containers,),
        "decode": (files,),
        "image": (images,),
        "metadata": (metadata,),
        "shard": (shards,),
    }
    for target, makers in sources.items():
        folder = CORPUS / target
        folder.mkdir(parents=True, exist_ok=True)
        for maker in makers:
            for name, data in maker():
                (folder / name.replace(" ", "-")).write_bytes(data)


if __name__ == "__main__":
    main()
