"""The settings of `make kodak`."""

from __future__ import annotations

import pytest

from benchmarks import kodak
from tacit import weights
from tacit.evaluation.codecs import CODECS


def test_every_anchor_has_qualities_that_it_takes_by_rising_rate() -> None:
    assert set(kodak.QUALITIES) - {*weights.SHIPPED, f"{weights.DEFAULT}+captions"} == set(CODECS) - {"jp2"}
    for name, codec in CODECS.items():
        if name in kodak.QUALITIES:
            qualities = [codec.check(quality) for quality in kodak.QUALITIES[name]]
            falls = name in ("svt-av1", "vvenc")
            assert qualities == sorted(qualities, reverse=falls)
            assert len(qualities) == (5 if name in kodak.SLOWEST else len(qualities)) >= 5


@pytest.mark.parametrize(("dataset", "quick"), [("kodak", False), ("clic", True), ("div2k", False)])
def test_the_arguments_name_codecs_with_their_qualities(dataset: str, quick: bool) -> None:
    found = kodak.arguments(dataset, quick=quick)
    codecs = found[found.index("--codecs") + 1].split(",")
    assert found[:4] == ["eval", dataset, "-o", f"results/{dataset}"]
    assert ("vvenc" in codecs) is not quick
    assert (f"{weights.DEFAULT}+captions" in codecs) is (dataset == "kodak")
    assert [text.partition("=")[0] for text in found[found.index("--log") - 1 :: -2] if "=" in text][::-1] == codecs
