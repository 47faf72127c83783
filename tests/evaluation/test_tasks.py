"""Planning: what each codec is given."""

from __future__ import annotations

from pathlib import Path

from support.faulty_codec import FaultyCodec
from tacit.evaluation.datasets import load_dataset
from tacit.evaluation.tasks import caption_for


def test_swapped_captions_are_those_of_another_image(photos: Path) -> None:
    dataset = load_dataset(str(photos))
    swapped = FaultyCodec(captions="swapped")
    assert [caption_for(swapped, dataset, i) for i in (0, 2)] == ["a dot", "a hill"]
    assert caption_for(FaultyCodec(captions="own"), dataset, 0) == "a hill"
    assert caption_for(FaultyCodec(), dataset, 0) is None
