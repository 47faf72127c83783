"""Measure decoding in a browser: `npm --prefix js run build`, then `python -m benchmarks.browser [--runs N]`.

One image of 768x512 pixels (that of benchmarks/speed.py) is encoded, and decoded in headless Chromium by the package of
js/ in WebAssembly, with one thread and with two. A time is from handing over the file's bytes to having all pixels, in
the worker that pages use. `load_ms` is from the start of that worker to the first image, with a server on this machine;
the files are not in the browser's cache. The medians of the decodings after that are printed, and written to
results/browser.json. It takes a minute, and needs two quiet cores.
"""

from __future__ import annotations

import argparse
import mimetypes
import os
import shutil
import statistics
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from benchmarks.environment import benchmark_image, describe_machine
from tacit import weights
from tacit.codec import Codec
from tacit.evaluation.readable_json import dumps
from tacit.weights.decoding_part import decoding_part

ROOT = Path(__file__).resolve().parent.parent
BUILT = ROOT / "js" / "dist"
CHROMIUM = shutil.which("chromium-headless-shell") or shutil.which("chromium")
QUALITY = 60.0
THREADS = (1, 2)
DECODE = """async ([threads, runs]) => {
  const { Client } = await import('/client.js');
  const file = new Uint8Array(await (await fetch('/image.tacit')).arrayBuffer());
  const times = [];
  const client = new Client({ threads, backend: 'wasm' });
  for (let run = 0; run <= runs; run++) {
    const start = performance.now();
    const { width, height } = await client.decode(file);
    times.push(performance.now() - start);
    if (width !== 768 || height !== 512) throw new Error(`${width}x${height}`);
  }
  client.close();
  return times;
}"""


def main() -> int:
    """Encode, decode, and write the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", type=Path, help="a photograph; it is cut to 768x512 if it is larger")
    parser.add_argument("--runs", type=int, default=9, help="decodings that count, for each number of threads")
    parser.add_argument("--output", type=Path, default=ROOT / "results" / "browser.json")
    arguments = parser.parse_args()
    if not (BUILT / "client.js").is_file():
        sys.exit(f"{BUILT}: no such folder; build it with: npm --prefix js run build")
    image, origin = benchmark_image(arguments.image)
    file = Codec().encode(image, quality=QUALITY)
    path = weights.locate(weights.DEFAULT)
    identifier = weights.describe(path).decode_hash.hex()
    served = {"/image.tacit": file, "/": b"", f"/weights/{identifier}.safetensors": decoding_part(path)}
    with site(served) as address, sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        version = browser.version
        measured = [measure(browser, address, threads, arguments.runs) for threads in THREADS]
        browser.close()
    result = {
        "command": "python -m benchmarks.browser",
        "image": origin,
        "quality": QUALITY,
        "bytes": len(file),
        "weights_hash": identifier,
        "browser": f"Chromium {version}",
        "load_average": round(os.getloadavg()[0], 2),
        **describe_machine(),
        "threads": measured,
    }
    arguments.output.write_text(dumps(result))
    return 0


def measure(browser: Browser, address: str, threads: int, runs: int) -> dict[str, Any]:
    """Return the milliseconds of decoding with some threads, in a browser context of its own, without a cache."""
    context = browser.new_context()
    try:
        page = context.new_page()
        page.goto(address)
        if not page.evaluate("crossOriginIsolated"):
            sys.exit("the page must be cross-origin isolated, or it gets one thread")
        first, *times = page.evaluate(DECODE, [threads, runs])
    finally:
        context.close()
    found = {
        "threads": threads,
        "median_ms": round(statistics.median(times)),
        "load_ms": round(first),
        "each_ms": [round(time) for time in times],
    }
    print(found, flush=True)
    return found


class _Site(BaseHTTPRequestHandler):
    """The built package, and some files in memory."""

    def __init__(self, files: dict[str, bytes], *arguments: Any) -> None:
        self.files = files
        super().__init__(*arguments)

    def do_GET(self) -> None:
        path = BUILT / self.path[1:]
        data = self.files.get(self.path)
        if data is None and BUILT in path.parents and path.is_file():
            data = path.read_bytes()
        self.send_response(404 if data is None else 200)
        kind = "text/html" if self.path == "/" else mimetypes.guess_type(path)[0]
        self.send_header("Content-Type", "text/javascript" if path.suffix == ".mjs" else kind or "application/data")
        self.send_header("Content-Length", str(len(data or b"")))
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        self.end_headers()
        self.wfile.write(data or b"")

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def site(files: dict[str, bytes]) -> Iterator[str]:
    """Serve the built package and some files, and give the address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Site, files))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()


if __name__ == "__main__":
    sys.exit(main())
