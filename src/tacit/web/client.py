"""A client of the service, for Python programs.

    from tacit.web.client import Client

    with Client("http://127.0.0.1:8000") as client:
        encoded = client.encode("photo.jpg", "a red boat on a lake", quality=40)
        image = client.decode(encoded.data, media_type="image/webp")

It needs httpx, and neither torch nor the rest of this package. Images and files may be bytes, a path or a binary file.
What is wrong with them raises the same errors as `tacit.encode` and `tacit.decode`; everything else is a ServiceError.
"""

from __future__ import annotations

import importlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO
from urllib.parse import urlencode

from tacit import errors
from tacit.codec.keep import Keep, KeptBox
from tacit.errors import InvalidInput, MissingExtra, PathError, ServiceError, TacitError
from tacit.fileinfo import FileInfo

Source = bytes | bytearray | memoryview | str | os.PathLike[str] | BinaryIO

URN = "urn:tacit:"
RETRIED_STATUSES = frozenset({429, 503})  # if they come with a Retry-After
LONGEST_WAIT = 60.0  # seconds before one retry, whatever Retry-After says


@dataclass(frozen=True, kw_only=True)
class ServiceResult:
    """What the service made."""

    data: bytes
    media_type: str
    width: int
    height: int
    location: str
    """The path under which the service keeps the result for a while; see `Client.result`."""
    warnings: tuple[str, ...]
    """What could not be kept, or was damaged."""


@dataclass(frozen=True, kw_only=True)
class ServiceEncoding(ServiceResult):
    """A `.tacit` file that the service made."""

    quality: float | None
    """0 to 100; None for fixed-rate weights."""
    bpp: float
    """Bits of the whole file per pixel."""
    psnr: float | None
    """In dB, if a PSNR was the target or something was to be kept."""
    found: tuple[str, ...] = ()
    """What of the caption the image shows, where the caption steered."""
    missed: tuple[str, ...] = ()
    """What of the caption was not found."""
    kept: tuple[KeptBox, ...] = ()
    """What was to be kept and is found, each with what it has in the decoded image."""
    kept_bytes: int | None = None
    """The bytes that this costs."""


@dataclass(frozen=True)
class ServiceThing:
    """A thing that a caption names, and where the service has found it in an image."""

    phrase: str
    """The words, as the caption has them."""
    cues: tuple[str, ...]
    """What it was found by."""
    boxes: tuple[tuple[int, int, int, int], ...]
    """Around the places where it is, the largest first: left, top, right and bottom in pixels; none where it is not
    found."""
    sure: bool = True
    """Whether it is likely to be there; `keep` promises nothing of what is not."""


@dataclass(frozen=True, kw_only=True)
class ServiceModel:
    """Weights at the service."""

    name: str
    architecture: str
    weights_hash: str
    variable_rate: bool
    default: bool
    """Whether the service encodes with these weights if a request names none."""


