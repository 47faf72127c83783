"""Measure what full attention and linear attention cost: `python -m benchmarks.attention`.

The benchmark measures the time and the peak memory of the text layers of tacit-s: an Injector at 1/8 of the image's
size, and an Extractor and an Injector at 1/16, with random weights, for one image in one piece, in fp32, on one thread.
Three series are measured: growing captions, growing images, and both growing together. Three methods are compared:

    full     the logits of all pixels and words are held in memory
    fused    full attention by torch's fused kernel, as tacit runs it: the logits exist in parts, one after the other
    linear   attention over 64 slots

Each method is measured for a forward pass and for a training step (forward and backward), each in a process of its own.
The time is processor time: the median of as many passes as take half a second, five at most. The memory is the peak of
the first pass above what the process held before. A size is left out if, judging by the two sizes before, it would take
more than --limit seconds (9 by default) or 6 GB; the result says so. Operations are the counted multiplications and
additions of matrix products.

How close linear attention is to the full attention whose weights it starts from is measured on every third Kodak image
(see benchmarks/kodak.py) with the captions in data/captions. --start measures only that.

The results are results/attention.json, the generated blocks of docs/attention.md, docs/attention-forward.svg and
docs/attention-training.svg. --write makes all but the first again from it.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import hashlib
import io
import itertools
import json
import math
import multiprocessing
import os
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.environment import describe_machine, find_data
from tacit import weights
from tacit.evaluation.cost import measure_cost
from tacit.evaluation.readable_json import dumps
from tacit.models.tacit_s import PIXELS8, TacitSAnalysis
from tacit.models.tacit_s_config import TacitSConfig
from tacit.text.tokens import TextTokens

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "results" / "attention.json"
PAGE = ROOT / "docs" / "attention.md"
COMMAND = "python -m benchmarks.attention"

SLOTS = TacitSConfig.linear_length
METHODS = {"full": 0, "fused": 0, "linear": SLOTS}
MODES = ("forward", "training")
SIDES = (320, 496, 1008, 2000, 4000)  # of square pictures, 0.1 to 16 megapixels
WORDS = tuple(2**i for i in range(5, 14, 2))
FIXED_SIDE, FIXED_WORDS = 704, 128  # half a megapixel; a detailed caption
GROWING = 512  # words a megapixel, where both grow
# Series -> its points, the sides and words.
SERIES: dict[str, list[tuple[int, int]]] = {
    "both": [(side, round(GROWING * side * side / 1e6)) for side in SIDES],
    "words": [(FIXED_SIDE, words) for words in WORDS],
    "pixels": [(side, FIXED_WORDS) for side in SIDES],
}
FITTED = 3  # of a series' sizes, the largest measured ones: exponents are of these
RUNS, SECONDS = 5, 0.5
MAX_SECONDS, MAX_MEMORY = 9.0, 6e9
SLOT_COUNTS = (16, 32, 64, 128)


def main() -> None:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--start", action="store_true", help="measure only how near linear is to full attention")
    parser.add_argument("--limit", type=float, default=MAX_SECONDS, metavar="SECONDS", help="of one pass")
    parser.add_argument("--write", action="store_true", help="measure nothing; write what is made of the results")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.write:
        result = json.loads(RESULT.read_text())
    else:
        begins = start()
        result = json.loads(RESULT.read_text()) if arguments.start else benchmark(arguments.limit)
        result["start"] = begins
        RESULT.write_text(dumps(result))
    for mode in MODES:
        picture(mode).write_text(plot(result, mode))
    PAGE.write_text(filled(PAGE.read_text(), result))
    print(f"{sum(os.times()[:4]):.0f} s of processor time", file=sys.stderr)


# -- cost -------------------------------------------------------------------------------------------------------------


def benchmark(limit: float) -> dict[str, Any]:
    """Measure all series, methods and modes; a size that would take longer than `limit` seconds is left out."""
    rows: list[dict[str, Any]] = []
    left_out: list[dict[str, Any]] = []
    for series, points in SERIES.items():
        # The methods take turns, so that whatever else the machine does falls on all of them alike.
        for side, words in points:
            for method, mode in itertools.product(METHODS, MODES):
                row = {"series": series, "method": method, "mode": mode, "pixels": side * side, "words": words}
                operations = {"operations": count(side, words, method)}
                if why := _too_much([r for r in rows if _same(r, row)], limit) or _left_out(left_out, row):
                    left_out.append(row | operations | {"because": why})
                    continue
                rows.append(row | _apart(measure, side, words, method, mode) | operations)
                print(json.dumps(rows[-1]), flush=True)
    return {
        "command": COMMAND,
        **describe_machine(),
        "slots": SLOTS,
        "fitted": FITTED,
        "limits": {"seconds": limit, "memory": MAX_MEMORY},
        "analysis": {name: _apart(analysis, name) for name in METHODS if name != "full"},
        "rows": rows,
        "left_out": left_out,
    }


def _same(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    return all(a[k] == b[k] for k in ("series", "method", "mode"))


def _left_out(before: Sequence[Mapping[str, Any]], row: Mapping[str, Any]) -> str | None:
    """Return why a smaller size was left out, since that reason then holds for this size, too."""
    return next((str(r["because"]) for r in before if _same(r, row)), None)


def _too_much(rows: Sequence[Mapping[str, Any]], seconds: float) -> str | None:
    """Return which limit the next size would exceed if cost grows as between the last two sizes; None for neither."""
    if len(rows) < 2:
        return None
    for name, limit in (("seconds", seconds), ("memory", MAX_MEMORY)):
        before, last = (max(row[name], 1e-9) for row in rows[-2:])
        if last * max(1.0, last / before) > limit:
            return name
    return None


def _apart(work: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """Run `work` in a forked process, which has torch loaded already, and return its result."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=lambda: sender.send(work(*arguments)))
    process.start()
    sender.close()
    try:
        return receiver.recv()  # type: ignore[no-any-return]
    except EOFError:
        raise SystemExit(f"{arguments}: the measuring process ended early, perhaps for want of memory") from None
    finally:
        process.join()


