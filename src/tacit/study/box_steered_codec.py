"""A model of tacit that is told by a box, and not by words, what has to be better."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tacit.evaluation.codecs.protocol import Pixels, Quality
from tacit.evaluation.codecs.tacit import TacitCodec
from tacit.evaluation.cost import Cost, measure_cost
from tacit.study.box_maps import box_map
from tacit.study.config import BoxMapConfig
from tacit.study.named_regions import Box


@dataclass(frozen=True, kw_only=True)
class BoxSteeredCodec(TacitCodec):
    """A model of tacit that steers by a box, which it is given in the place of a caption (`box_text`)."""

    form: BoxMapConfig
    """How a box becomes a quality map."""

    @staticmethod
    def of(model: TacitCodec, form: BoxMapConfig) -> BoxSteeredCodec:
        """Return the same model, steering by boxes."""
        fields = {field.name: getattr(model, field.name) for field in dataclasses.fields(model)}
        return BoxSteeredCodec(**{**fields, "name": f"{model.name}+{form.name}", "captions": "own"}, form=form)

    def settings(self) -> Mapping[str, Any]:
        """Return what the files of the model depend on, and the form of the maps."""
        return {**super().settings(), "boxes": dataclasses.asdict(self.form)}

    def encode(self, pixels: Pixels, caption: str | None, quality: Quality, target: Path, threads: int) -> Cost:
        """Encode an image [H, W, 3] into a file, with more quality inside the box that stands in the caption."""
        codec = self.codec(quality, threads)
        height, width = pixels.shape[:2]
        offsets = box_map(_box(caption or ""), width, height, self.form)
        number = None if isinstance(quality, str) else quality

        def work() -> None:
            target.write_bytes(codec.encode(pixels, quality=number, quality_map=offsets))

        return measure_cost(work)[1]


def box_text(box: Box) -> str:
    """Return a box as the text that a `BoxSteeredCodec` takes in the place of a caption."""
    return json.dumps(box)


def _box(text: str) -> Box:
    left, top, right, bottom = json.loads(text)
    return left, top, right, bottom
