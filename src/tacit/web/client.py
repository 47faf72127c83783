"""A client of the service, for Python programs.

    from tacit.web.client import Client

    with Client("http://127.0.0.1:8000") as client:
        encoded = client.encode("photo.jpg", "a red boat on a lake", quality=40)
        image = client.decode(encoded.data, media_type="image/webp")

It needs httpx, and neither torch nor the rest of this package. Images and files may be bytes, a path, or a binary file.
What is wrong with them is the same error as of `tacit.encode` and `tacit.decode`; all else is a ServiceError.
"""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO
from urllib.parse import urlencode

from tacit import errors
from tacit.errors import InvalidInput, MissingExtra, PathError, ServiceError, TacitError
from tacit.fileinfo import FileInfo

Source = bytes | bytearray | memoryview | str | os.PathLike[str] | BinaryIO

URN = "urn:tacit:"
AGAIN = frozenset({429, 503})
"""Statuses that come with a Retry-After, which is obeyed."""

PATIENCE = 60.0  # seconds of one Retry-After, at most


@dataclass(frozen=True)
class Result:
    """What the service made. location: where it can be had again for a while; warnings: what could not be kept."""

    data: bytes
    media_type: str
    width: int
    height: int
    location: str
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Encoded(Result):
    """A `.tacit` file. quality: None for fixed-rate weights; psnr: in dB, where one was asked for."""

    quality: float | None
    bpp: float
    psnr: float | None


@dataclass(frozen=True)
class Model:
    """Weights at the service. default: whether it encodes with them."""

    name: str
    architecture: str
    weights_hash: str
    variable_rate: bool
    default: bool


class Client:
    """A connection to a service; close it, or use it as a context manager. It may be shared by threads.

    url: of the service. token: where it wants one. timeout: seconds without a byte. attempts: of one request, while the
    service says that it is too busy, and when to try again. transport: httpx's, for tests.

    Raises: MissingExtra; InvalidInput, for an URL that is none.
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
            raise InvalidInput(f"url {url!r}: http:// or https:// and a host are needed")
        self._attempts = max(1, attempts)
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        # Redirects are not followed: they would take the token along.
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
        word_weights: bool = False,
        store_caption: bool = False,
        keep_metadata: bool = True,
        model: str | None = None,
    ) -> Encoded:
        """As `tacit.encode`; steer and word_weights as of `tacit.Codec`. model: a name of `models`.

        Raises: InvalidInput (TargetNotReached, ImageTooLarge), UnsupportedFile, UnknownModel, PathError, ServiceError.
        """
        asked = {"caption": caption, "quality": quality, "size": size, "bpp": bpp, "psnr": psnr, "steer": steer}
        flags = {"word_weights": word_weights or None, "store_caption": store_caption or None, "model": model}
        answer = self._post("/v1/encode", image, {**asked, **flags, "metadata": None if keep_metadata else False})
        found = {name: answer.headers.get(f"tacit-{name}") for name in ("quality", "bpp", "psnr")}
        numbers: dict[str, Any] = {name: None if text is None else float(text) for name, text in found.items()}
        return Encoded(**_result(answer), **numbers)

    def decode(
        self,
        data: Source,
        *,
        media_type: str = "image/png",
        box: tuple[int, int, int, int] | None = None,
        salvage: bool = False,
    ) -> Result:
        """As `tacit.decode`, to an image in the format of a media type: image/png, jpeg, webp or avif.

        Raises: CorruptFile, UnsupportedFile, MissingWeights, ImageTooLarge, InvalidInput, PathError, ServiceError.
        """
        crop = None if box is None else f"{box[0]},{box[1]},{box[2] - box[0]},{box[3] - box[1]}"
        asked = {"crop": crop, "salvage": salvage or None}
        return Result(**_result(self._post("/v1/decode", data, asked, {"Accept": media_type})))

    def info(self, data: Source) -> FileInfo:
        """As `tacit.info`. Raises: CorruptFile, UnsupportedFile, PathError, ServiceError."""
        return FileInfo(**self._post("/v1/info", data, {}).json())

    def models(self) -> tuple[Model, ...]:
        """The models at the service. Raises: ServiceError."""
        names = [field.name for field in fields(Model)]
        found = self._ask("GET", "/v1/models").json()["models"]
        return tuple(Model(**{name: model[name] for name in names}) for model in found)

    def caption(self, image: Source) -> str:
        """What the service's captioner sees in an image. Raises: InvalidInput, PathError, ServiceError."""
        return str(self._post("/v1/caption", image, {}).json()["caption"])

    def result(self, location: str) -> bytes:
        """A result again, by its location. Raises: ServiceError, where it is not kept any more."""
        return bytes(self._ask("GET", location).content)

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
        given = {
            name: str(value).lower() if isinstance(value, bool) else value
            for name, value in parameters.items()
            if value is not None
        }
        path = f"{path}?{urlencode(given)}" if given else path
        octets = {"Content-Type": "application/octet-stream"}
        return self._ask("POST", path, _bytes(source), octets | dict(headers or {}))

    def _ask(
        self, method: str, path: str, content: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Any:
        for attempt in range(self._attempts):
            try:
                answer = self._client.request(method, path, content=content, headers=headers)
            except self._httpx.HTTPError as error:
                raise ServiceError(f"{self._client.base_url}: {error or type(error).__name__}") from error
            wait = answer.headers.get("retry-after", "")
            if answer.status_code not in AGAIN or not wait.isdecimal() or attempt + 1 == self._attempts:
                break
            time.sleep(min(float(wait), PATIENCE))
        if answer.is_success:
            return answer
        raise _error(answer)


def _result(answer: Any) -> dict[str, Any]:
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
    """The error that a problem stands for."""
    try:
        problem = answer.json()
        kind, detail = str(problem["type"]), str(problem.get("detail") or problem["title"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return ServiceError(f"{answer.status_code} {answer.reason_phrase}", answer.status_code)
    known = getattr(errors, kind.removeprefix(URN), None) if kind.startswith(URN) else None
    if isinstance(known, type) and issubclass(known, TacitError) and known is not ServiceError:
        return known(detail)
    if answer.status_code in (413, 415, 422):
        return InvalidInput(detail)
    return ServiceError(f"{answer.status_code} {detail}", answer.status_code, kind)


def _bytes(source: Source) -> bytes:
    try:
        if isinstance(source, bytes | bytearray | memoryview):
            return bytes(source)
        return Path(source).read_bytes() if isinstance(source, str | os.PathLike) else source.read()
    except (OSError, ValueError) as error:
        name = os.fspath(source) if isinstance(source, str | os.PathLike) else getattr(source, "name", "file")
        raise PathError(f"{name}: {getattr(error, 'strerror', None) or error}") from error