class Client:
    """A connection to a service; close it, or use it as a context manager. Threads may share it.

    Args:
        url: The address of the service.
        token: The token that the service asks for, if it does.
        timeout: Seconds to wait for the next byte.
        attempts: How often one request is sent while the service is too busy and says when to try again.
        transport: A transport of httpx, for tests.

    Raises:
        MissingExtra: httpx is not installed.
        InvalidInput: The URL is not one of HTTP.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        *,
        token: str | None = None,
        timeout: float = 120.0,
        attempts: int = 5,
        transport: Any = None,
    ) -> None:
        try:
            self._httpx: Any = importlib.import_module("httpx")
        except ImportError as error:
            raise MissingExtra("the client needs httpx: pip install 'tacit[web]'") from error
        if not url.startswith(("http://", "https://")):
            raise InvalidInput(f"url must begin with http:// or https://, got {url!r}")
        self._attempts = max(1, attempts)
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        # Redirects are not followed: the token would go along.
        self._client: Any = self._httpx.Client(
            base_url=url, headers=headers, timeout=timeout, transport=transport, follow_redirects=False
        )

    def encode(
        self,
        image: Source,
        caption: str | None = None,
        quality: float | None = None,
        *,
        size: int | None = None,
        bpp: float | None = None,
        psnr: float | None = None,
        steer: float | None = None,
        boxes: Sequence[tuple[int, int, int, int]] = (),
        effort: int | None = None,
        keep: Sequence[Keep] = (),
        best_effort: bool = False,
        word_weights: bool = False,
        store_caption: bool = False,
        keep_metadata: bool = True,
        model: str | None = None,
    ) -> ServiceEncoding:
        """Encode an image at the service.

        Args:
            image: The image file.
            caption: As of `tacit.encode`, like the arguments that are not listed here.
            quality: As of `tacit.encode`.
            size: As of `tacit.encode`.
            bpp: As of `tacit.encode`.
            psnr: As of `tacit.encode`.
            steer: As of `tacit.Codec`.
            boxes: As of `tacit.encode`, in whole pixels; none leaves it to the caption.
            effort: As of `tacit.encode`, up to what the service allows. A warning says where its time was over first.
            keep: As of `tacit.encode`.
            best_effort: As of `tacit.encode`.
            word_weights: As of `tacit.Codec`.
            store_caption: As of `tacit.encode`.
            keep_metadata: As of `tacit.encode`.
            model: The name of one of `models`; None for the service's default.

        Raises:
            InvalidInput: An argument is out of range, or the image is damaged. The subclass TargetNotReached: no
                quality reaches the target, or keeps what is to be kept; NotFound: the image shows nothing that a phrase
                of `keep` names; ImageTooLarge: the image has more pixels than the service allows.
            UnsupportedFile: The bytes are not an image of a known format.
            UnknownModel: The service has no such model.
            PathError: The image cannot be read.
            ServiceError: The service cannot be reached, refuses, or fails.
        """
        parameters = {
            "caption": caption,
            "quality": quality,
            "size": size,
            "bpp": bpp,
            "psnr": psnr,
            "steer": steer,
            "box": [_box_text(box) for box in boxes] or None,
            "effort": effort,
            "keep": [str(one) for one in keep if one.box is None] or None,
            "keep_box": [str(one) for one in keep if one.box is not None] or None,
            "best_effort": best_effort or None,
            "word_weights": word_weights or None,
            "store_caption": store_caption or None,
            "model": model,
            "metadata": None if keep_metadata else False,
        }
        answer = self._post("/v1/encode", image, parameters)
        texts = {name: answer.headers.get(f"tacit-{name}") for name in ("quality", "bpp", "psnr")}
        numbers: dict[str, Any] = {name: None if text is None else float(text) for name, text in texts.items()}
        seen = json.loads(answer.headers.get("tacit-found", "{}"))
        found, missed = (tuple(seen.get(name, ())) for name in ("found", "missed"))
        kept = tuple(map(KeptBox.of, json.loads(answer.headers.get("tacit-kept", "[]"))))
        cost = answer.headers.get("tacit-kept-bytes")
        return ServiceEncoding(
            **_result_fields(answer),
            **numbers,
            found=found,
            missed=missed,
            kept=kept,
            kept_bytes=None if cost is None else int(cost),
        )

    def find(self, image: Source, caption: str) -> tuple[ServiceThing, ...]:
        """Return what a caption names, and where the service finds it in an image.

        Args:
            image: The image file.
            caption: The caption, or a phrase.

        Raises:
            InvalidInput: The caption is empty or too long, or the image is damaged or too large.
            UnsupportedFile: The bytes are not an image of a known format.
            PathError: The image cannot be read.
            ServiceError: The service cannot be reached, refuses, or fails.
        """
        things = self._post("/v1/find", image, {"caption": caption}).json()["things"]
        return tuple(
            ServiceThing(
                thing["phrase"],
                tuple(thing["cues"]),
                tuple((left, top, left + width, top + height) for left, top, width, height in thing["boxes"]),
                thing["sure"],
            )
            for thing in things
        )

    def decode(
        self,
        data: Source,
        *,
        media_type: str = "image/png",
        box: tuple[int, int, int, int] | None = None,
        max_side: int | None = None,
        salvage: bool = False,
        partial: bool = False,
        keep_metadata: bool = True,
    ) -> ServiceResult:
        """Decode a `.tacit` file at the service, to an image file.

        Args:
            data: The `.tacit` file.
            media_type: image/png, image/jpeg, image/webp or image/avif.
            box: Decode only this part: (left, top, right, bottom) in pixels.
            max_side: The most pixels along a side, to which a larger image is shrunk.
            salvage: Decode what is intact of a damaged file.
            partial: Decode the beginning of a file, of which the end may be missing: a coarser image.
            keep_metadata: Whether the image has the ICC profile, EXIF and XMP; without, its colours become sRGB.

        Raises:
            CorruptFile: The file is damaged.
            UnsupportedFile: It is not a `.tacit` file, or of a newer version.
            MissingWeights: The service does not have the weights that the file names.
            ImageTooLarge: The image has more pixels than the service allows.
            InvalidInput: The box is not inside the image, or `max_side` is less than 1.
            PathError: The file cannot be read.
            ServiceError: The service cannot be reached, refuses, or fails.
        """
        crop = None if box is None else _box_text(box)
        parameters = {
            "crop": crop,
            "max_side": max_side,
            "salvage": salvage or None,
            "partial": partial or None,
            "metadata": None if keep_metadata else False,
        }
        answer = self._post("/v1/decode", data, parameters, {"Accept": media_type})
        return ServiceResult(**_result_fields(answer))

    def info(self, data: Source) -> FileInfo:
        """Return what the header of a `.tacit` file says, as `tacit.info` does.

        Raises:
            CorruptFile: The file is damaged.
            UnsupportedFile: It is not a `.tacit` file, or of a newer version.
            PathError: The file cannot be read.
            ServiceError: The service cannot be reached, refuses, or fails.
        """
        return FileInfo(**self._post("/v1/info", data, {}).json())

    def models(self) -> tuple[ServiceModel, ...]:
        """Return the models at the service, the default first.

        Raises:
            ServiceError: The service cannot be reached, refuses, or fails.
        """
        names = [field.name for field in fields(ServiceModel)]
        models = self._request("GET", "/v1/models").json()["models"]
        return tuple(ServiceModel(**{name: model[name] for name in names}) for model in models)

    def caption(self, image: Source) -> str:
        """Return the caption that the service's captioner writes for an image.

        Raises:
            InvalidInput: The image is damaged.
            UnsupportedFile: The bytes are not an image of a known format.
            PathError: The image cannot be read.
            ServiceError: The service has no captioner, cannot be reached, refuses, or fails.
        """
        return str(self._post("/v1/caption", image, {}).json()["caption"])

    def result(self, location: str) -> bytes:
        """Return the data of an earlier result again, by its location.

        Raises:
            ServiceError: The result is not kept any more, or the service cannot be reached.
        """
        return bytes(self._request("GET", location).content)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _post(
        self, path: str, source: Source, parameters: Mapping[str, object], headers: Mapping[str, str] | None = None
    ) -> Any:
        query = {
            name: str(value).lower() if isinstance(value, bool) else value
            for name, value in parameters.items()
            if value is not None
        }
        path = f"{path}?{urlencode(query, doseq=True)}" if query else path
        octets = {"Content-Type": "application/octet-stream"}
        return self._request("POST", path, _read(source), octets | dict(headers or {}))

    def _request(
        self, method: str, path: str, content: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Any:
        for attempt in range(self._attempts):
            try:
                answer = self._client.request(method, path, content=content, headers=headers)
            except self._httpx.HTTPError as error:
                raise ServiceError(f"{self._client.base_url}: {error or type(error).__name__}") from error
            wait = answer.headers.get("retry-after", "")
            if answer.status_code not in RETRIED_STATUSES or not wait.isdecimal() or attempt + 1 == self._attempts:
                break
            time.sleep(min(float(wait), LONGEST_WAIT))
        if answer.is_success:
            return answer
        raise _error(answer)


def _box_text(box: tuple[int, int, int, int]) -> str:
    """Return a box as the service takes it: left, top, width and height."""
    left, top, right, bottom = box
    return f"{left},{top},{right - left},{bottom - top}"


def _result_fields(answer: Any) -> dict[str, Any]:
    headers = answer.headers
    return {
        "data": answer.content,
        "media_type": headers["content-type"],
        "width": int(headers["tacit-width"]),
        "height": int(headers["tacit-height"]),
        "location": headers["content-location"],
        "warnings": tuple(headers.get_list("tacit-warning")),
    }


def _error(answer: Any) -> TacitError:
    """Return the error that a problem stands for."""
    try:
        problem = answer.json()
        kind, detail = str(problem["type"]), str(problem.get("detail") or problem["title"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return ServiceError(f"{answer.status_code} {answer.reason_phrase}", answer.status_code)
    error = getattr(errors, kind.removeprefix(URN), None) if kind.startswith(URN) else None
    if isinstance(error, type) and issubclass(error, TacitError) and error is not ServiceError:
        return error(detail)
    if answer.status_code in (413, 415, 422):
        return InvalidInput(detail)
    return ServiceError(f"{answer.status_code} {detail}", answer.status_code, kind)


def _read(source: Source) -> bytes:
    try:
        if isinstance(source, bytes | bytearray | memoryview):
            return bytes(source)
        return Path(source).read_bytes() if isinstance(source, str | os.PathLike) else source.read()
    except (OSError, ValueError) as error:
        name = os.fspath(source) if isinstance(source, str | os.PathLike) else getattr(source, "name", "file")
        raise PathError(f"{name}: {getattr(error, 'strerror', None) or error}") from error
