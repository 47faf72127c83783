"""`.tacit` files on the page: decoded in the browser, or by the service where it cannot."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageCms

from support.page import Visit, becomes, drop, expect
from support.pictures import synthetic
from tacit import viewer
from tacit.codec import Codec

pytestmark = [pytest.mark.browser, pytest.mark.slow]

BUILT = viewer.STATIC

CLIENT = """
const image = (red) => {
    const data = new Uint8ClampedArray(4 * WIDTH * HEIGHT).fill(255);
    for (let i = 0; i < data.length; i += 4) data.set([red, 0, 0], i);
    return { width: WIDTH, height: HEIGHT, data, caption: null };
};
export const bitmapOf = ({ data, width, height }) => createImageBitmap(new ImageData(data, width, height));
export class Client {
    async decode(data, options) { DECODE }
    arrival() {
        let length = 0;
        return {
            feed(piece) { length += piece.length; },
            image: async () => image(100),
            close: () => new Promise((resolve) => { globalThis.finish = () => resolve(image(length % 256)); }),
        };
    }
    close() {}
}
"""

Stub = Callable[..., None]


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stub:
    """Puts a decoder of a few lines in the place of the real one, which takes long to load."""

    def put(decode: str, width: int = 208, height: int = 144) -> None:
        source = CLIENT.replace("DECODE", decode).replace("WIDTH", str(width)).replace("HEIGHT", str(height))
        (tmp_path / "client.js").write_text(source)
        monkeypatch.setattr(viewer, "STATIC", tmp_path)

    return put


def red(page: Any) -> int:
    """Return the red of the pixel in the middle of the stage."""
    return int(
        page.locator("#canvas").evaluate(
            "(canvas) => canvas.getContext('2d').getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data[0]"
        )
    )


def header(page: Any) -> Any:
    return page.locator("#header")


def test_the_browser_decodes(visit: Visit, stub: Stub, image_file: Path, codec: Codec) -> None:
    stub("return image(200);")
    page = visit()
    drop(page, "x.tacit", codec.encode(image_file))
    expect(header(page)).to_contain_text(re.compile("Decodedin this browser, with (one thread|\\d+ threads)"))
    assert page.evaluate("() => crossOriginIsolated")
    assert becomes(page, lambda: red(page) == 200)
    with page.expect_download() as download:  # with the metadata, which only the service has
        page.locator("#download").click()
    with Image.open(download.value.path()) as image:
        assert (image.format, image.size) == ("PNG", (208, 144))


def test_the_service_decodes_what_the_browser_cannot(
    visit: Visit, stub: Stub, image_file: Path, codec: Codec, tmp_path: Path
) -> None:
    data = codec.encode(image_file)
    stub("throw new Error('no luck');")
    page = visit()
    drop(page, "x.tacit", data)
    expect(header(page)).to_contain_text("Decodedby the service: no luck")
    expect(page.locator("#download")).to_be_enabled()
    (tmp_path / "client.js").write_text("not JavaScript")
    page = visit()
    drop(page, "x.tacit", data)
    expect(header(page)).to_contain_text("Decodedby the service: ")
    (tmp_path / "client.js").unlink()
    page = visit()
    drop(page, "x.tacit", data)
    expect(header(page)).to_contain_text("by the service: this service has no decoder for browsers")


def test_a_large_file_is_coarse_first(visit: Visit, stub: Stub, codec: Codec) -> None:
    stub("throw new Error('not in pieces');", 1040, 1000)
    image = Image.fromarray(synthetic(104, 100)).resize((1040, 1000))
    data = codec.encode(image, quality=5)
    page = visit()
    drop(page, "x.tacit", data)
    expect(header(page)).to_contain_text("Decodeda coarse image so far")
    expect(page.locator("#download")).to_be_disabled()
    assert becomes(page, lambda: red(page) == 100)
    page.evaluate("() => globalThis.finish()")
    expect(header(page)).to_contain_text("Decodedin this browser")
    assert becomes(page, lambda: red(page) == len(data) % 256)
    expect(page.locator("#download")).to_be_enabled()


def test_the_real_decoder(visit: Visit, image_file: Path, codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    if not (BUILT / "client.js").is_file():
        pytest.skip("needs the decoder for browsers: make js")
    monkeypatch.setattr(viewer, "STATIC", BUILT)
    page = visit()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    with Image.open(image_file) as image:
        image.info["icc_profile"] = profile
        data = codec.encode(image)
    drop(page, "x.tacit", data)
    expect(header(page)).to_contain_text("Decodedin this browser")
    expect(header(page)).to_contain_text("ICC profile")
