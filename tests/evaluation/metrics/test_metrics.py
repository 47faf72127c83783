"""What all metrics have in common."""

from __future__ import annotations

import numpy as np
import pytest

from support.metrics import image_metric, jpeg, photo
from support.paths import ROOT
from tacit.errors import InvalidInput, MissingWeights
from tacit.evaluation.metrics import METRICS, load_metric
from tacit.pretrained.catalogue import BACKBONES, HEADS, INCEPTION, SQUEEZENET, ST_LPIPS

MISSING = {
    "lpips-alex": r"alexnet-owt-7be5be79\.pth \(244,408,911 bytes, sha256 7be5be79",
    "lpips-alex-taco": r"alexnet-owt-7be5be79\.pth",
    "lpips-vgg": r"vgg16-397923af\.pth \(553,433,881 bytes, sha256 397923af",
    "lpips-squeeze": r"squeezenet1_1-b8a52dc0\.pth \(4,958,839 bytes, sha256 b8a52dc0",
    "squeezenet-distance": r"squeezenet1_1_features_keras\.safetensors",
    "squeezenet-frechet": r"squeezenet1_1_features_keras\.safetensors",
    "squeezenet-kernel": r"squeezenet1_1_features_keras\.safetensors",
    "fid": r"pt_inception-2015-12-05-6726825d\.pth \(95,628,359 bytes, sha256 6726825d",
    "kid": r"pt_inception-2015-12-05-6726825d\.pth",
}
"""The metrics that need a network's weights, and the file that they ask for."""

IMAGE_METRICS = [name for name in METRICS if name not in {*MISSING, "clip-score"}]


@pytest.mark.parametrize("name", IMAGE_METRICS)
def test_better_files_measure_better(name: str) -> None:
    metric = image_metric(name)
    assert metric.name == name
    assert metric.level == "image"
    assert metric.protocol
    image = photo()
    values = [metric(image, jpeg(image, quality)) for quality in (5, 20, 50, 90)]
    assert values == sorted(values, reverse=not metric.higher_is_better)
    assert len(set(values)) == 4
    perfect = metric(image, image)
    assert perfect > values[-1] if metric.higher_is_better else perfect < values[-1]


@pytest.mark.parametrize("name", IMAGE_METRICS)
def test_images_that_a_metric_cannot_take(name: str) -> None:
    metric = image_metric(name)
    n = metric.smallest
    metric(photo(n, n), photo(n, n, 1))
    if n > 1:
        with pytest.raises(InvalidInput, match=f"{name} needs {n} pixels a side or more, got {n + 5}x{n - 1}"):
            metric(photo(n - 1, n + 5), photo(n - 1, n + 5))
    with pytest.raises(InvalidInput, match=r"two images \[H, W, 3\]"):
        metric(photo(), photo()[:-1])
    with pytest.raises(InvalidInput, match=r"two images \[H, W, 3\]"):
        metric(photo()[..., 0], photo()[..., 0])
    with pytest.raises(InvalidInput, match="needs uint8 images"):
        metric(photo(), photo().astype(np.float32))


def test_a_metric_by_a_wrong_name_or_option() -> None:
    with pytest.raises(InvalidInput, match=r"metric must be one of psnr, psnr-y, .*, got 'psnrr'"):
        load_metric("psnrr")
    with pytest.raises(InvalidInput, match="psnr: got an unexpected keyword argument 'network'"):
        load_metric("psnr", network="alex")


def test_the_page_of_metrics_is_complete() -> None:
    page = ROOT / "docs" / "metrics.md"
    if not page.is_file():
        pytest.skip("no documents here")
    text = page.read_text()
    for name in METRICS:
        assert f"`{name}`" in text, name
    for weights in (*BACKBONES.values(), *HEADS.values(), ST_LPIPS, SQUEEZENET, INCEPTION):
        assert f"| `{weights.file}` | {weights.size:,} | `{weights.sha256}` | {weights.source} |" in text


@pytest.mark.parametrize("name", MISSING)
def test_metrics_whose_weights_are_missing_say_which(name: str) -> None:
    with pytest.raises(MissingWeights, match=MISSING[name]):
        load_metric(name)