def measure(side: int, words: int, method: str, mode: str) -> dict[str, Any]:
    """Measure one pass: seconds of processor time, seconds by the clock, bytes of memory."""
    torch.manual_seed(0)
    layers, x8, x16, tokens = _inputs(side, words, method)

    def work() -> None:
        _pass(layers, x8, x16, tokens, mode)

    with _kernel(method):
        _pass(*_inputs(16 * 9, SLOTS + 1, method), mode)  # what torch loads and makes for its first pass
        processor = [time.process_time()]
        _, cost = measure_cost(work)
        processor.append(time.process_time())
        clock = [cost.seconds]
        while len(clock) < RUNS and processor[-1] - processor[0] < SECONDS:
            begun = time.perf_counter()
            work()
            clock.append(time.perf_counter() - begun)
            processor.append(time.process_time())
    seconds = np.diff(processor).tolist()
    if len(seconds) > 2:  # else there is nothing to leave out
        seconds, clock = seconds[1:], clock[1:]
    return {
        "seconds": round(statistics.median(seconds), 5),
        "clock": round(statistics.median(clock), 5),
        "runs": len(seconds),
        "memory": cost.memory,
    }


def analysis(method: str) -> dict[str, Any]:
    """Measure the whole analysis of tacit-s in seconds, to see the share of attention in it."""
    c = TacitSConfig()
    model = TacitSAnalysis(c.latent, c.analysis8, c.analysis16, c.text_width, c.heads, METHODS[method])
    x = torch.rand(1, 3, FIXED_SIDE, FIXED_SIDE)
    tokens = _inputs(16, FIXED_WORDS, method)[-1]
    seconds = []
    with torch.inference_mode():
        for _ in range(RUNS + 1):
            begun = time.process_time()
            model(x, tokens)
            seconds.append(time.process_time() - begun)
    return {"seconds": round(statistics.median(seconds[1:]), 5)}


@functools.lru_cache
def count(side: int, words: int, method: str) -> int:
    """Count the operations of a forward pass without computing it."""
    with FakeTensorMode(), torch.inference_mode():
        layers, x8, x16, tokens = _inputs(side, words, method)
        with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
            _forward(layers, x8, x16, tokens)
    return int(counter.get_total_flops())


