"""Write the generated parts of the documents: `python scripts/readme.py [--check] [--picture]`.

Generated blocks stand between `<!-- NAME: made by scripts/readme.py -->` and `<!-- end -->` in README.md and docs/*.md.
They hold output of the command line, which is run for them, and figures from results/. --check changes nothing: it
names the blocks that are not current and exits with status 1 if there are any; the figures in the command line's output
may differ, since they follow the weights. It also names what in the report of results/kodak, which `make kodak` writes,
does not belong to its results.json. --picture also makes docs/demo.webp,
docs/images/kept-face.webp and docs/images/map-*.webp again.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from click.testing import CliRunner

from tacit import cli, weights

if TYPE_CHECKING:
    from tacit.evaluation.results import Results
    from tacit.models.complexity import Complexity

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # benchmarks know how their results read
from scripts import sessions  # noqa: E402

RESULTS = ROOT / "results"
BLOCK = re.compile(r"<!-- (?P<name>[\w-]+): made by scripts/readme\.py -->\n(?P<body>.*?)<!-- end -->", re.DOTALL)
MISSING = "Not measured yet: `make results`.\n"
README_RATES = (0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0)  # bits per pixel
COMPARED_RATES = tuple(round(0.15 + 0.05 * i, 2) for i in range(18))  # 0.15 to 1.0
# The codecs whose values are shown at those rates, beside tacit's own; differences are shown for all.
TABULATED = ("jpeg", "webp", "avif", "avif-psnr", "jxl", "vvenc", "ELIC, published", "VTM, published")
CURVES = {"psnr": "PSNR (dB)", "ssimulacra2": "SSIMULACRA 2"}  # at those rates
LABELS = {  # of codecs and metrics of `tacit eval`
    "jpeg": "JPEG",
    "jpegli": "jpegli",
    "webp": "WebP",
    "avif": "AVIF",
    "avif-psnr": "AVIF tuned for PSNR",
    "avif-slow": "AVIF at speed 0",
    "avif-slow-psnr": "AVIF at speed 0 tuned for PSNR",
    "svt-av1": "SVT-AV1",
    "jxl": "JPEG XL",
    "jxl-slow": "JPEG XL at effort 9",
    "heic": "HEIC",
    "vvenc": "VVenC",
    "psnr": "PSNR",
    "ms-ssim": "MS-SSIM",
    "ssimulacra2": "SSIMULACRA 2",
    "butteraugli-3norm": "Butteraugli",
    "st-lpips": "ST-LPIPS",
}


def main() -> int:
    """Write the blocks, or check them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--picture", action="store_true")
    arguments = parser.parse_args()
    if arguments.check:
        stale = outdated()
        print("\n".join(f"{name} is not current: run scripts/readme.py" for name in stale) or "All blocks are current.")
        return 1 if stale else 0
    for path in documents():
        text = path.read_text()
        new = BLOCK.sub(lambda m: _block(m["name"]), text)
        if new != text:
            path.write_text(new)
            print(f"{path.relative_to(ROOT)} written")
    if arguments.picture:
        picture().save(ROOT / "docs" / "demo.webp", quality=88, method=6)
        kept().save(ROOT / "docs" / "images" / "kept-face.webp", quality=88, method=6)
        for name, drawn in maps():
            drawn.save(ROOT / "docs" / "images" / f"map-{name}.webp", quality=88, method=6)
    return 0


def documents() -> list[Path]:
    """Return all documents that may have blocks."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "fuzz" / "README.md"]


def outdated() -> list[str]:
    """Return FILE: BLOCK for each block that would be written otherwise now, and the files of outdated reports."""
    return outdated_reports() + [
        f"{path.name}: {match['name']}"
        for path in documents()
        for match in BLOCK.finditer(path.read_text())
        if _comparable(match["name"], match[0]) != _comparable(match["name"], _block(match["name"]))
    ]


def outdated_reports() -> list[str]:
    """Return the files in results/ that `tacit eval` would write otherwise from the results beside them."""
    from tacit.evaluation import report

    found = kodak_results()
    folder = RESULTS / "kodak"
    return [] if found is None else [f"results/kodak/{name}" for name in report.outdated_files(found, folder)]


def _comparable(name: str, block: str) -> str:
    """Return a block without the figures that follow the weights."""
    return re.sub(r"[0-9a-f]{16}|\d+(\.\d+)?", "0", block) if name in sessions.SESSIONS else block


def _block(name: str) -> str:
    text = re.sub(r"weights[^.;|\n]{0,20} ([0-9a-f]{16})", _dated, BLOCKS[name](), flags=re.IGNORECASE)
    return f"<!-- {name}: made by scripts/readme.py -->\n{text}<!-- end -->"


def _dated(match: re.Match[str]) -> str:
    """Return the naming of weights by their hash, with a word where they are not those of today."""
    now = {weights.describe(weights.locate(name)).decode_hash.hex() for name in weights.SHIPPED}
    return match[0] + ("" if match[1] in now else " (earlier ones than those of today)")


# -- the command line -------------------------------------------------------------------------------------------------


def reference() -> str:
    """Return the help of every command."""
    parts = [_help()]
    parts += [_help(name) for name in cli.group.COMMANDS]
    return "\n".join(parts)


def _help(*command: str) -> str:
    done = CliRunner().invoke(cli.command, [*command, "--help"], prog_name="tacit", terminal_width=100)
    title = " ".join(["tacit", *command])
    return f"## {title}\n\n```\n{done.output.rstrip()}\n```\n"


# -- figures ----------------------------------------------------------------------------------------------------------


def _results(name: str) -> dict[str, Any] | None:
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.is_file() else None


def kodak_results() -> Results | None:
    """Return the results of `make kodak`."""
    from tacit.evaluation.results_file import load

    path = RESULTS / "kodak" / "results.json"
    return load(path) if path.is_file() else None


def kodak() -> str:
    """Return PSNR and SSIMULACRA 2 at some rates, and the rate differences by every metric."""
    found = kodak_results()
    if found is None:
        return MISSING
    from tacit.evaluation.bjontegaard import quality_at
    from tacit.evaluation.report.formatting import rate_text

    own = weights.DEFAULT
    (dataset,) = found.datasets
    shown = [metric for metric in found.metrics if metric.name in CURVES]
    curves = {metric.name: found.curves_of(dataset.name, metric) for metric in found.metrics}
    published = {
        metric.name: {c.label: (c.rates, c.values) for c in found.published(dataset.name, metric)} for metric in shown
    }
    lines: list[str] = []
    for metric in shown:
        lines += [
            f"| {CURVES[metric.name]} at bits per pixel | {' | '.join(f'{rate:.2f}' for rate in README_RATES)} |",
            f"|---|{'---:|' * len(README_RATES)}",
        ]
        for name, curve in (curves[metric.name] | published[metric.name]).items():
            if name not in TABULATED and not found.is_own(name):
                continue
            cells = [quality_at(curve, rate) for rate in README_RATES]
            figures = ["" if math.isnan(cell) else f"{cell:.2f}" for cell in cells]
            lines.append(f"| {LABELS.get(name, name)} | {' | '.join(figures)} |")
        lines.append("")
    names = [*curves["psnr"], *published["psnr"]]
    models = [name for name in weights.SHIPPED if name in curves["psnr"]]
    for model in models:
        differences = {m.name: found.rate_differences[dataset.name][m.name][model] for m in found.metrics}
        lines += [
            f"| bits of {model} for equal | {' | '.join(LABELS.get(name, name) for name in differences)} |",
            f"|---|{'---:|' * len(differences)}",
        ]
        for name in names:
            if name != model:
                texts = [rate_text(of.get(name, "")) for of in differences.values()]
                lines.append(f"| against {LABELS.get(name, name)} | {' | '.join(texts)} |")
        lines.append("")
        lines += [*_behind(found, dataset.name, model), ""]
    psnr = curves["psnr"]
    gains = [quality_at(psnr[own], rate) - quality_at(psnr["jpeg"], rate) for rate in COMPARED_RATES]
    if min(gains) > 0:
        verdict = f"better than JPEG's everywhere between, by {min(gains):.2f} dB or more"
    else:
        verdict = "not better than JPEG's everywhere between"
    low, high = found.curves[dataset.name][own][0], found.curves[dataset.name][own][-1]
    run = [f"{LABELS.get(name, name)} {_setting(of)}" for name, of in found.codecs.items() if "options" in of]
    hashes = ", ".join(f"{name} {found.codecs[name]['weights']['all']['hash']}" for name in models)
    lines.append(
        f"From 0.15 to 1.0 bpp the PSNR of {own} is {verdict}. Quality {low.quality:g} to {high.quality:g} spans "
        f"{low.bpp:.2f} to {high.bpp:.2f} bpp here. {'; '.join(run)}. Weights: {hashes}; `make kodak`; all figures, "
        "plots and settings: [results/kodak](../results/kodak/report.md)."
    )
    return "\n".join(lines) + "\n"


# The codecs in the README: those beside which tacit's bytes stand, and those that need fewer by PSNR.
GLANCE = ("jpeg", "jpegli", "webp", "jxl-slow", "heic", "avif", "avif-psnr", "avif-slow", "avif-slow-psnr", "vvenc")
AHEAD = {
    "vvenc": "VVenC",
    "VTM, published": "VTM (H.266's reference encoder)",
    "ELIC, published": "ELIC, a learned codec",
    "EVC-S, published": "EVC-S, a smaller one",
}


def glance() -> str:
    """Return the README's table: tacit's bytes against other formats', times of decoding, what a caption does."""
    found = kodak_results()
    if found is None:
        return MISSING
    from tacit.evaluation.bjontegaard import Difference

    (dataset,) = found.datasets

    def saving(metric: str, name: str) -> str:
        rate = found.rate_differences[dataset.name][metric][own].get(name)
        return f"{rate.value:+.0f} %" if isinstance(rate, Difference) else ""

    def decoding(name: str) -> str:
        return f"{1000 * fmean(point.decode.cpu or math.nan for point in found.curves[dataset.name][name]):.0f} ms"

    own = weights.DEFAULT
    lines = [
        "| bytes of a tacit file beside | at equal looks (SSIMULACRA 2) | at equal PSNR | decoding |",
        "|---|---:|---:|---:|",
    ]
    for name in GLANCE:
        if name in found.curves[dataset.name]:
            cells = [saving("ssimulacra2", name), saving("psnr", name), decoding(name)]
            lines.append(f"| {_tuned(name, found.codecs[name])} | {' | '.join(cells)} |")
    lines.append(f"| tacit | | | {decoding(own)} |")
    return "\n".join(lines) + (
        f"\n\nMeans over Kodak's {len(found.images[dataset.name])} photographs, from real files at all useful rates; "
        f"decoding: processor time for 768x512 pixels.\n\n{_ahead(found, dataset.name)}{_refined_in_short()}"
        f"{_named_in_short(found, dataset.name)}"
        "[All results](docs/results.md).\n"
    )


