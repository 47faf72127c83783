"""Curves and differences of results."""

from __future__ import annotations

import dataclasses

import pytest

from support.evaluations import two_codec_results
from tacit.evaluation.cost import Cost
from tacit.evaluation.measurements import Measurements
from tacit.evaluation.report.markdown import markdown


def test_differences_are_bjontegaards_and_refusals_say_why() -> None:
    found = two_codec_results()
    rate, quality = found.differences["Kodak"]["psnr"]["tacit-s"]
    assert not isinstance(quality, str)
    assert quality.value == pytest.approx(2.0, abs=0.02)
    assert not isinstance(rate, str)
    assert rate.value == pytest.approx(100 * (2 ** (-2 / 3) - 1), abs=1)  # 3 dB for twice the bytes
    few = dataclasses.replace(
        found, measurements=Measurements(tuple(r for r in found.measurements.rows if r.quality in (0, 10)), (), ())
    )
    rate, _ = few.differences["Kodak"]["psnr"]["tacit-s"]
    assert isinstance(rate, str)
    assert "three" in rate
    assert "none: " in markdown(few)


def test_every_two_codecs_are_compared_and_curves_from_papers_with_them() -> None:
    found = two_codec_results()
    pairs = found.rate_differences["Kodak"]["psnr"]
    published = [curve.label for curve in found.published("Kodak", found.metrics[0])]
    assert {"ELIC, published", "VTM, published", "Cool-Chic 5.0, published"} < set(published)
    assert list(pairs["tacit-s"]) == ["jpeg", *published]
    assert list(found.differences["Kodak"]["psnr"]) == ["tacit-s", *published]
    one, other = pairs["tacit-s"]["jpeg"], pairs["jpeg"]["tacit-s"]
    assert not isinstance(one, str)
    assert not isinstance(other, str)
    assert (1 + one.value / 100) * (1 + other.value / 100) == pytest.approx(1)
    assert pairs["tacit-s"]["jpeg"] == found.differences["Kodak"]["psnr"]["tacit-s"][0]
    assert list(two_codec_results(name="CLIC").rate_differences["CLIC"]["psnr"]["tacit-s"]) == ["jpeg"]
    three = dataclasses.replace(
        found,
        codecs={**found.codecs, "webp": {}},
        measurements=Measurements(
            found.measurements.rows
            + tuple(dataclasses.replace(row, codec="webp") for row in found.measurements.rows if row.codec == "jpeg"),
            (),
            (),
        ),
    )
    text = markdown(three)
    assert "| bits for equal psnr | against jpeg | against tacit-s | against webp | against VTM, published |" in text
    assert "| tacit-s | -3" in text
    assert "| webp | +0.0 % | +" in text
    assert text.count("CVPR 2022") == 1


def test_times_are_those_of_the_clock_and_of_the_processors() -> None:
    found = two_codec_results()
    (point, *_) = found.curves["Kodak"]["jpeg"]
    assert [point.encode.seconds, point.decode.seconds] == pytest.approx([0.1, 0.2])
    assert [point.encode.memory, point.decode.memory] == [1000, None]
    busy = dataclasses.replace(
        found,
        measurements=Measurements(
            tuple(dataclasses.replace(row, encode=Cost(0.1, 10**6, 0.05)) for row in found.measurements.rows), (), ()
        ),
    )
    heads = "| codec | encode (ms) | decode (ms) | encode (CPU ms) | decode (CPU ms) | encode (MB) | decode (MB) |"
    text = markdown(busy)
    assert heads in text
    assert "| jpeg | 100 | 200 | 50 |  | 1 |  |" in text
