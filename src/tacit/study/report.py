"""A study's report: `study.json`, `report.md`, and plots beside it. Markdown is made of the JSON's values alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from tacit import files
from tacit.evaluation.pretty import dumps
from tacit.study import plots

JSON = "study.json"
MARKDOWN = "report.md"

Values = Mapping[str, Any]


def write(result: Values, out: Path) -> None:
    """All of them into a folder. Without matplotlib there are no plots.

    Raises: PathError.
    """
    drawn = plots.draw(result)
    for name, svg in drawn.items():
        files.write(str(out / "plots" / name), svg.encode(), force=True)
    files.write(str(out / JSON), dumps(result).encode(), force=True)
    lines = ["# Study", "", *(f"![{name.removesuffix('.svg')}](plots/{name})" for name in drawn), ""]
    text = "\n".join(lines) + "\n" + markdown(result) + "\n" + "\n".join(provenance(result)) + "\n"
    files.write(str(out / MARKDOWN), text.encode(), force=True)


def markdown(result: Values, heading: str = "##") -> str:
    """Tables and what they mean, and what was left out. heading: how titles begin."""
    lines = _TABLES[result["study"]](result)
    if result["skipped"]:
        lines += [f"Left out: {', '.join(result['skipped'])}.", ""]
    return "\n".join(f"{heading}{line[1:]}" if line.startswith("# ") else line for line in lines)


def provenance(result: Values) -> list[str]:
    """How it was measured."""
    machine, libraries = result["machine"], result["libraries"]
    lines = ["## How it was measured", "", f"    {result['command']}", ""]
    lines += [f"- {result['protocol']}"]
    lines += [f"- {m['name']}: {m['protocol']}" for m in result["metrics"]]
    lines += [f"- left out: {text}" for text in result["skipped"].values()]
    if start := result.get("start"):
        lines.append(f"- all runs began with {start['file']}, sha256 {start['sha256']}")
    lines += [
        f"- {result['date']}, {result['seconds'] / 60:.1f} minutes, {machine['processor']}, {machine['cores']} cores, "
        + ", ".join(f"{name} {version}" for name, version in libraries.items())
    ]
    return lines


# -- ablations --------------------------------------------------------------------------------------------------------


def _ablation(result: Values) -> list[str]:
    lines: list[str] = []
    seeds = result["config"]["seeds"]
    baseline = result["config"]["variants"][0]["name"]
    for name, found in result["sets"].items():
        metrics = list(found["rate_percent"])
        lines += [f"# {name}: bits for equal quality, against {baseline}", ""]
        lines += [
            f"{found['images']} images, {len(seeds)} seeds. Per cent; negative is better. The mean over seeds of the "
            "difference of the mean curves (least to most); in brackets the 95 % interval over images of the paired "
            "differences.",
            "",
        ]
        rows = [
            [variant, *(_cell(found["rate_percent"][m][variant], found["over_images"][m][variant]) for m in metrics)]
            for variant in (v["name"] for v in result["config"]["variants"][1:])
        ]
        chance = [_spread([v for v in found["between_seeds"][m] if v is not None]) for m in metrics]
        rows.append([f"{baseline}, one seed against another", *chance])
        lines += _table(["", *metrics], rows)
        lines += [f"# {name}: points", "", "Means over images and seeds; ± half the range over seeds.", ""]
        lines += _table(
            ["", "quality", "bpp", *metrics, "encode (CPU s)"],
            [
                [
                    variant,
                    f"{point['quality']:g}",
                    _range(point["bpp"], 3),
                    *(_range(point["metrics"].get(m, []), _digits(m)) for m in metrics),
                    _range(point["encode_cpu_seconds"], 2),
                ]
                for variant, points in found["points"].items()
                for point in points
            ],
        )
    minutes: dict[str, list[float]] = {}
    for run in result["runs"]:
        minutes.setdefault(run["variant"], []).append(run["minutes"])
    trained = ", ".join(f"{variant} {fmean(of):.1f}" for variant, of in minutes.items())
    lines += [f"Training took, in minutes a run: {trained}.", ""]
    return lines


def _digits(metric: str) -> int:
    return 2 if metric in ("psnr", "psnr-y", "ssimulacra2", "fid") else 4


def _range(values: Sequence[float | None], digits: int) -> str:
    having = [v for v in values if v is not None]
    if not having:
        return ""
    return f"{fmean(having):.{digits}f} ± {(max(having) - min(having)) / 2:.{digits}f}"


def _spread(values: Sequence[float]) -> str:
    return f"{min(values):+.2f} to {max(values):+.2f}" if values else ""


def _cell(by_seed: Sequence[float | None], paired: Values) -> str:
    having = [v for v in by_seed if v is not None]
    text = f"{fmean(having):+.2f} ({_spread(having)})" if having else "no overlap"
    return f"{text} [{_interval(paired['t'])}]" if paired["t"] else text


# -- captions and steering --------------------------------------------------------------------------------------------


def _captions(result: Values) -> list[str]:
    lines = []
    for name, found in result["sets"].items():
        lines += [f"# {name}: bits for equal quality", ""]
        lines += [
            f"{found['images']} images. Per cent of bits that the image takes more when the encoder is told the first "
            "instead of the second; negative is better. Mean over images, 95 % intervals by t and by bootstrap.",
            "",
        ]
        rows = [
            [f"{c['told']} against {c['against']}", c["metric"], *_paired(c, "{:+.3f}")] for c in found["comparisons"]
        ]
        lines += _table(["told", "at equal", "mean", "by t", "by bootstrap", "images", "excludes zero"], rows)
    return lines


def _steering(result: Values) -> list[str]:
    lines = ["PSNR in dB at equal bytes; positive is better. 95 % intervals by t and by bootstrap.", ""]
    words = {
        "named": "the named part, against no caption",
        "rest": "the rest of the picture, against no caption",
        "contrast": "the named part more than the rest",
        "against_other": "the named part, against words for another part",
    }
    for title, gains in (
        ("Mosaics: the caption of one part", result["mosaics"]),
        *((f"Of them, {name}", gains) for name, gains in result["by_layout"].items()),
        ("Phrases and boxes in single photos", result["regions"]),
    ):
        if gains:
            unit = "images" if title.startswith("Phrases") else "mosaics"
            rows = [[words[key], *_paired(of, "{:+.3f}")] for key, of in gains.items()]
            lines += [f"# {title}", ""]
            lines += _table(["", "mean", "by t", "by bootstrap", unit, "excludes zero"], rows)
    if result["by_region"]:
        shown = [[r["image"], r["phrase"], *map(_gain, (r["named"], r["rest"]))] for r in result["by_region"]]
        lines += ["# Each phrase", "", *_table(["image", "phrase", "its box", "the rest"], shown)]
    return lines


def _gain(value: float | None) -> str:
    return "" if value is None else f"{value:+.2f}"


def _paired(found: Values, form: str) -> list[str]:
    mean = "" if found["mean"] is None else form.format(found["mean"])
    count = str(len(found["values"])) + (f" (without {len(found['left_out'])})" if found["left_out"] else "")
    return [mean, _interval(found["t"]), _interval(found["bootstrap"]), count, "yes" if found["sure"] else "no"]


def _interval(found: Sequence[float] | None) -> str:
    return "" if found is None else f"{found[0]:+.3f} to {found[1]:+.3f}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [heads, ["---"] * len(heads), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines] + [""]


_TABLES: Mapping[str, Callable[[Values], list[str]]] = {
    "ablation": _ablation,
    "captions": _captions,
    "steering": _steering,
}