def _tuned(name: str, settings: Mapping[str, Any]) -> str:
    """Return a codec's name with its encoder's speed, subsampling and tune, where these are among its settings."""
    if "tune" not in settings:
        return LABELS[name]
    options = settings["options"]
    parts = [f"AVIF at speed {options['speed']}" if "speed" in options else LABELS[name]]
    parts += [options["subsampling"]] if "subsampling" in options else []
    return ", ".join([*parts, f"tune {settings['tune']}"]).replace(", the default", " (its default)")


def _ahead(found: Results, dataset: str) -> str:
    """Return how much more than better codecs tacit needs at equal PSNR, and what a learned one of them costs."""
    from tacit.evaluation.bjontegaard import Difference

    (psnr,) = (metric for metric in found.metrics if metric.name == "psnr")
    costs = {curve.label: curve.cost for curve in found.published(dataset, psnr)}
    rates = found.rate_differences[dataset]["psnr"][weights.DEFAULT]
    ahead = []
    for name, label in AHEAD.items():
        rate, cost = rates.get(name), costs.get(name)
        if isinstance(rate, Difference) and rate.value > 0:
            more = f"{rate.value:.0f} % more than {label}"
            if cost:
                numbers = " to ".join(f"{value:.3g}" for value in cost.kmac)
                whose = "whose decoder" if "for decoding" in cost.source else "that"
                more += f" {whose} takes {numbers} thousand multiplications a pixel"
            ahead.append(more)
    if not ahead:
        return ""
    own = _cost(weights.DEFAULT)
    return (
        f"**What is better:** at equal PSNR tacit needs {_listed(ahead)} (tacit takes {own.all:.0f}, and "
        f"{own.decoding:.0f} to decode).\n\n"
    )


def _refined_in_short() -> str:
    """Return what the highest level of effort gains and takes."""
    result, found = _results("effort"), kodak_results()
    if found is None or result is None or result["against"] is None:
        return ""
    against = result["against"]
    speed = found.codecs["avif"]["options"]["speed"]
    seconds = next(row["seconds"] for row in result["levels"] if row["level"] == against["level"])
    cpu = seconds["CPU"]["processor_seconds_per_megapixel"]
    kind = result["instructions"][-1].replace("AVX512", "AVX-512")

    def smaller(name: str) -> str:
        with_it, without = (-against[of][name]["psnr"] for of in ("percent", "percent_of_level_0"))
        return f"{with_it:.0f} % smaller instead of {without:.0f}"

    return (
        f"**What patience gives:** with `--effort {against['level']}`, which takes {cpu:.0f} s of one core with"
        f" {kind} for a megapixel, files are at equal PSNR {smaller('avif')} beside AVIF's at speed {speed},"
        f" {smaller('avif-psnr')} with tune psnr; they decode as fast ([how that was measured](docs/effort.md)).\n\n"
    )


def _named_in_short(found: Results, dataset: str) -> str:
    """Return what a caption does for what it names, by the oracle study's first set, and what the whole image pays."""
    from tacit.evaluation.bjontegaard import Difference

    result = _results("study/oracle")
    if result is None:
        return ""
    costs = [
        f"{rate.value:.0f} %{more} at equal {label}"
        for metric, label, more in (("psnr", "PSNR", " more bytes"), ("ssimulacra2", "SSIMULACRA 2", ""))
        if isinstance(
            rate := found.rate_differences[dataset][metric][f"{weights.DEFAULT}+captions"].get(weights.DEFAULT),
            Difference,
        )
    ]
    name, study = next(iter(result["sets"].items()))
    pairs = {(p["test"], p["metric"]): p for p in study["comparisons"] if p["against"] == "no caption"}
    thing = pairs["phrase", "box psnr"]
    return (
        f"**What a caption does:** what a phrase names comes back {thing['gain']['mean']:.1f} dB better in as many "
        f"bytes, or as good in {-thing['rate_percent']['mean']:.0f} % fewer ({study['regions']} things in "
        f"{study['images']} photographs of {SETS.get(name, name)}); the rest pays for it: with a caption of the "
        f"whole, the whole image needs {' and '.join(costs)}. {_detected_in_short()}"
    )


def _detected_in_short() -> str:
    """Return how much of what phrases name a detector still finds in small files, by the survival study's last set."""
    result = _results("study/survive")
    if result is None:
        return ""
    name, study = list(result["sets"].items())[-1]
    (row,) = (row for row in study["survivals"] if row["measure"] == "thing detected" and row["rate"] is None)
    phrase, none, other = (f"{100 * row['means'][of]:.0f}" for of in ("phrase", "no caption", "another phrase"))
    pairs = {(difference["test"], difference["against"]): difference for difference in row["differences"]}
    low, high = pairs["phrase", "another phrase"]["bootstrap"]
    rates = result["config"]["rates"]
    return (
        f"In files of {min(rates):g} to {max(rates):g} bits per pixel a detector still finds {phrase} % of what "
        f"phrases name, without a caption {none} %, with words for something else {other} % (its difference from those "
        f"{100 * low:.0f} to {100 * high:.0f} points; {row['things']} things in {SETS.get(name, name)} photographs). "
    )