def _inputs(side: int, words: int, method: str) -> tuple[TacitSAnalysis, Tensor, Tensor, TextTokens]:
    c = TacitSConfig()
    layers = TacitSAnalysis(c.latent, 0, 0, c.text_width, c.heads, METHODS[method])
    x8 = torch.randn(1, PIXELS8, side // 8, side // 8)
    x16 = torch.randn(1, c.latent, side // 16, side // 16)
    real = torch.ones(1, words, dtype=torch.bool)
    return layers, x8, x16, TextTokens(torch.randn(1, words, c.text_width), real, torch.ones(1, words))


def _pass(layers: TacitSAnalysis, x8: Tensor, x16: Tensor, tokens: TextTokens, mode: str) -> None:
    if mode == "forward":
        with torch.inference_mode():
            _forward(layers, x8, x16, tokens)
        return
    for t in (x8, x16, *layers.parameters()):
        t.requires_grad_(True).grad = None
    a, b = _forward(layers, x8, x16, tokens)
    (a.sum() + b.sum()).backward()


def _forward(layers: TacitSAnalysis, x8: Tensor, x16: Tensor, tokens: TextTokens) -> tuple[Tensor, Tensor]:
    return layers.inject8(x8, tokens), layers.inject16(x16, layers.extract16(x16, tokens))


@contextlib.contextmanager
def _kernel(method: str) -> Iterator[None]:
    with sdpa_kernel(SDPBackend.MATH) if method == "full" else contextlib.nullcontext():
        yield


# -- how near linear attention begins ---------------------------------------------------------------------------------


@torch.inference_mode()
def start() -> dict[str, Any]:
    """Compare the latents of tacit-s with linear attention to those with full attention, before any training.

    The differences are root mean squares over every third Kodak image: as a share of the latents, and as a share of
    what the caption changes in them.
    """
    from tacit.text.encoders import load_encoder

    coding = weights.load(weights.locate(weights.DEFAULT))
    c: Any = coding.config  # of tacit-s, which has more sizes than every architecture has
    full = coding.float_model.analysis
    if c.attention != "full":
        raise SystemExit(f"{weights.DEFAULT} has {c.attention} attention: nothing to compare")
    kinds = {}
    for slots in SLOT_COUNTS:
        linear = TacitSAnalysis(c.latent, c.analysis8, c.analysis16, c.text_width, c.heads, slots)
        linear.load_state_dict(full.state_dict(), strict=False)
        kinds[slots] = linear.eval()
    encoder = load_encoder(c.text_encoder)
    folder = find_data("kodak")
    rows = []
    for name, captions in _captions().items():
        away, all_of_it, text, words = dict.fromkeys(SLOT_COUNTS, 0.0), 0.0, 0.0, []
        for file, caption in list(captions.items())[::3]:
            pixels = torch.from_numpy(np.array(Image.open(folder / file).convert("RGB")))
            x = pixels.permute(2, 0, 1)[None].float() / 255
            tokens = TextTokens.of(encoder([caption]))
            words.append(int(tokens.mask.sum()))
            y = full(x, tokens)
            all_of_it += float(y.square().sum())
            text += float((y - full(x, TextTokens.empty(1, c.text_width))).square().sum())
            for slots, linear in kinds.items():
                away[slots] += float((linear(x, tokens) - y).square().sum())
        rows.append(
            {
                "captions": name,
                "words": round(statistics.median(words)),
                "caption_of_latents": math.sqrt(text / all_of_it),
                "of_latents": {str(k): math.sqrt(v / all_of_it) for k, v in away.items()},
                "of_caption": {str(k): math.sqrt(v / text) for k, v in away.items()},
            }
        )
        print(json.dumps(rows[-1]), flush=True)
    about = weights.describe(weights.locate(weights.DEFAULT))
    return {"weights_hash": about.decode_hash.hex(), "images": len(words), "rows": rows}


def _captions() -> dict[str, dict[str, str]]:
    """Return captions by kind and file; a long one joins the detailed captions of the image and of the next three."""
    kinds = {}
    for name in ("short", "detailed"):
        lines = (ROOT / "data" / "captions" / f"kodak-{name}.jsonl").read_text().splitlines()
        kinds[name] = {row["file"]: row["captions"][0] for row in map(json.loads, lines)}
    files, texts = list(kinds["detailed"]), list(kinds["detailed"].values())
    kinds["four detailed"] = {
        file: " ".join(texts[(i + j) % len(texts)] for j in range(4)) for i, file in enumerate(files)
    }
    return kinds


# -- what the documents show ------------------------------------------------------------------------------------------

MEASURES = {"operations": "operations", "seconds": "time", "memory": "memory"}
NAMES = {"both": "both growing together", "words": "words alone", "pixels": "pixels alone"}


def curve(result: Mapping[str, Any], series: str, method: str, mode: str, measure: str) -> list[tuple[float, float]]:
    """Return the sizes (words or pixels) and the values of a series."""
    rows = result["rows"] + (result["left_out"] if measure == "operations" else [])
    wanted = {"series": series, "method": method, "mode": mode}
    size = "words" if series == "words" else "pixels"
    return [(row[size], row[measure]) for row in rows if _same(row, wanted)]


def exponent(points: Sequence[tuple[float, float]], count: int) -> float | None:
    """Return the exponent of value over size, by least squares of the logarithms of the `count` largest sizes."""
    if len(points) < 2:
        return None
    sizes, values = np.log(np.array(points[-count:], dtype=float)).T
    return float(np.polyfit(sizes, values, 1)[0])


def crossing(ours: Sequence[tuple[float, float]], theirs: Sequence[tuple[float, float]]) -> float:
    """Return the size from which on the first series is the smaller one.

    It is interpolated in the logarithms between two sizes: 0 if the first is smaller at all sizes, infinity if at none.
    """
    sizes = sorted(dict(ours).keys() & dict(theirs).keys())
    ratios = [math.log(dict(ours)[size] / dict(theirs)[size]) for size in sizes]
    losing = [i for i, ratio in enumerate(ratios) if ratio >= 0]
    if not losing:
        return 0.0
    last = losing[-1]
    if last == len(sizes) - 1:
        return math.inf
    share = ratios[last] / (ratios[last] - ratios[last + 1])
    return math.exp(math.log(sizes[last]) + share * math.log(sizes[last + 1] / sizes[last]))


def growth(result: Mapping[str, Any]) -> str:
    """Write the block with the exponents of growth."""
    fitted = result["fitted"]
    lines = ["| growing | method | operations | time, forward | time, training | memory, forward | memory, training |"]
    lines.append("|---|---|---|---|---|---|---|")
    columns = [("operations", "forward"), *((measure, mode) for measure in ("seconds", "memory") for mode in MODES)]
    for series, name in NAMES.items():
        for method in METHODS:
            fits = [exponent(curve(result, series, method, mode, measure), fitted) for measure, mode in columns]
            cells = ["too large to measure" if fit is None else f"{fit:.2f}" for fit in fits]
            lines.append(f"| {name} | {method} | {' | '.join(cells)} |")
    steepest = exponent(curve(result, "both", "full", "forward", "operations"), 2)
    last = f"Between the two largest sizes the operations of full attention grow with the exponent {steepest:.2f}."
    return "\n".join(lines) + "\n" + _about(result) + last


def sizes(result: Mapping[str, Any]) -> str:
    """Write the block with the time and memory at every size."""
    lines = []
    for series in NAMES:
        lines += [
            f"| words | megapixels | {' | '.join(f'{mode}: {method}' for mode in MODES for method in METHODS)} |",
            f"|---|---|{'---|' * (len(MODES) * len(METHODS))}",
        ]
        found = {(r["words"], r["pixels"], r["mode"], r["method"]): r for r in result["rows"] if r["series"] == series}
        for words, pixels in dict.fromkeys((w, p) for w, p, _, _ in found):
            cells = [_cost(found.get((words, pixels, mode, method))) for mode in MODES for method in METHODS]
            lines.append(f"| {words:,} | {pixels / 1e6:.2g} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def _cost(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return "left out"
    seconds = row["seconds"]
    shown = f"{1000 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
    return f"{shown}, {row['memory'] / 1e6:.0f} MB"


def crossings(result: Mapping[str, Any]) -> str:
    """Write the block with the number of words from which on linear attention is faster."""
    lines = ["| linear is ahead of | time, forward | time, training | memory, forward | memory, training |"]
    lines.append("|---|---|---|---|---|")
    for other in ("full", "fused"):
        cells = []
        for measure, mode in itertools.product(("seconds", "memory"), MODES):
            ours, theirs = (curve(result, "words", method, mode, measure) for method in ("linear", other))
            words = crossing(ours, theirs)
            common = min(max(dict(ours)), max(dict(theirs)))
            if words == 0:
                cells.append("at all lengths")
            else:
                cells.append(f"not up to {common:,} words" if words == math.inf else f"from {words:,.0f} words on")
        lines.append(f"| {other} | {' | '.join(cells)} |")
    whole = {name: 1000 * value["seconds"] for name, value in result["analysis"].items()}
    lines += [
        "",
        (
            f"Measured at {FIXED_SIDE**2 / 1e6:.1f} megapixels. The whole analysis of such a picture with "
            f"{FIXED_WORDS} words takes {whole['fused']:.0f} ms with full attention\n(fused) and {whole['linear']:.0f} "
            "ms with linear attention."
        ),
    ]
    return "\n".join(lines) + "\n"


def nearness(result: Mapping[str, Any]) -> str:
    """Write the block that says how close linear attention starts to full attention."""
    found = result["start"]
    counts = list(found["rows"][0]["of_latents"])
    lines = [
        f"| captions | words | the caption changes | {' | '.join(f'k = {count}' for count in counts)} |",
        f"|---|---|---|{'---|' * len(counts)}",
    ]
    for row in found["rows"]:
        cells = [f"{100 * row['of_latents'][k]:.3f} % ({row['of_caption'][k]:.2f})" for k in counts]
        lines.append(
            f"| {row['captions']} | {row['words']} | {100 * row['caption_of_latents']:.3f} % | {' | '.join(cells)} |"
        )
    lines += ["", f"{found['images']} images of Kodak; weights {found['weights_hash']}; `{COMMAND} --start`."]
    return "\n".join(lines) + "\n"


def _about(result: Mapping[str, Any]) -> str:
    machine, limits, left = result["machine"], result["limits"], len(result["left_out"])
    return (
        f"\nOf the {result['fitted']} largest sizes measured (operations: of all sizes), k = {result['slots']}. "
        f"{left} of {left + len(result['rows'])} measurements were left out: they would have\ntaken more than "
        f"{limits['seconds']:g} s or {limits['memory'] / 1e9:g} GB. {machine['processor']}, one thread, torch "
        f"{machine['torch']};\n`{result['command']}`; [results/attention.json](../results/attention.json).\n"
    )


BLOCKS = {"growth": growth, "sizes": sizes, "crossings": crossings, "start": nearness}


def filled(page: str, result: Mapping[str, Any]) -> str:
    """Return the page with its generated blocks made again; they end with `<!-- end -->`."""

    def block(found: re.Match[str]) -> str:
        return f"{found[1]}\n{BLOCKS[found[2]](result).rstrip()}\n{found[3]}"

    return re.sub(r"(<!-- (\w+): made by benchmarks\.attention -->)\n.*?(<!-- end -->)", block, page, flags=re.DOTALL)


def picture(mode: str) -> Path:
    """Return the path of a plot."""
    return ROOT / "docs" / f"attention-{mode}.svg"


def digest(result: Mapping[str, Any], mode: str) -> str:
    """Return a hash of what a plot shows."""
    shown = [
        [r["series"], r["method"], r["pixels"], r["words"], r["seconds"], r["memory"]]
        for r in result["rows"]
        if r["mode"] == mode
    ]
    return hashlib.sha256(json.dumps(shown).encode()).hexdigest()[:32]


def plot(result: Mapping[str, Any], mode: str) -> str:
    """Draw time and memory over size, both logarithmic, with the exponents."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    from tacit.evaluation.plots import MARKERS, Plot, inline_svg

    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "tacit", "font.family": "sans-serif", "font.size": 9}):
        figure = Figure(figsize=(9.6, 6.2), layout="constrained")
        panels: Any = figure.subplots(2, len(NAMES), sharey="row")
        for line, (measure, unit) in enumerate((("seconds", 1.0), ("memory", 1e6))):
            for axes, (series, name) in zip(panels[line], NAMES.items(), strict=True):
                for colour, method in ((2, "full"), (1, "fused"), (0, "linear")):
                    points = curve(result, series, method, mode, measure)
                    fit = exponent(points, result["fitted"])
                    scale = 1.0 if series == "words" else 1e6
                    axes.plot(
                        [size / scale for size, _ in points],
                        [value / unit for _, value in points],
                        color=f"#0400{colour:02x}",
                        marker=MARKERS[colour],
                        markersize=4,
                        linewidth=2.2 if method == "linear" else 1.4,
                        label=f"{method}: {'' if fit is None else f'{fit:.2f}'}",
                    )
                axes.set_xscale("log")
                axes.set_yscale("log")
                axes.set_title(name, color="#010101", fontsize=10)
                axes.set_xlabel("words" if series == "words" else "megapixels", color="#020202")
                axes.grid(color="#030303", linewidth=0.8)
                axes.set_axisbelow(True)
                axes.tick_params(which="both", colors="#020202", length=0)
                for side in axes.spines.values():
                    side.set_visible(False)
                axes.legend(frameon=False, labelcolor="#010101", loc="upper left", title="exponents", fontsize=8)
                axes.get_legend().get_title().set(color="#020202", fontsize=8)
        for axes, name in zip(panels[:, 0], ("processor time (s)", "peak memory (MB)"), strict=True):
            axes.set_ylabel(name, color="#020202")
        stream = io.StringIO()
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    words = f"time and memory of attention in a {mode} pass, over words, pixels and both"
    return Plot(mode, True, inline_svg(stream.getvalue(), words), digest(result, mode)).file.rstrip() + "\n"


if __name__ == "__main__":
    main()
