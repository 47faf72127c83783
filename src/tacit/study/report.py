"""A study's report: `study.json`, `report.md`, and plots beside it.

The Markdown is made of the values in the JSON file alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from tacit import files
from tacit.evaluation.readable_json import dumps
from tacit.study import plots

JSON = "study.json"
MARKDOWN = "report.md"

LOSS = -0.15
"""The gain inside the box, in dB, below which a phrase is counted as one that loses."""

Values = Mapping[str, Any]


def write(result: Values, out: Path) -> None:
    """Write the JSON file, the report and the plots of a study into a folder; there are no plots without matplotlib.

    Raises:
        PathError: A file cannot be written.
    """
    svgs = plots.draw(result)
    for name, svg in svgs.items():
        files.write(str(out / "plots" / name), svg.encode(), force=True)
    files.write(str(out / JSON), dumps(result).encode(), force=True)
    lines = ["# Study", "", *(f"![{name.removesuffix('.svg')}](plots/{name})" for name in svgs), ""]
    text = "\n".join(lines) + "\n" + markdown(result) + "\n" + "\n".join(provenance(result)) + "\n"
    files.write(str(out / MARKDOWN), text.encode(), force=True)


def markdown(result: Values, heading: str = "##") -> str:
    """Return a study's tables with what they mean, and what was left out.

    Args:
        result: The values of the study's JSON file.
        heading: What titles begin with, such as "##".
    """
    lines = _TABLES[result["study"]](result)
    if result["skipped"]:
        lines += [f"Left out: {', '.join(result['skipped'])}.", ""]
    return "\n".join(f"{heading}{line[1:]}" if line.startswith("# ") else line for line in lines)


def provenance(result: Values) -> list[str]:
    """Return the lines of Markdown that say how a study was measured."""
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
    for name, set_values in result["sets"].items():
        by_seed = set_values["rate_percent"]
        metrics = list(by_seed)
        lines += [f"# {name}: bits for equal quality, against {baseline}", ""]
        explanation = (
            f"{set_values['images']} images, {len(seeds)} seeds. Differences in per cent; negative is better. Each is "
            "the mean over seeds of the difference between the mean curves, with the least and the most in "
            "parentheses; in brackets is the 95 % interval over images of the paired differences."
        )
        lines += [explanation, ""]
        rows = [
            [variant, *(_seeds_cell(by_seed[m][variant], set_values["over_images"][m][variant]) for m in metrics)]
            for variant in (v["name"] for v in result["config"]["variants"][1:])
        ]
        chance = [_spread([v for v in set_values["between_seeds"][m] if v is not None]) for m in metrics]
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
                for variant, points in set_values["points"].items()
                for point in points
            ],
        )
    minutes: dict[str, list[float]] = {}
    for run in result["runs"]:
        minutes.setdefault(run["variant"], []).append(run["minutes"])
    means = ", ".join(f"{variant} {fmean(runs):.1f}" for variant, runs in minutes.items())
    lines += [f"Minutes of training for each run: {means}.", ""]
    return lines


def _digits(metric: str) -> int:
    return 2 if metric in ("psnr", "psnr-y", "ssimulacra2", "fid") else 4


def _range(values: Sequence[float | None], digits: int) -> str:
    known = [v for v in values if v is not None]
    if not known:
        return ""
    return f"{fmean(known):.{digits}f} ± {(max(known) - min(known)) / 2:.{digits}f}"


def _spread(values: Sequence[float]) -> str:
    return f"{min(values):+.2f} to {max(values):+.2f}" if values else ""


def _seeds_cell(by_seed: Sequence[float | None], differences: Values) -> str:
    known = [v for v in by_seed if v is not None]
    text = f"{fmean(known):+.2f} ({_spread(known)})" if known else "no overlap"
    return f"{text} [{_interval(differences['t'])}]" if differences["t"] else text


# -- captions and steering --------------------------------------------------------------------------------------------


def _captions(result: Values) -> list[str]:
    lines = []
    for name, set_values in result["sets"].items():
        lines += [f"# {name}: bits for equal quality", ""]
        explanation = (
            f"{set_values['images']} images. By how many per cent the file grows when the encoder gets the first "
            "caption instead of the second; negative is better. Means over images, with 95 % intervals by t and by "
            "bootstrap."
        )
        lines += [explanation, ""]
        rows = [
            [f"{c['told']} against {c['against']}", c["metric"], *_difference_cells(c)]
            for c in set_values["comparisons"]
        ]
        lines += _table(["captions", "at equal", "mean", "by t", "by bootstrap", "images", "excludes zero"], rows)
    return lines


def _steering(result: Values) -> list[str]:
    explanation = "Differences of PSNR in dB at equal bytes; positive is better. 95 % intervals by t and by bootstrap."
    lines = [explanation, ""]
    words = {
        "named": "the named part, against no caption",
        "rest": "the rest of the image, against no caption",
        "contrast": "the named part more than the rest",
        "against_other": "the named part, against words for another part",
    }
    for title, gains in (
        ("Mosaics: the caption of one part", result["mosaics"]),
        *((f"Mosaics: {name} alone", gains) for name, gains in result["by_layout"].items()),
        ("Phrases and boxes in single images", result["regions"]),
    ):
        if gains:
            unit = "images" if title.startswith("Phrases") else "mosaics"
            rows = [[words[key], *_difference_cells(differences)] for key, differences in gains.items()]
            lines += [f"# {title}", ""]
            lines += _table(["", "mean", "by t", "by bootstrap", unit, "excludes zero"], rows)
    if result["by_region"]:
        rows = [[r["image"], r["phrase"], *map(_gain, (r["named"], r["rest"]))] for r in result["by_region"]]
        lines += ["# Each phrase", "", *_table(["image", "phrase", "its box", "the rest"], rows)]
    return lines


def _oracle(result: Values) -> list[str]:
    lines: list[str] = []
    words = "steps between what is named and what is not, 64-pixel cells"
    for name, set_values in result["sets"].items():
        lines += [f"# {name}: what is named, at equal bytes and at equal quality", ""]
        explanation = (
            f"{set_values['regions']} named things in {set_values['images']} images ({words}). The gain is that of "
            "quality at equal bytes of the whole file; the bytes are those of the whole file at equal quality, and "
            "negative is fewer. Means over images, in brackets 95 % intervals by bootstrap."
        )
        lines += [explanation, ""]
        rows = [
            [
                f"{c['test']} against {c['against']}",
                c["metric"],
                _bracketed(c["gain"], 2),
                _bracketed(c["rate_percent"], 1, " %"),
                str(len(c["gain"]["values"])),
            ]
            for c in set_values["comparisons"]
        ]
        lines += _table(["", "of", "gain", "bytes", "images"], rows)
        for test, share in set_values["shares"].items():
            if share["value"] is not None:
                interval = share["bootstrap"]
                brackets = f" [{interval[0]:.0%} to {interval[1]:.0%}]" if interval else ""
                worse = sum((r["gains"][test] or 0) < LOSS for r in set_values["by_region"])
                reached = (
                    f"{test}: {share['value']:.0%}{brackets} of the oracle's gain inside the box; {worse} of "
                    f"{set_values['regions']} lose more than {-LOSS:g} dB."
                )
                lines += [reached, ""]
    return lines


def _survival(result: Values) -> list[str]:
    lines: list[str] = []
    box = result["config"]["map"]["name"]
    for name, set_values in result["sets"].items():
        lines += [f"# {name}: what is still recognised, at equal bytes", ""]
        explanation = (
            f"{set_values['regions']} named things in {set_values['images']} images. Each measure is 0 to 100 %, a "
            "mean over images; differences are in percentage points, in brackets their 95 % intervals by bootstrap "
            "over images. Files of one rate have the same size, that of the whole file, as near as the encoder comes."
        )
        lines += [explanation, ""]
        rows = []
        for s in set_values["survivals"]:
            if s["rate"] is None and len(set_values["bytes"]) == 1:
                continue  # over all rates it is the same as at the one
            of = {(d["test"], d["against"]): d for d in s["differences"]}
            shown = [("phrase", "no caption"), ("phrase", "another phrase"), (box, "no caption")]
            rows.append(
                [
                    s["measure"],
                    "all" if s["rate"] is None else f"{s['rate']:g}",
                    f"{s['things']} in {len(s['differences'][0]['values'])}",
                    *(f"{100 * s['means'][c]:.0f}" for c in ("no caption", "another phrase", "phrase", box)),
                    *(_points_of(of[pair]) for pair in shown),
                ]
            )
        heads = ["measure", "bpp", "things, images", "no caption", "another phrase", "phrase", box]
        heads += ["phrase against none", "phrase against another", f"{box} against none"]
        lines += _table(heads, rows)
        sizes = [
            f"at {rate} bpp {', '.join(f'{size:,.0f} ({condition})' for condition, size in by_condition.items())}"
            for rate, by_condition in set_values["bytes"].items()
        ]
        lines += [f"Mean bytes of a file: {'; '.join(sizes)}.", ""] if sizes else []
        left = [f"{count} at {rate} bpp" for rate, count in set_values["unreached"].items() if count]
        lines += [f"Left out, because the lowest quality takes more: {', '.join(left)}.", ""] if left else []
    lines += [*(f"- {metric['name']}: {metric['protocol']}" for metric in result["metrics"]), ""]
    return lines


def _points_of(differences: Values) -> str:
    """Return a mean difference in percentage points, with its interval by bootstrap."""
    if differences["mean"] is None:
        return ""
    text = f"{100 * differences['mean']:+.1f}"
    if interval := differences["bootstrap"]:
        text += f" [{100 * interval[0]:+.1f} to {100 * interval[1]:+.1f}]"
    return text


def _bracketed(differences: Values, digits: int, unit: str = "") -> str:
    """Return a mean, with its interval by bootstrap in brackets and how many images have none."""
    if differences["mean"] is None:
        return ""
    text = f"{differences['mean']:+.{digits}f}{unit}"
    if interval := differences["bootstrap"]:
        text += f" [{interval[0]:+.{digits}f} to {interval[1]:+.{digits}f}]"
    return text + (f" (without {len(differences['left_out'])})" if differences["left_out"] else "")


def _gain(value: float | None) -> str:
    return "" if value is None else f"{value:+.2f}"


def _difference_cells(differences: Values) -> list[str]:
    mean = "" if differences["mean"] is None else f"{differences['mean']:+.3f}"
    left_out = f" (without {len(differences['left_out'])})" if differences["left_out"] else ""
    return [
        mean,
        _interval(differences["t"]),
        _interval(differences["bootstrap"]),
        f"{len(differences['values'])}{left_out}",
        "yes" if differences["sure"] else "no",
    ]


def _interval(interval: Sequence[float] | None) -> str:
    return "" if interval is None else f"{interval[0]:+.3f} to {interval[1]:+.3f}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [heads, ["---"] * len(heads), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines] + [""]


_TABLES: Mapping[str, Callable[[Values], list[str]]] = {
    "ablation": _ablation,
    "captions": _captions,
    "steering": _steering,
    "oracle": _oracle,
    "survival": _survival,
}