def _cost(model: str) -> Complexity:
    """Return what the networks of weights take, in thousand multiplications a pixel."""
    from tacit.models import complexity
    from tacit.weights.metadata import read_metadata

    about = read_metadata(weights.locate(model))
    return complexity.count(about["architecture"], about["config"])


def _behind(found: Results, dataset: str, model: str) -> list[str]:
    """Return in which codecs an image takes fewer bits at equal PSNR than by a model, and what they and it cost."""
    from tacit.evaluation.bjontegaard import Difference
    from tacit.evaluation.report.formatting import percent

    (psnr,) = (metric for metric in found.metrics if metric.name == "psnr")
    costs = {curve.label: curve.cost for curve in found.published(dataset, psnr)}
    rates = {
        name: rate.value
        for name, rate in found.rate_differences[dataset]["psnr"][model].items()
        if isinstance(rate, Difference) and rate.value > 0 and not found.is_own(name)
    }
    own = _cost(model)
    behind = []
    for name, rate in sorted(rates.items(), key=lambda item: -item[1]):
        published = costs.get(name)
        kmac = f", {' to '.join(f'{value:.3g}' for value in published.kmac)} kMAC/px" if published else ""
        behind.append(f"{LABELS.get(name, name)} ({percent(rate)}{kmac})")
    than = (
        f"needs more bits by PSNR than {', '.join(behind)}" if behind else "needs no more bits by PSNR than any of them"
    )
    cost = (
        f"It costs {own.encoding:.0f} kMAC/px (thousand multiplications a pixel) to encode and {own.decoding:.0f} to "
        f"decode, {own.all:.0f} in all, since both sides run the entropy networks' {own.entropy:.0f}."
    )
    return [f"{model} {than}. {cost}"]


def _setting(settings: Mapping[str, Any]) -> str:
    """Return a codec's settings as `optimize, progressive` or `speed 4, tune iq, the default`."""
    from tacit.evaluation.codecs.pillow import option_text

    minor = ("max_threads", "vvenc-params", "svtav1-params")
    options = {name: value for name, value in settings["options"].items() if name not in minor}
    options |= {
        name: {k: v for k, v in of.items() if ":" not in k} for name, of in options.items() if isinstance(of, dict)
    }
    text = option_text(options)
    more = [f"tune {settings['tune']}"] if "tune" in settings and "tune " not in text else []
    return ", ".join([text, *more, *([settings["pixels"]] if "pixels" in settings else [])])


def speed() -> str:
    """Return the table of times and memory, with a column for each kind of processor."""
    from benchmarks.speed import CORES, KINDS, MEASURES

    results = _results("speed")
    if results is None:
        return MISSING
    kinds = [kind for kind in KINDS if kind in ("avx2", "avx512-bf16") or kind in results]
    lines = [
        f"| | {' | '.join(KINDS[kind] for kind in kinds)} | limit |",
        f"|---|{'---|' * len(kinds)}---|",
    ]
    for name, (unit, limit, text) in MEASURES.items():
        found = [results.get(kind, {}).get("measures", {}).get(name) for kind in kinds]
        if any(value is not None for value in found):
            cells = [
                "not measured"
                if value is None
                else f"{_figure(value)} {unit}{', missed' if limit is not None and value > limit else ''}"
                for value in found
            ]
            lines.append(f"| {text} | {' | '.join(cells)} | {'' if limit is None else f'{limit:g} {unit}'} |")
    lines += [
        "",
        "Medians, 768x512 pixels unless said, quality 60. The limits are for AVX2; `missed` is said where one is.",
    ]
    for kind in kinds:
        if kind not in results:
            lines.append(f"{KINDS[kind]}: not measured with these weights.")
            continue
        result, machine = results[kind], results[kind]["machine"]
        torch = f", torch {machine['torch']} in {'bf16' if machine['bf16'] else 'fp32'}" if "torch" in machine else ""
        lines.append(
            f"{KINDS[kind]}: {machine['processor']}, {CORES} cores, ONNX Runtime {machine['onnxruntime']}{torch}, "
            f"load {result['load_average']}, weights {result['weights_hash']}, {result['image']},"
            f" `{result['command']}`."
        )
    return "\n".join(lines) + "\nAll figures: [results/speed.json](../results/speed.json).\n"


def page() -> str:
    """Return the sentence about the speed of the web page."""
    result = _results("page")
    if result is None:
        return MISSING
    machine, quality, size, first = (result[name] for name in ("machine", "quality", "size", "first"))
    return (
        f"From the quality's slider to the picture {quality['median_ms']} ms (median; the longest "
        f"{quality['longest_ms']} ms), of which the codec takes {quality['medians_ms']['encode']:.0f} ms; from the "
        f"size's slider {size['median_ms']} ms; from the choice of a photograph to its first picture "
        f"{first['median_ms']} ms. Measured in {result['browser'].split('.')[0]}, for a photograph of "
        f"{result['pixels'] / 1e6:.2g} megapixels, on {machine['cores']} cores ({machine['processor']}) that also run "
        f"the service; weights {result['weights']}; `{result['command']}`; [results/page.json](../results/page.json).\n"
    )


def web() -> str:
    """Return the paragraph about the service under load."""
    result = _results("web")
    if result is None:
        return MISSING
    lines = ["| clients | encodings a second | median | 95 % | 99 % | lost |", "|---|---|---|---|---|---|"]
    killed = result["workers_killed"]
    for row in (*result["clients"], killed):
        what = f"{row['clients']}, and {killed['restarts']} times a worker killed" if row is killed else row["clients"]
        times = " | ".join(f"{row[f'p{part}_ms']} ms" for part in (50, 95, 99))
        lines.append(f"| {what} | {_figure(row['per_second'])} | {times} | {row['lost']} |")
    first, *later = result["resident_megabytes"]
    rates = {(b["width"], b["height"], b["batch"]): b["per_second"] for b in result["batches"]}
    gains = [
        f"{100 * (rates[width, height, 4] / rates[width, height, 1] - 1):+.0f} % for {width}x{height}"
        for width, height, batch in rates
        if batch == 1
    ]
    machine, large = result["machine"], result["megapixel"]
    memory = ""
    if long := result.get("long_run"):
        memory = (
            f"While 4 clients ask for {long['seconds']:g} s, {long['requests']} requests, memory but for the results "
            f"that are kept changes by {long['slope']:+g} MB a minute (standard error {long['slope_error']:g}). "
        )
    lines += [
        "",
        (
            f"A JPEG of 768x512 to a `.tacit` file, each client asking again as soon as it is answered, for "
            f"{result['seconds']:g} s each. Server and workers hold {first} MB once warm, {later[-1]} MB after the "
            f"last client. {memory}Encoding four together changes the rate by {' and '.join(gains)}, on one thread. "
            f"A photograph of {large['width']}x{large['height']} is encoded and decoded in {large['first_ms']} ms when "
            f"it is first seen, and in {large['again_ms']} ms at another quality. {machine['processor']}, "
            f"{machine['cores']} cores, load average {result['load_average']:g} at the end, weights "
            f"{result['weights_hash']}; `{result['command']}`; [results/web.json](../results/web.json)."
        ),
    ]
    return "\n".join(lines) + "\n"


def freezing() -> str:
    """Return the sentence about what freezing costs."""
    result = _results("freezing")
    if result is None:
        return MISSING
    rows = result["rows"]
    costs = [row["cost_of_integers_percent"] for row in rows]
    skipping = [100 * (row["skipping_bytes"] / row["ideal_bytes"] - 1) for row in rows]
    losses = [row["ideal_psnr"] - row["skipping_psnr"] for row in rows]
    single = [row["cost_of_float32_percent"] for row in rows if "cost_of_float32_percent" in row]
    # results from before there was a choice of arithmetic have no such figures
    narrower = f"That they fit into float32 costs {min(single):+.2f} to {max(single):+.2f} % of it.\n" if single else ""
    return (
        f"On Kodak the integer networks' streams are {min(costs):.2f} to {max(costs):.2f} % larger than what the float "
        f"networks'\nprobabilities would ideally give. {narrower}"
        f"Leaving out values of narrow scale changes the bytes by {min(skipping):.1f} to {max(skipping):.1f} %, "
        f"for at\nmost {max(losses):.2f} dB "
        f"(qualities 0 to 100 of weights {result['weights_hash']}, `{result['command']}`,\n`results/freezing.json`).\n"
    )


