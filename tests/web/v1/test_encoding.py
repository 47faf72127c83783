"""`POST /v1/encode`."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

import tacit
from support.pictures import synthetic
from support.web_service import image_bytes, problem
from tacit import container
from tacit.codec import Codec, EncodeOptions, Keep
from tacit.errors import InvalidInput, NotFound, TargetNotReached, UnknownModel
from tacit.web.client import Client
from tacit.web.service import Service
from tacit.web.v1.encoding import EncodeQuery


def test_a_photograph_becomes_the_file_that_the_codec_makes(
    client: Client, codec: Codec, upload: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(upload)
    for source in (upload, path, str(path), io.BytesIO(upload)):
        # without steering, since the image hardly shows a dog, and whether the finder sees one hangs by a thread
        encoded = client.encode(source, "a dog", quality=33.333, store_caption=True, steer=0)
        assert (encoded.width, encoded.height, encoded.quality, encoded.psnr) == (150, 100, 33.33, None)
        assert encoded.media_type == "image/x-tacit"
        assert encoded.bpp == pytest.approx(8 * len(encoded.data) / 15_000, rel=1e-5)
        info = tacit.info(encoded.data)
        assert (info.caption, info.quality) == ("a dog", 33.33)
        assert encoded.warnings == ()
    # of the same weights; the transforms' precision may differ
    reference = codec.decode(codec.encode(upload, "a dog", 33.333, steer=0))
    assert np.abs(np.asarray(codec.decode(encoded.data)).astype(int) - np.asarray(reference)).mean() < 1


@pytest.mark.parametrize("target", [{"size": 1500}, {"bpp": 0.9}, {"psnr": 20.0}, {"quality": 0}, {}])
def test_targets_are_reached(client: Client, upload: bytes, target: dict[str, Any]) -> None:
    encoded = client.encode(upload, **target)
    assert len(encoded.data) <= target.get("size", 1e9)
    assert encoded.bpp <= target.get("bpp", 100)
    assert (encoded.psnr or 0) >= target.get("psnr", 0)
    assert encoded.quality == pytest.approx(target.get("quality", encoded.quality if target else 50))


@pytest.mark.slow
def test_a_caption_steers_as_far_as_is_asked(client: Client, tiny_weights: Path) -> None:
    image = synthetic(200, 150)
    image[:64, :64] = (210, 20, 20)
    upload = image_bytes(Image.fromarray(image))
    usual, far, nowhere = (client.encode(upload, "the red box", steer=steer).data for steer in (None, 60, 0))
    maps = [container.read(data).header.quality_map for data in (usual, far, nowhere)]
    reference = container.read(Codec(tiny_weights).encode(upload, "the red box")).header.quality_map
    assert maps[0] == reference
    assert reference is not None
    assert maps[1] not in (None, reference)
    assert maps[2] is None
    assert client.encode(upload, "the red box").data == usual  # nobody else's steering is left over


@pytest.mark.slow
def test_an_effort_refines_the_file(client: Client, upload: bytes, codec: Codec) -> None:
    plain, refined = (client.encode(upload, quality=30, effort=effort) for effort in (None, 1))
    assert refined.data != plain.data
    assert refined.warnings == ()
    assert codec.decode(refined.data).size == (150, 100)
    with pytest.raises(InvalidInput, match="less than or equal to 9"):
        client.encode(upload, effort=10)


@pytest.mark.slow
def test_what_is_asked_for_is_kept(client: Client, upload: bytes, codec: Codec) -> None:
    plain = codec.encode_result(upload, quality=0, keep=[Keep(box=(70, 20, 120, 70), psnr=1)])
    least = plain.kept[0].reached + 1
    keep = [Keep(box=(70, 20, 120, 70), psnr=least), Keep(phrase="the purple é=7 unicorn", psnr=20.5)]
    encoded = client.encode(upload, quality=0, keep=keep[:1])
    (kept,) = encoded.kept
    assert kept.keep.box == kept.box == (70, 20, 120, 70)
    assert least <= kept.reached < least + 1
    assert encoded.kept_bytes == len(encoded.data) - len(plain.data) > 0
    assert encoded.psnr is not None
    with pytest.raises(NotFound, match="unicorn' cannot be found in the image"):
        client.encode(upload, keep=keep)
    with pytest.raises(InvalidInput, match="must be inside the image of 150x100 pixels"):
        client.encode(upload, keep=[Keep(box=(0, 0, 151, 9), psnr=9)])
    near = client.encode(upload, quality=0, keep=keep, best_effort=True)
    assert near.kept == encoded.kept
    assert any("unicorn" in warning for warning in near.warnings)
    with pytest.raises(TargetNotReached, match="cannot be kept at 55 dB"):
        client.encode(upload, keep=[Keep(box=(70, 20, 120, 70), psnr=55)])
    assert client.encode(upload, quality=0).kept == ()


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("keep=the+dog", "must end in =NUMBERdB"),
        ("keep_box=1,2,3=36dB", "a box must be LEFT,TOP,WIDTH,HEIGHT"),
        ("keep=dog%3D90dB", "psnr of what is kept must be above 0 and at most 55, got 90"),
        ("keep=" + 301 * "x", "at most 300 characters"),
        ("&".join(17 * ["keep=dog%3D30dB"]), "at most 16 items"),
    ],
)
def test_what_cannot_be_asked_to_be_kept(web: httpx.Client, upload: bytes, query: str, detail: str) -> None:
    assert detail in problem(web.post(f"/v1/encode?{query}", content=upload), 422)["detail"]


def test_refinement_ends_before_the_time_limit_does(bare: Callable[..., TestClient], upload: bytes) -> None:
    with bare(time_limit=20.0, effort_limit=4) as client:
        refused = client.post("/v1/encode?effort=5", content=upload)
        assert refused.json()["detail"] == "effort must be 0 to 4 at this service, got 5"
        service: Service = client.app.state.service  # type: ignore[attr-defined]
        query = EncodeQuery.model_validate({"effort": 4}).arguments(service)
        assert query.options.effort_seconds == pytest.approx(14.0)
        assert EncodeQuery.model_validate({}).arguments(service).options == EncodeOptions()


@pytest.mark.slow
def test_words_may_count_by_their_weights(client: Client, upload: bytes) -> None:
    plain, weighed = (client.encode(upload, "a retriever", word_weights=weigh) for weigh in (False, True))
    assert plain.data != weighed.data
    assert tacit.info(plain.data).weights_hash == tacit.info(weighed.data).weights_hash


@pytest.mark.slow
def test_a_request_may_name_another_model(client: Client, upload: bytes, tiny_weights: Path) -> None:
    own, *others = client.models()
    assert others
    for model in (own, *others):
        assert tacit.info(client.encode(upload, model=model.name).data).weights_hash == model.weights_hash
    for name in ("nothing", str(tiny_weights)):  # a path is nobody's business
        with pytest.raises(UnknownModel, match="model must be one of tiny, tacit-s"):
            client.encode(upload, model=name)


def test_metadata_is_kept_or_not_and_losses_are_told(client: Client) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    data = image_bytes(Image.new("RGB", (20, 10)), exif=exif.tobytes())
    assert tacit.info(client.encode(data).data).exif_bytes
    assert not tacit.info(client.encode(data, keep_metadata=False).data).exif_bytes
    deep = image_bytes(Image.fromarray(np.full((9, 9), 40_000, np.uint16)))
    assert client.encode(deep).warnings == ("image: 16-bit samples are reduced to 8 bits",)
