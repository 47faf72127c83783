"""Planning a run: one task for each image, codec and quality.

A task's key is a hash of all that its result depends on, so that a result in the journal is found again exactly where
nothing of that has changed.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tacit.evaluation.codecs.protocol import EvalCodec, Quality, quality_text
from tacit.evaluation.datasets import Dataset, DatasetImage
from tacit.evaluation.journal import JournalEntry
from tacit.evaluation.measurements import Failure, listed
from tacit.evaluation.metrics import Metric

FILES = "files"
"""The folder of the codecs' files, inside that of the results."""


@dataclass(frozen=True, kw_only=True)
class EvalTask:
    """One image to be measured with one codec at one quality."""

    key: str
    """The hash of all that the result depends on."""
    dataset: str
    """The data set's name."""
    image: DatasetImage
    """The image."""
    codec: EvalCodec
    """The codec."""
    quality: Quality
    """The codec's quality."""
    caption: str | None
    """The caption that the codec is given."""
    folder: Path
    """The folder of the results."""
    file: str
    """The path of the codec's file, relative to the folder."""
    metrics: Mapping[str, str]
    """The protocols of the metrics that are wanted, by the metrics' names."""
    threads: int = 1
    """How many threads the codec may use."""
    earlier: JournalEntry | None = None
    """An entry of an earlier run that lacks some of the metrics; its file is still there."""

    def __str__(self) -> str:
        return f"{self.image.name} {self.codec.name} {quality_text(self.quality)}"

    def remaining(self, earlier: JournalEntry | None) -> EvalTask | None:
        """Return the task with what an earlier run's entry leaves to be done, or None where nothing is left."""
        if earlier is None or not (self.folder / self.file).is_file():
            return self
        known: Mapping[str, str] = earlier["protocols"]
        if all(known.get(name) == protocol for name, protocol in self.metrics.items()):
            return None
        return replace(self, earlier=earlier)


def plan_tasks(
    datasets: Sequence[Dataset],
    codecs: Sequence[EvalCodec],
    metrics: Sequence[Metric],
    qualities: Mapping[str, Sequence[Quality]],
    out: Path,
) -> tuple[list[EvalTask], list[Failure]]:
    """Plan a run.

    Args:
        datasets: The images.
        codecs: The codecs.
        metrics: The metrics; those of whole sets play no part here.
        qualities: Each codec's qualities, by the codec's name.
        out: The folder of the results.

    Returns:
        The tasks, and what cannot be measured in any case: files that cannot be read, and images without a caption
        for codecs that need one.
    """
    tasks, failures = [], []
    image_metrics = [metric for metric in metrics if metric.level == "image"]
    settings = {codec.name: digest(codec.settings()) for codec in codecs}
    for dataset in datasets:
        failures += [
            Failure(dataset=dataset.name, image=name, reason=problem) for name, problem in dataset.problems.items()
        ]
        for codec in codecs:
            without = [i.name for i in dataset.images if codec.captions != "none" and i.caption is None]
            if without:
                every = len(without) == len(dataset.images)
                count = f"{len(without)} images have no caption ({listed(without, 5)})"
                reason = f"{'no image has a caption' if every else count}; they are left out for this codec"
                failures.append(Failure(dataset=dataset.name, codec=codec.name, reason=reason))
        for number, image in enumerate(dataset.images):
            # Where a metric compares with the caption, another caption means another value.
            protocols = {m.name: m.protocol + f", {image.caption}" * m.needs_caption for m in image_metrics}
            for codec in codecs:
                if codec.captions != "none" and image.caption is None:
                    continue
                caption = caption_for(codec, dataset, number)
                for quality in qualities[codec.name]:
                    text = quality_text(quality)
                    key = digest([image.name, image.sha256, codec.name, settings[codec.name], text, caption])
                    stem = re.sub(r"[^\w.-]+", "_", Path(image.name).stem)[:80]
                    task = EvalTask(
                        key=key,
                        dataset=dataset.name,
                        image=image,
                        codec=codec,
                        quality=quality,
                        caption=caption,
                        folder=out,
                        file=f"{FILES}/{codec.name}/{text}/{stem}-{key[:12]}.{codec.suffix}",
                        metrics=protocols,
                    )
                    tasks.append(task)
    return tasks, failures


def caption_for(codec: EvalCodec, dataset: Dataset, number: int) -> str | None:
    """Return the caption that a codec is given with an image.

    For a codec with swapped captions it is that of the next image whose caption differs, continuing at the beginning
    of the set; this shows what a wrong caption does.

    Args:
        codec: The codec.
        dataset: The image's data set.
        number: The image's index in the set.
    """
    own = dataset.images[number].caption
    if codec.captions != "swapped":
        return own if codec.captions == "own" else None
    others = [*dataset.images[number + 1 :], *dataset.images[:number]]
    return next((image.caption for image in others if image.caption not in (None, own)), own)


def digest(value: object) -> str:
    """Return a hash of a value that JSON can hold."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]