def effort() -> str:
    """Return what each level of effort saves and takes."""
    result = _results("effort")
    if result is None:
        return MISSING

    devices = sorted(result["plain_seconds"])
    older = _results("effort-avx2") or {"levels": []}  # whose seconds are those of another kind of processor
    avx2 = {row["level"]: row["processor_seconds_per_megapixel"] for row in older["levels"]}
    measures = "bits at equal distortion | at equal PSNR | at equal SSIMULACRA 2"
    kind = ", ".join(result["instructions"]).replace("AVX512", "AVX-512")
    names = " | ".join(f"s/Mpx, {kind if one == 'CPU' else one}" for one in devices)
    lines = [f"| level | steps | {measures} | s/Mpx, AVX2 | {names} |"]
    lines.append("|---|---|---|---|---|---|" + "---|" * len(devices))
    for row in result["levels"]:
        savings = " | ".join(_saving(row[name], 1) for name in ("distortion", "psnr", "ssimulacra2"))
        seconds = " | ".join(_effort_seconds(row["seconds"].get(device)) for device in devices)
        old = f"{avx2[row['level']]:.3g}" if row["level"] in avx2 else ""
        lines.append(f"| {row['level']} | {row['steps']} | {savings} | {old} | {seconds} |")
    plain = ", ".join(f"{_effort_seconds(result['plain_seconds'][device])} on the {device}" for device in devices)
    text = "\n".join(lines) + "\n\n" + _effort_note(result) + f" Level 0 takes {plain}.\n"
    if result["against"] is not None:
        text += "\n" + _effort_against(result["against"])
    return text + (
        f"Weights {result['weights_hash']}, `{result['command']}`, `results/effort.json`, the rows that it is made of:"
        " `results/effort.jsonl`; seconds by AVX2: `results/effort-avx2.json`.\n"
    )


def _saving(of: Mapping[str, Any], digits: int) -> str:
    """Return a mean in per cent, with its interval where it has one."""
    if of["percent"] is None:
        return ""
    ends = "" if of["interval"] is None else " ({} to {})".format(*(f"{end:+.{digits}f}" for end in of["interval"]))
    return f"{of['percent']:+.{digits}f} %{ends}"


def _effort_seconds(found: Mapping[str, float] | None) -> str:
    """Return the seconds for a megapixel: of all threads of a CPU together, or by the clock."""
    if found is None:
        return ""
    return f"{found.get('processor_seconds_per_megapixel', found['seconds_per_megapixel']):.3g}"


def _effort_note(result: Mapping[str, Any]) -> str:
    """Return which files the table is made of."""
    levels = result["levels"]
    images, files = (" to ".join(map(str, sorted({row[of] for row in levels}))) for of in ("images", "files"))
    qualities = sorted({quality for row in levels for quality in row["qualities"]})
    devices = ", ".join(sorted({row["device"] for row in levels}))
    of_cpu = [f"{row['files_of_others']} at level {row['level']}" for row in levels if row["files_of_others"]]
    others = f"; {_listed(of_cpu)} by a CPU" if of_cpu else ""
    note = (
        f"{files} files a level ({images} images, qualities {_listed(qualities)}), made by {devices}{others}."
        "\nThe distortion is the model's own. In brackets: 95 % intervals of the mean over images. s/Mpx:"
        f" seconds for a megapixel,\nof which 768x512 is 0.39; of a CPU, of all threads together"
        f" ({', '.join(result['instructions'])} of {result['machine']['processor']}); of a GPU, by the clock, images"
        " of one shape together."
    )
    for row in result["levels"]:
        if row["level"] == 5 and "same_files" in row:
            both = ", ".join(
                f"{found['psnr']['percent']:+.1f} % on the {device}" for device, found in row["same_files"].items()
            )
            count = next(iter(row["same_files"].values()))["files"]
            note += f" The same {count} files at level 5, by PSNR: {both}."
    return note


