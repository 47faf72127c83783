"""Pillow plugin: `Image.open("x.tacit")` and `im.save("x.tacit", quality=50, caption="a red boat")`.

    import tacit.pillow

is all it takes. Pillow finds only its own plugins and has no entry points for others, so every program has this line
once. It imports no torch; nor does opening a file, which reads size, mode and metadata, or `verify()`. Torch is
imported when pixels are asked for, and when an image is saved.

The options of `save` are the fields of `tacit.codec.EncodeOptions` (quality, size, bpp, psnr, store_caption and
others); `model`; `caption`, which guides the encoder and is in the file only with store_caption=True (by default
`info["caption"]`); `icc_profile` (by default `info["icc_profile"]`), and `exif` and `xmp` (by default none). These
defaults are those of Pillow's AVIF plugin. The image in a `.tacit` file is upright: where `exif` (or else `xmp`) has an
orientation, the pixels are turned by it, and it becomes 1. Without them the pixels are taken as they are, as by every
plugin of Pillow.

Errors are the ones that Pillow's users expect: UnidentifiedImageError (an OSError) from `open`, OSError from `load` and
`verify`, ValueError and OSError from `save`. Where tacit's own error is not one of these, it is their `__cause__`.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import IO, TYPE_CHECKING, Any, BinaryIO, cast

from PIL import Image, ImageFile, UnidentifiedImageError
from PIL.ImageFile import _Tile

from tacit import container
from tacit.codec.options import EncodeOptions
from tacit.errors import TacitError
from tacit.image import from_pil, pil_info

if TYPE_CHECKING:
    from PIL._imaging import PixelAccess

_ENCODE_OPTIONS = tuple(field.name for field in fields(EncodeOptions))


class TacitImageFile(ImageFile.ImageFile):
    """An opened `.tacit` file.

    `ImageFile.LOAD_TRUNCATED_IMAGES` makes `load` take what it can of a damaged file, or of one that was cut. `draft`,
    which `thumbnail` calls, has the image decoded at a half, a quarter or an eighth of its size, in a part of the time.
    """

    format = "TACIT"
    format_description = "tacit, text-adaptive learned image compression"

    def _open(self) -> None:
        assert self.fp is not None
        start = self.fp.tell()
        if not container.is_tacit(self.fp.read(len(container.SIGNATURE))):
            raise SyntaxError("not a .tacit file")
        self.fp.seek(start)
        try:
            header, metadata, _ = container.read_header(cast(BinaryIO, self.fp))
        except TacitError as error:
            # Not a SyntaxError: Pillow would try its other plugins and forget what is wrong with this file.
            raise UnidentifiedImageError(f"cannot read .tacit file: {error}") from error
        self._start = start
        self._max_side: int | None = None
        self._size = header.width, header.height
        self._mode = header.channels
        self.info.update(pil_info(metadata))
        # Pillow never gives this to a decoder of its own. It says that pixels are still to be loaded.
        self.tile = [_Tile("tacit", (0, 0, *self.size), start, self.mode)]

    def draft(self, mode: str | None, size: tuple[int, int] | None) -> tuple[str, tuple[int, int, float, float]] | None:
        """Have the image decoded at a half, a quarter or an eighth of its size, if that is no smaller than `size`.

        Args:
            mode: Does nothing: an image has the mode of its file.
            size: The least width and height.

        Returns:
            The mode, and what there is of the image, as Pillow's own plugins do; None if nothing changes.
        """
        if not self.tile or self._max_side is not None or not size:
            return None
        room = min(own // max(1, wanted) for own, wanted in zip(self.size, size, strict=True))
        factor = max((factor for factor in (2, 4, 8) if factor <= room), default=None)
        if factor is None:
            return None
        from tacit.codec.reduction import reduced_size

        self._max_side = -(-max(self.size) // factor)
        self._size = reduced_size(*self.size, self._max_side)
        self.tile = [_Tile("tacit", (0, 0, *self.size), self._start, self.mode)]
        return self.mode, (0, 0, *self.size)

    def load(self) -> PixelAccess | None:
        """Decode the pixels, once.

        Raises:
            OSError: The file is damaged, or its weights are missing.
        """
        if self.tile:
            from tacit.codec import decode  # imports torch

            try:
                # Pillow has checked the number of pixels against its own limit when it opened the file.
                lenient = ImageFile.LOAD_TRUNCATED_IMAGES
                image = decode(self._read(), max_side=self._max_side, salvage=lenient, partial=lenient, max_pixels=None)
            except TacitError as error:
                raise OSError(f"cannot decode .tacit file: {error}") from error
            image.load()
            self.im = image.im
            self.readonly = image.readonly
            self.tile = []
            self._release()
        return super().load()

    def load_seek(self, pos: int) -> None:
        """Do nothing: that there is this method tells `ImageFile.Parser` that a file is decoded when it is whole."""

    def verify(self) -> None:
        """Check every checksum, without decoding pixels; as for all plugins, directly after `open`, and once.

        Raises:
            OSError: The file is damaged.
            RuntimeError: The file is closed.
        """
        if self.fp is None:
            raise RuntimeError("verify must be called directly after open")
        try:
            container.read(self._read(), max_pixels=None)
        except TacitError as error:
            raise OSError(f"broken .tacit file: {error}") from error
        finally:
            super().verify()

    def _read(self) -> bytes:
        """Return the whole file."""
        assert self.fp is not None
        self.fp.seek(self._start)
        return self.fp.read()

    def _release(self) -> None:
        """Close the file if Pillow opened it, as plugins do when their pixels are loaded."""
        if self._exclusive_fp and self.fp is not None:
            self.fp.close()
        self.fp = None


def _save(image: Image.Image, stream: IO[bytes], filename: str | bytes) -> None:
    arguments: dict[str, Any] = image.encoderinfo
    info = {
        "icc_profile": image.info.get("icc_profile"),
        "exif": _exif_bytes(arguments.get("exif")),
        "xmp": _xmp_bytes(arguments.get("xmp")),
        "dpi": arguments.get("dpi"),
    }
    raster = from_pil(image, info=info)
    metadata = replace(raster.metadata, caption=None, icc=arguments.get("icc_profile", raster.metadata.icc) or None)
    caption = arguments.get("caption", image.info.get("caption"))
    from tacit.codec import encode  # imports torch

    try:
        data = encode(
            replace(raster, metadata=metadata),
            caption,
            options=EncodeOptions(**{name: arguments[name] for name in _ENCODE_OPTIONS if name in arguments}),
            **{name: arguments[name] for name in ("model",) if name in arguments},
        )
    except (ValueError, OSError):  # InvalidInput and PathError are these
        raise
    except TacitError as error:
        raise OSError(f"cannot write .tacit file: {error}") from error
    stream.write(data)


def _exif_bytes(exif: Image.Exif | bytes | None) -> bytes | None:
    if isinstance(exif, Image.Exif):
        return exif.tobytes() if len(exif) else None
    return exif or None


def _xmp_bytes(xmp: bytes | str | None) -> bytes | None:
    return (xmp.encode("utf-8") if isinstance(xmp, str) else xmp) or None


def register() -> None:
    """Make Pillow open and save `.tacit` files. Importing this module does it; doing it again changes nothing."""
    Image.register_open(TacitImageFile.format, TacitImageFile, container.is_tacit)
    Image.register_save(TacitImageFile.format, _save)
    Image.register_extension(TacitImageFile.format, ".tacit")
    Image.register_mime(TacitImageFile.format, container.MIME_TYPE)


register()