def _effort_against(against: Mapping[str, Any]) -> str:
    """Return what a level saves against other codecs, beside what level 0 saves."""
    level, found = against["level"], kodak_results()
    settings = {} if found is None else found.codecs
    qualities = _listed(against["qualities"])
    lines = [
        f"Kodak at level {level} and at level 0, by the curves through qualities {qualities}, means of all images:\n",
        f"| against | PSNR, level {level} | level 0 | SSIMULACRA 2, level {level} | level 0 |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, percent in against["percent"].items():
        if name != weights.DEFAULT and not name.startswith(("tacit-s+", "tacit-s-")):
            plain = against["percent_of_level_0"][name]
            cells = [f"{of[metric]:+.1f} %" for metric in ("psnr", "ssimulacra2") for of in (percent, plain)]
            lines.append(f"| {_tuned(name, settings[name])} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n\n"


def _listed(values: Sequence[object]) -> str:
    """Return values as a list in a sentence."""
    *others, last = map(str, values)
    return ", ".join(others) + " and " * bool(others) + last


def keep() -> str:
    """Return whether promises were kept, and in how many bytes."""
    result = _results("keep")
    if result is None:
        return MISSING

    lines = ["| images | what is kept, by | with | promises | kept | broken elsewhere | bytes | small things |"]
    lines.append("|---|---|---|---:|---:|---:|---|---|")
    for case in result["cases"]:
        name, measure = SETS.get(case["set"], case["set"].title()), LABELS[case["measure"]]
        target = "a quality" if case["target"] == "quality" else f"{result['size']:.0%} of the bytes"
        broken = max(case["broken"].values())
        lines.append(
            f"| {name} | {case['place']}, {measure} | {target} | {case['files']} |"
            f" {case['outcomes']['kept']} | {broken} | {_saving(case['all'], 0)} | {_saving(case['small'], 0)} |"
        )
    return "\n".join(lines) + (
        f"\n\nPromised is what the box has in a file of quality {result['promised_quality']:g}; the rest has quality"
        f" {result['rest_quality']:g}, or what the size leaves. Bytes: against the smallest\nfile of one quality"
        " everywhere that keeps the same boxes, mean over images with 95 % intervals; small things take less\nthan a"
        " tenth of the image. Elsewhere: decoded by the other engine, in fp32 and in bf16. A sample of the study's"
        " things; weights"
        f" {result['weights_hash']},\n`{result['command']}`, [results/keep.json](../results/keep.json).\n"
    )


def training() -> str:
    """Return how fast the steps of a training run are on a GPU."""
    result = _results("training")
    if result is None:
        return MISSING
    graph, eager = (result[step]["megapixels_per_second"] for step in ("captured", "device"))
    batch, crop, count = result["batch"], result["crop"], len(result["captured"]["losses"])
    return (
        f"On one {result['on']} with torch {result['torch']}, the graph makes {graph:.0f} megapixels a second of"
        f" {batch} crops of {crop}x{crop} with the loss of\n`tacit-s-tuned`, and the same steps in eager mode"
        f" (`run.step=device`) {eager:.0f}. The losses of the first {count} steps of both differ"
        f" by\n{result['largest_difference']:.0e} at most, as parts of the loss (`{result['command']}`,"
        f" `results/training.json`).\n"
    )


def gpu() -> str:
    """Return what a GPU reads of a CPU's files, and how fast it is."""
    result = _results("gpu")
    if result is None:
        return MISSING
    checks, speed = result["checks"], result["speed"]
    batches = sorted((name for name in speed if name.startswith("batch ")), key=lambda name: int(name.split()[1]))
    lines = ["| images at once | " + " | ".join(name.removeprefix("batch ") for name in batches) + " |"]
    lines.append("|---|" + "---|" * len(batches))
    for label, names in (
        ("encode, Mpx/s", ("encode_batch", "encode")),
        ("decode, Mpx/s", ("decode_batch", "decode")),
        ("synthesis of latents on the GPU, Mpx/s", ("synthesise",)),
        ("latents alone, Mpx/s", ("read",)),
    ):
        values = [next((speed[batch][name] for name in names if name in speed[batch]), None) for batch in batches]
        lines.append(f"| {label} | " + " | ".join("" if value is None else f"{value:.0f}" for value in values) + " |")
    equal = "; ".join(
        f"{precision}: {found['latents_equal']} files, pixels at most {found['largest_difference_of_pixels']} levels"
        " apart"
        for precision, found in checks.items()
        if precision != "files"
    )
    return "\n".join(lines) + (
        f"\n\n768x512 pixels, quality 50. Files that a CPU made are read to the same integers ({equal})."
        f" {result['gpu']}, torch {result['machine']['torch']}, {result['machine']['cores']} cores\nbeside it, weights"
        f" {result['weights_hash']}, `{result['command']}`, [results/gpu.json](../results/gpu.json).\n"
    )


def refinement() -> str:
    """Return what schedules of refinement save."""
    result = _results("refinement")
    if result is None:
        return MISSING
    lines = ["| difference from level 5 | bits at equal distortion | at equal PSNR | at equal SSIMULACRA 2 |"]
    lines.append("|---|---|---|---|")
    for row in result["variants"]:
        savings = (row[name] for name in ("distortion", "psnr", "ssimulacra2"))
        cells = " | ".join("" if saving is None else f"{saving:+.1f} %" for saving in savings)
        lines.append(f"| {row['difference']} | {cells} |")
    side, images = result["side"], max(row["images"] for row in result["variants"])
    return "\n".join(lines) + (
        f"\n\nThe middle {side}x{side} pixels of {images} images of Kodak, quality {result['quality']}; weights"
        f" {result['weights_hash']}, `{result['command']}`,\n`results/refinement.json`.\n"
    )


def reading() -> str:
    """Return what reading shards costs; times by the clock are shown only where nothing else ran."""
    result = _results("reading")
    if result is None:
        return MISSING
    lines = ["| files | bytes per image | in the shard | PSNR |", "|---|---|---|---|"]
    for row in result["files"]:
        sizes = f"{row['bytes_per_image']:,.0f} | {row['shard_bytes_per_image']:,.0f}"
        lines.append(f"| {row['form']} | {sizes} | {row['psnr']:.2f} dB |")
    lines += ["", "| | workers | images/s | processor time per image |", "|---|---|---|---|"]
    for row in result["rows"]:
        undisturbed = row["load_average"] < row["workers"] + 2
        speed, time = _figure(row["images_per_second"]) if undisturbed else "", _figure(row["cpu_ms"])
        lines.append(f"| {row['what']}, {row['format']} | {row['workers']} | {speed} | {time} ms |")
    machine, loads = result["machine"], [row["load_average"] for row in result["rows"]]
    alone = {row["format"]: row["cpu_ms"] for row in result["rows"] if (row["what"], row["workers"]) == ("reading", 0)}
    ours, *theirs = (row["shard_bytes_per_image"] for row in result["files"])
    even = [(size - ours) / (alone["tacit"] - alone["jpeg"]) / 1000 for size in theirs]  # kB/ms = MB/s
    lines += [
        "",
        (
            f"So, on processors alone, a job reads `.tacit` faster only where each core gets less than {even[1]:.2g} "
            f"MB/s from disk or network, if the alternative is JPEG of quality 95; {even[0]:.2g} MB/s, if it is JPEG "
            "of equal PSNR."
        ),
        "",
        (
            f"Random crops of {result['crop']} pixels; {result['photographs']} pixels; {machine['processor']}, "
            f"{machine['cores']} cores, weights "
            f"{result['weights_hash']}. The load average was {min(loads):.0f} to {max(loads):.0f}; where images/s are "
            "empty, other programs had so much of the machine that they say nothing. JPEG's times are those of the "
            "smaller files. "
            f"`{result['command']}`; [results/reading.json](../results/reading.json)."
        ),
    ]
    return "\n".join(lines) + "\n"


def bulk() -> str:
    """Return the speed, memory and cost of bulk runs."""
    result = _results("bulk")
    if result is None:
        return MISSING
    from benchmarks.bulk import document

    return document(result)


def bulk_plan() -> str:
    """Return the plan for a billion images, from the figures of bulk runs."""
    result = _results("bulk")
    if result is None:
        return MISSING
    from benchmarks.bulk import plan

    return plan(result)


def shipped() -> str:
    """Return the training cards of the package's weights."""
    lines = []
    for name in weights.SHIPPED:
        about = weights.describe(weights.locate(name))
        rows = {
            "architecture": about.architecture,
            "bytes": f"{about.size:,}",
            "weights hash": about.decode_hash.hex(),
            "sha256": weights.SHIPPED[name],
            # the name is the one it was trained under; the distortion, for programs, is part of the loss
            **{key: value for key, value in about.card.items() if key not in ("name", "distortion")},
        }
        lines += [f"### {name}", "", "| | |", "|---|---|"]
        lines += [f"| {key.replace('_', ' ')} | {_cell(value)} |" for key, value in rows.items()]
    return "\n".join(lines) + "\n"


def _cell(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")


def _figure(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"


def finding() -> str:
    """Return the table of what the finder's cues are worth."""
    result = _results("finding")
    if result is None or "core" not in next(iter(result["results"].values())):
        return "Not measured yet: `python -m benchmarks.finding`.\n"
    sets = result["results"]
    names = sorted(next(iter(sets.values())), key="another phrase".__eq__)  # that last
    heads = ["cues", *(f"{name.replace('kodak', 'Kodak').replace('coco', 'COCO')}: share, found" for name in sets)]
    rows = [
        [
            name,
            *(
                f"{of[name]['share']:.2f}, {of[name]['phrases'] - of[name]['not found']} of {of[name]['phrases']}"
                for of in sets.values()
            ),
        ]
        for name in names
    ]
    return (
        f"{_table(heads, rows)}\nThe share is that of what a map of the box itself would move, over all phrases of a "
        "set; unseen photos were not looked at while the finder was built. `without` leaves one cue out of all. "
        f"{result['machine']['processor']}, `{result['command']}`; "
        "[results/finding.json](../results/finding.json).\n"
    )


def survives() -> str:
    """Return in a few words what the survival study says of each set; nothing before it has been run."""
    result = _results("study/survive")
    if result is None:
        return ""
    lines = []
    for name, of in result["sets"].items():
        parts = []
        for row in of["survivals"]:
            if row["rate"] is None and row["measure"] != "same class":
                pairs = {(d["test"], d["against"]): d for d in row["differences"]}
                means = {condition: f"{100 * mean:.0f}" for condition, mean in row["means"].items()}
                parts.append(
                    f"{_MEASURED[row['measure']]} {means['phrase']} %, without a caption {means['no caption']} % "
                    f"({_in_points(pairs['phrase', 'no caption'])} points), with a phrase for something else "
                    f"{means['another phrase']} % ({row['things']} things)"
                )
        lines.append(f"{SETS.get(name, name)}: {'; '.join(parts)}.")
    rates = ", ".join(f"{rate:g}" for rate in result["config"]["rates"])
    return (
        f"What a phrase names, in files of equal size ({rates} bits per pixel). {' '.join(lines)} Means over images, "
        f"with 95 % intervals of the difference; `{result['command']}`, "
        "[results/study/survive.json](../results/study/survive.json).\n"
    )


_MEASURED = {
    "text read": "text in it is read alike to",
    "thing detected": "a detector still finds",
    "among five": "a classifier's first five classes have the original's first one for",
}


def finder_captions() -> str:
    """Return the tables of what detailed captions and weighted words are worth to the finder."""
    result = _results("study/finder")
    if result is None:
        return "Not measured yet: `python -m benchmarks.finder_captions`.\n"
    sets = result["sets"]
    conditions = ["the phrases", "short caption", "detailed caption", "another's detailed caption"]
    heads = ["what the finder gets", *(f"{name}: share, things found" for name in sets), "with weights"]
    rows = [
        [
            condition,
            *(f"{of['shares'][condition]:.0%}, {of['things found'][condition]:.1f}" for of in sets.values()),
            ", ".join(f"{of['shares'][f'{condition}, weighted']:.0%}" for of in sets.values()),
        ]
        for condition in conditions
    ]
    differences = [
        [
            f"{row['test']} against {row['against']}",
            *(_in_points(of["differences"][number]) for of in sets.values()),
        ]
        for number, row in enumerate(next(iter(sets.values()))["differences"])
    ]
    counted = "; ".join(f"{name}: {of['boxes']} boxes in {of['images']} images" for name, of in sets.items())
    return (
        f"{_table(heads, rows)}\n{_table(['share, in percentage points', *sets], differences)}\n{counted}. The "
        "share is that of what maps of the boxes would move, a mean over images; in brackets the 95 % interval by "
        f"bootstrap over images. {result['machine']['processor']}; `{result['command']}`; "
        "[results/study/finder.json](../results/study/finder.json).\n"
    )


def _in_points(difference: dict[str, Any]) -> str:
    text = f"{100 * difference['mean']:+.1f}"
    if interval := difference["bootstrap"]:
        text += f" [{100 * interval[0]:+.1f} to {100 * interval[1]:+.1f}]"
    return text


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "".join("| " + " | ".join(row) + " |\n" for row in [heads, ["---"] * len(heads), *rows])


def study(name: str) -> str:
    """Return the tables of a study as its report has them, and how they were made.

    There is one part for each of the package's models that the study was run with; its results are NAME or NAME-MODEL.
    """
    found = [result for path in (name, *(f"{name}-{model}" for model in weights.SHIPPED)) if (result := _study(path))]
    return "\n".join(found) or f"Not measured yet: `tacit study {name}`.\n"


def _study(name: str) -> str:
    result = _results(f"study/{name}")
    if result is None:
        return ""
    from tacit.study.report import markdown

    machine = result["machine"]
    used = f" Weights {_model(result)}." if "weights" in result else ""
    if start := result.get("start"):
        used = f" All runs began with {start['file']}, sha256 {start['sha256'][:16]}."
    return (
        f"{markdown(result, '####')}\n{result['date']}, {machine['processor']}; `{result['command']}`; "
        f"[results/study/{name}.json](../results/study/{name}.json).{used}\n"
    )


SETS = {"coco_eval": "COCO"}


def named() -> str:
    """Return what a phrase gains for the thing that it names, on each set of the oracle study."""
    result = _results("study/oracle")
    if result is None:
        return "Not measured yet: `tacit study oracle`.\n"
    sentences = []
    for name, found in result["sets"].items():
        pairs = {(p["test"], p["metric"]): p for p in found["comparisons"] if p["against"] == "no caption"}

        def gain(test: str, metric: str = "box psnr", pairs: Mapping[tuple[str, str], Any] = pairs) -> str:
            return "{mean:+.2f} dB [{bootstrap[0]:+.2f} to {bootstrap[1]:+.2f}]".format(**pairs[test, metric]["gain"])

        saved = "{mean:+.0f} % [{bootstrap[0]:+.0f} to {bootstrap[1]:+.0f}]".format(
            **pairs["phrase", "box psnr"]["rate_percent"]
        )
        sentences.append(
            f"Over {found['regions']} named things in {found['images']} images of {SETS.get(name, name)}, a phrase "
            f"changes what it names by {gain('phrase')} in a file of as many bytes, or the file by {saved} where what "
            f"is named is to be as good. The whole image changes by {gain('phrase', 'image psnr')}. A phrase for "
            f"something else gives {gain('another phrase')}, and boxes that were drawn around it give {gain('boxes')}."
        )
        with_find = "phrase by embedded"
        if with_find in found["shares"]:
            sentences.append(f"With the extra `find` a phrase gives {gain(with_find)}.")
        seen, unseen = (_reached(found["by_region"], seen) for seen in (True, False))
        if seen and unseen:
            part = f"{seen['phrase']:.0%} in images that were looked at while the finder was built, and "
            part += f"{unseen['phrase']:.0%} in the others"
            if with_find in seen:
                part += f", with `find` {seen[with_find]:.0%} and {unseen[with_find]:.0%}"
            sentences.append(f"Of what the boxes gain, phrases reach {part}.")
    return (
        f"{' '.join(sentences)} Means over images of PSNR, with 95 % intervals; weights {_model(result)}, "
        f"`tacit study oracle`, [results/study/oracle.json](../results/study/oracle.json).\n"
    )


def _reached(regions: Sequence[Mapping[str, Any]], seen: bool) -> dict[str, float]:
    """Return the part of the boxes' gain that each kind of phrase reaches in images seen or not."""
    gains = [region["gains"] for region in regions if region["seen"] == seen]
    found = {}
    for condition in gains[0] if gains else ():
        pairs = [(of[condition], of["boxes"]) for of in gains if None not in (of[condition], of["boxes"])]
        found[condition] = sum(phrase for phrase, _ in pairs) / sum(boxes for _, boxes in pairs)
    return found


def _model(result: dict[str, Any]) -> str:
    of = result["weights"]["weights"]["all"]
    return f"{of['file'].removesuffix('.safetensors')} {of['hash']}"


def text_path() -> str:
    """Return why captions change so little inside the network."""
    result = _results("study/text")
    if result is None:
        return "Not measured yet: `python -m benchmarks.text_path`.\n"
    inside, parts, loss = result["gates"], result["gradients"]["parts"], result["loss"]["qualities"]
    own, other = (inside["latents"][key] for key in ("own_instead_of_none", "another_instead_of_own"))
    analysis = parts["other analysis"]
    lines = [
        "| what is added to the picture's features | at 1/8 | at 1/16 |",
        "|---|---:|---:|",
        *(
            f"| {title} | {inside[key]['inject8']:.2g} | {inside[key]['inject16']:.2g} |"
            for title, key in (
                ("gates (gamma), root mean square; 0 when training began", "gamma"),
                ("what is added, as a share of the features", "added"),
            )
        ),
        "",
        (
            f"A caption moves the latents by {own['steps']:.2g} steps of quantisation at quality 50 (root mean "
            f"square), and {100 * own['other_integers']:.2g} % of them round to another integer; another image's "
            f"caption instead of the own one changes {100 * other['other_integers']:.2g} %."
        ),
        "",
        (
            "| gradients of the training loss | parameters | each, against the other analysis | two batches agree "
            "| on what captions change |"
        ),
        "|---|---:|---:|---:|---:|",
        *(
            f"| {part} | {of['parameters']:,} | {of['each'] / analysis['each']:.2g} | {of['agreement']:+.3f} | "
            f"{of['agreement_swapped']:+.3f} |"
            for part, of in parts.items()
        ),
        "",
        (
            "Agreement is the mean cosine of the gradients of two batches; in the last column, of the differences that "
            f"swapping the captions makes. {result['gradients']['batches']} batches of four."
        ),
        "",
        (
            "| quality | bits | own caption against none: loss, bits | own against another's: loss, bits | a short "
            "caption is | a detailed one |"
        ),
        "|---|---:|---:|---:|---:|---:|",
    ]
    short, detailed = (result["words"][name] for name in ("short caption", "detailed caption"))
    for quality, of in loss.items():
        pairs = [
            f"{pair['loss_percent']['mean']:+.4f} % {_between(pair['loss_percent'], '.4f')}, "
            f"{pair['bits']['mean']:+.1f} {_between(pair['bits'], '.0f')}"
            for pair in (of["against_no_caption"]["short caption"], of["own_against_another"])
        ]
        shares = [f"{each['percent_of_bits'][quality]:.2g} % of the bits" for each in (short, detailed)]
        lines.append(f"| {quality} | {of['bits']:,.0f} | {' | '.join(pairs + shares)} |")
    side = result["loss"]["side"]
    lines += [
        "",
        (
            f"The middle {side}x{side} pixels of {result['images']} Kodak images, by the float model; in brackets 95 % "
            f"intervals over images. A short caption has {short['words']:.0f} words, which are {short['bits']:.0f} "
            f"bits at the frequencies of words in captions, a detailed one {detailed['words']:.0f} words and "
            f"{detailed['bits']:,.0f} bits. Weights {result['weights']['name']} {result['weights']['hash']}; "
            f"`{result['command']}`; [results/study/text.json](../results/study/text.json)."
        ),
    ]
    return "\n".join(lines) + "\n"


def _between(found: dict[str, Any], form: str) -> str:
    return "" if found["interval"] is None else "[{:+{f}} to {:+{f}}]".format(*found["interval"], f=form)


def claims() -> str:
    """Return what has been published about the method, and what was found here."""
    captions, small, linear = (_results(name) for name in ("study/captions", "study/small", "attention"))
    nothing = "not measured yet"
    lines = ["| published | here | measured by |", "|---|---|---|"]

    def row(claim: str, found: list[str], *sources: str) -> None:
        links = ", ".join(f"[{name}](../results/{name}.json)" for name in sources)
        lines.append(f"| {claim} | {'<br>'.join(found) or nothing} | {links if found else ''} |")

    row(
        "Captions raise perceptual quality at equal bytes and keep PSNR (TACO; with LPIPS and CLIP in the loss)",
        _told(captions, ("short caption", "no caption"), ("short caption", "another's short caption")),
        "study/captions",
    )
    row(
        "Richer captions raise PSNR and lower LPIPS",
        [*_told(captions, ("detailed caption", "short caption")), *_variant(small, "richer")],
        *(["study/captions"] if captions else []),
        *(["study/small"] if small else []),
    )
    row("Attention of linear cost is as good", _variant(small, "linear"), "study/small")
    row("... at lower cost", _cheaper(linear), "attention")
    row("Weighted words raise quality", _variant(small, "weighted"), "study/small")
    row("All three together raise quality", _variant(small, "all"), "study/small")
    row("FID is held", _skipped(small, "fid"), "study/small")
    return "\n".join(lines) + "\n"


def _told(result: dict[str, Any] | None, *pairs: tuple[str, str]) -> list[str]:
    """Compare two conditions of the caption study's first set, in every metric."""
    if result is None:
        return []
    name, found = next(iter(result["sets"].items()))
    return [
        f"{name}, {told} against {against}: bits "
        + "; ".join(
            f"{c['mean']:+.3f} % {_t(c)} at equal {c['metric']}"
            for c in found["comparisons"]
            if (c["told"], c["against"]) == (told, against) and c["mean"] is not None
        )
        for told, against in pairs
    ]


def _t(found: dict[str, Any]) -> str:
    return "" if found["t"] is None else "[{:+.3f} to {:+.3f}]".format(*found["t"])


def _variant(result: dict[str, Any] | None, variant: str) -> list[str]:
    """Compare a variant of the ablation with the baseline on each set, beside the difference of two seeds."""
    if result is None or all(variant not in of for s in result["sets"].values() for of in s["rate_percent"].values()):
        return []
    lines = []
    for name, found in result["sets"].items():
        cells = []
        for metric, of in found["rate_percent"].items():
            values = [v for v in of.get(variant, []) if v is not None]
            chance = [abs(v) for v in found["between_seeds"][metric] if v is not None]
            if values:
                beside = f" (seeds differ by {max(chance):.2f})" if chance else ""
                cells.append(f"{sum(values) / len(values):+.2f} %{beside} at equal {metric}")
        lines.append(f"{name}, after {result['config']['steps']} steps: bits {'; '.join(cells)}")
    return lines


def _cheaper(result: dict[str, Any] | None) -> list[str]:
    """Compare the times of the attention benchmark at the largest number of words that all methods share."""
    if result is None:
        return []
    times: dict[int, dict[str, float]] = {}
    for row in result["rows"]:
        if (row["series"], row["mode"]) == ("words", "forward"):
            times.setdefault(row["words"], {})[row["method"]] = row["seconds"]
    both = {words: of for words, of in times.items() if {"fused", "linear"} <= set(of)}
    return [
        f"{words:,} words: {1000 * of['fused']:.0f} ms with full attention, {1000 * of['linear']:.0f} ms with linear"
        for words, of in (min(both.items()), max(both.items()))
    ]


def _skipped(result: dict[str, Any] | None, metric: str) -> list[str]:
    if result is None:
        return []
    why = result["skipped"].get(metric)
    return [f"not measured: {why.split(':')[0]}"] if why else []


def weighing() -> str:
    """Return what `tacit weigh` prints by rule."""
    from tacit.words import weigh

    words = weigh("a golden retriever at the Eiffel Tower", names="rules")
    lines = [f"| {word.text} | {word.weight:.2f} | {word.reason} |" for word in words]
    return "\n".join(["| | weight | why |", "|---|---|---|", *lines]) + "\n"


def words() -> str:
    """Return the sentence about the package's table of words."""
    from tacit.words.table import SHIPPED, read_table

    table = read_table()
    pairs = sum(" " in term for term in table.entries)
    size, single = SHIPPED.stat().st_size, len(table.entries) - pairs
    return (
        f"The package's table ({size:,} bytes) has {single:,} words and {pairs:,} pairs of words, from\n"
        f"{table.captions:,} captions: {str(table.card['sources']).removeprefix('captions of ')}.\n"
    )


def names() -> str:
    """Return how good the package's pipeline of names is, by its card."""
    from tacit.words.recognizer import PACKAGE

    card = json.loads((PACKAGE / "meta.json").read_text())
    lines = ["| test set | sentences | precision | recall | F1 |", "|---|---|---|---|---|"]
    for name, found in card["performance"].items():
        values = " | ".join(f"{found[key]:.1f}" for key in "prf")
        lines.append(f"| {name} | {card['sentences'][name][2]:,} | {values} |")
    size = sum(path.stat().st_size for path in PACKAGE.rglob("*") if path.is_file())
    return "\n".join([*lines, "", f"{size:,} bytes; `{card['recipe']}`, {card['made_on']}."]) + "\n"


def fuzz() -> str:
    """Return how often each target of fuzzing was executed."""
    result = _results("fuzz")
    if result is None:
        return "Not run yet: `make fuzz`, and then `python -m fuzz.tally`.\n"
    lines = ["| target | executions | hours | inputs kept |", "|---|---|---|---|"]
    for name, row in result["targets"].items():
        hours = f"{row['seconds'] / 3600:.1f}"
        lines.append(f"| `{name}` | {row['executions']:,} | {hours} | {row['corpus']} |")
    versions = f"atheris {result['atheris']}, Python {result['python']}, Pillow {result['pillow']}"
    lines += ["", f"{versions}; `{result['command']}`; [results/fuzz.json](../results/fuzz.json)."]
    return "\n".join(lines) + "\n"


def memory() -> str:
    """Return whether the memory of one process is flat over many encodings and decodings."""
    result = _results("memory")
    if result is None:
        return "Not measured yet: `python -m benchmarks.memory`.\n"
    points = result["points"]
    settled = [point["bytes"] for point in points if point["images"] > result["count"] / 10]
    return (
        f"One process that encodes and decodes {result['count']:,} small images of several sizes, modes and qualities\n"
        f"holds {min(settled) / 1e6:.1f} to {max(settled) / 1e6:.1f} MB after the first tenth of them, and grows by "
        f"{result['growth']:+.0f} bytes an image from there on\n"
        f"(weights {result['weights_hash']}, `{result['command']}`, [results/memory.json](../results/memory.json)).\n"
    )


def progressive() -> str:
    """Return what beginnings of files give, and what a progressive file costs."""
    result = _results("progressive")
    if result is None:
        return "Not measured yet: `python -m benchmarks.progressive`.\n"
    more = 100 * (result["bytes"] / result["plain_bytes"] - 1)
    shares = " | ".join(f"{100 * point['share']:.0f} %" for point in result["points"])
    fidelities = " | ".join(f"{point['psnr']:.2f}" for point in result["points"])
    return (
        f"| bytes of the file | {shares} |\n|---|{'---|' * len(result['points'])}\n| PSNR in dB | {fidelities} |\n\n"
        f"These are means of {result['images']} images of Kodak at quality {result['quality']:g}. The files are "
        f"{more:+.3f} % larger than\nthose that are not progressive (weights {result['weights_hash']}, "
        f"`{result['command']}`,\n[results/progressive.json](../results/progressive.json)).\n"
    )


def browser() -> str:
    """Return how long decoding takes in a browser."""
    result = _results("browser")
    if result is None:
        return "Not measured yet: `python -m benchmarks.browser`.\n"
    machine = result["machine"]
    rows = "".join(
        f"| {row['threads']} | {row['median_ms'] / 1000:.2f} s | {row['load_ms'] / 1000:.2f} s |\n"
        for row in result["threads"]
    )
    return (
        f"| threads | a further image | the first image, with loading |\n|---|---|---|\n{rows}\n"
        f"These are medians for 768x512 pixels at quality {result['quality']:g} in {result['browser']}, on "
        f"{machine['processor']} with {machine['cores']} cores\nand {machine['instructions']} (weights "
        f"{result['weights_hash'][:16]}, `{result['command']}`,\n[results/browser.json](../results/browser.json)).\n"
    )


def thumbnails() -> str:
    """Return how near thumbnails are to the whole image shrunk, and what they cost."""
    result = _results("thumbnails")
    if result is None:
        return "Not measured yet: `python -m benchmarks.thumbnails`.\n"
    lines: list[str] = []
    for name, model in result["models"].items():
        for side in sorted({point["side"] for point in model["points"]}, reverse=True):
            points = sorted((p for p in model["points"] if p["side"] == side), key=lambda p: float(p["quality"]))
            if not lines:
                qualities = " | ".join(f"quality {point['quality']:g}" for point in points)
                lines += [f"| model | side | {qualities} | least | time |", f"|{'---|' * (len(points) + 4)}"]
            cells = [f"{point['psnr']:.1f} dB, {point['ssimulacra2']:.0f}" for point in points]
            least = f"{min(point['least_psnr'] for point in points):.1f} dB"
            shares = [100 * point["share"] for point in points if "share" in point]
            time = f"{min(shares):.0f} to {max(shares):.0f} %" if shares else "not measured"
            lines.append(f"| {' | '.join([name, str(side), *cells, least, time])} |")
    text = (
        f"PSNR and SSIMULACRA 2 against the whole image shrunk, means of {result['images']} images of Kodak (768x512), "
        "and the\nleast PSNR of one. The time is the processor's, as a part of the whole image's. "
    )
    if "large" in result:
        large = result["large"]
        text += (
            f"Of {large['pixels'] / 1e6:.0f} megapixels, a thumbnail\ntakes {large['thumbnail_mb']} MB of memory, "
            f"and the whole image {large['whole_mb']} MB. "
        )
    hashes = ", ".join(model["weights_hash"] for model in result["models"].values())
    source = f"Weights {hashes};\n`{result['command']}`, [results/thumbnails.json](../results/thumbnails.json)."
    return "\n".join(lines) + f"\n\n{text}{source}\n"


STUDIES = ("captions", "steering", "oracle", "survive", "sweep", "small")

BLOCKS: dict[str, Callable[[], str]] = {
    "browser": browser,
    "thumbnails": thumbnails,
    "progressive": progressive,
    "finding": finding,
    "finder-captions": finder_captions,
    "survives": survives,
    "fuzz": fuzz,
    "memory": memory,
    "reference": reference,
    "weighing": weighing,
    "words": words,
    "names": names,
    **{name: partial(sessions.transcript, name) for name in sessions.SESSIONS},
    "kodak": kodak,
    "glance": glance,
    "speed": speed,
    "page": page,
    "freezing": freezing,
    "effort": effort,
    "refinement": refinement,
    "keep": keep,
    "training": training,
    "gpu": gpu,
    "web": web,
    "bulk": bulk,
    "bulk-plan": bulk_plan,
    "reading": reading,
    "shipped": shipped,
    **{f"study-{name}": partial(study, name) for name in STUDIES},
    "named": named,
    "study-text": text_path,
    "study-claims": claims,
}


# -- the picture ------------------------------------------------------------------------------------------------------

SHOWN = (("chelsea", 12.0), ("astronaut", 25.0))  # photographs, and tacit's quality
WIDE, HIGH, GAP, LINE = 248, 186, 8, 40


def picture() -> Any:
    """Draw enlarged parts of images as four codecs keep them at equal bytes, one image per row."""
    from PIL import Image, ImageDraw, ImageFont

    from tacit.codec import Codec
    from tacit.demo.comparison import compare, tacit_files
    from tacit.demo.page import ASPECT
    from tacit.demo.samples import SAMPLES, sample_image

    codec = Codec()
    columns = 5
    size = (columns * (WIDE + GAP) - GAP, len(SHOWN) * (HIGH + LINE + GAP) - GAP)
    canvas = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(canvas)
    bold, plain = ImageFont.load_default(15), ImageFont.load_default(13)
    with tempfile.TemporaryDirectory() as folder:
        for line, (name, quality) in enumerate(SHOWN):
            sample = next(s for s in SAMPLES if s.name == name)
            image = sample_image(name)
            own = tacit_files(codec, sample, image, [quality], Path(folder))
            comparison = compare(sample, image, own, Path(folder))
            top = line * (HIGH + LINE + GAP)
            raw = f"{comparison.width * comparison.height * 3:,} bytes"
            parts = [("original", raw, f"{name}/original.png")]
            parts += [
                (f.codec, f"{f.size:,} bytes, {f.psnr:.1f} dB{' (its least)' if f.too_large else ''}", f.image)
                for f in comparison.rows[0].files
            ]
            for i, (title, words, file) in enumerate(parts):
                x, y, width = sample.detail
                part = Image.open(Path(folder) / file).convert("RGB")
                part = part.crop((x, y, x + width, y + round(width / ASPECT)))
                left = i * (WIDE + GAP)
                canvas.paste(part.resize((WIDE, HIGH), Image.Resampling.NEAREST), (left, top))
                draw.text((left + 2, top + HIGH + 2), title, fill="#b3481c" if title == "tacit" else "#222", font=bold)
                draw.text((left + 2, top + HIGH + 20), words, fill="#555", font=plain)
    return canvas


NAMED = ("astronaut", "the woman's face", 0.1, (140, 40, 300, 220))  # a photograph, a phrase, bits per pixel, a part


def kept() -> Any:
    """Draw a part of an image as it was, and from files of equal size without a caption and with one that names it."""
    from PIL import Image, ImageDraw, ImageFont

    from tacit.codec import Codec
    from tacit.demo.samples import SAMPLES, sample_image

    name, phrase, bpp, box = NAMED
    assert any(sample.name == name for sample in SAMPLES)
    image, codec = sample_image(name), Codec(finder="core")
    files = [codec.encode(image, bpp=bpp), codec.encode(image, phrase, bpp=bpp)]
    wide, high = 2 * (box[2] - box[0]), 2 * (box[3] - box[1])
    canvas = Image.new("RGB", (3 * (wide + GAP) - GAP, high + LINE), "white")
    draw = ImageDraw.Draw(canvas)
    bold, plain = ImageFont.load_default(15), ImageFont.load_default(13)
    shown = [("original", f"{image.width}x{image.height}", image)]
    titles = ("no caption", f"caption: {phrase}")
    shown += [(title, f"{len(data):,} bytes", codec.decode(data)) for title, data in zip(titles, files, strict=True)]
    for number, (title, words, picture_of) in enumerate(shown):
        left = number * (wide + GAP)
        part = picture_of.convert("RGB").crop(box)
        canvas.paste(part.resize((wide, high), Image.Resampling.BICUBIC), (left, 0))
        draw.text((left + 2, high + 2), title, fill="#b3481c" if number == 2 else "#222", font=bold)
        draw.text((left + 2, high + 20), words, fill="#555", font=plain)
    return canvas


MAPPED = (("suit", "astronaut", "the orange suit"), ("cup", "coffee", "a cup of coffee"))
MAP_QUALITY = 40


def maps() -> list[tuple[str, Any]]:
    """Draw where the bits of images go, without a caption and with it, as `tacit map` draws it."""
    from tacit.codec import Codec
    from tacit.demo.samples import sample_image
    from tacit.study.bit_allocation import bit_allocation, draw

    codec = Codec()
    return [(name, draw(bit_allocation(codec, sample_image(photo), text, MAP_QUALITY))) for name, photo, text in MAPPED]


if __name__ == "__main__":
    sys.exit(main())
