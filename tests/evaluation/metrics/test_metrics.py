"""Metrics against closed forms, other libraries and published values."""

from __future__ import annotations

import io
import math
import shutil
import stat
import sys
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from PIL import Image

from support.paths import DATA, ROOT
from support.pretrained import inception_tensors, squeezenet
from tacit.errors import InvalidInput, MissingExtra, MissingWeights
from tacit.evaluation.metrics import METRICS, ImageMetric, SetMetric, load_metric
from tacit.evaluation.metrics.clip_score import centre_square
from tacit.evaluation.metrics.fid import frechet_distance
from tacit.evaluation.metrics.kid import kernel_distance
from tacit.evaluation.metrics.patch_distance import PatchFeatures, cut_patches
from tacit.pretrained.catalogue import BACKBONES, HEADS, INCEPTION, SQUEEZENET


def photo(height: int = 192, width: int = 208, seed: int = 0) -> np.ndarray:
    """Smooth structure, edges and a little noise: something that metrics of pictures are made for."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / 32.0
    waves = np.stack([np.sin(x + c) * np.cos(y * (1 + c / 3)) for c in range(3)], axis=-1)
    edges = ((x // 2 + y // 2) % 2)[..., None]
    return np.clip(110 + 60 * waves + 40 * edges + rng.normal(0, 4, waves.shape), 0, 255).astype(np.uint8)


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream))


IMAGE_METRICS = ("psnr", "psnr-y", "ssim", "ms-ssim", "ssimulacra2", "butteraugli", "butteraugli-3norm")


@pytest.fixture(autouse=True)
def _no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("TACIT_WEIGHTS", "TORCH_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / "none"))


def image_metric(name: str, **options: Any) -> ImageMetric:
    if name.startswith("butteraugli") and not shutil.which("butteraugli_main"):
        pytest.skip("libjxl-devtools is not installed")
    return cast(ImageMetric, load_metric(name, **options))


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
    assert set(IMAGE_METRICS) <= set(METRICS)


def test_psnr() -> None:
    image = photo()
    image[image > 250] = 250
    assert image_metric("psnr")(image, image + 5) == pytest.approx(20 * math.log10(255 / 5))
    assert image_metric("psnr-y")(image, image + 5) == pytest.approx(20 * math.log10(255 / 5))
    green = image + np.array([0, 3, 0], np.uint8)
    assert image_metric("psnr")(image, green) == pytest.approx(20 * math.log10(255 / 3) + 10 * math.log10(3))
    assert image_metric("psnr-y")(image, green) == pytest.approx(20 * math.log10(255 / (3 * 0.587)))
    assert image_metric("psnr")(image, image) == math.inf


def test_ssim_is_scikit_images() -> None:
    metrics = pytest.importorskip("skimage.metrics")
    image = photo()
    for decoded in (jpeg(image, 10), 255 - image):
        expected = metrics.structural_similarity(
            image, decoded, channel_axis=-1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
        assert image_metric("ssim")(image, decoded) == pytest.approx(expected, abs=1e-9)


def test_ms_ssim_is_the_product_of_its_scales() -> None:
    ndimage = pytest.importorskip("scipy.ndimage")
    image = photo()
    decoded = jpeg(image, 10)
    weights = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang, Simoncelli and Bovik, 2003
    values = []
    for channel in range(3):
        x, y = (array[..., channel].astype(float) for array in (image, decoded))
        product = 1.0
        for scale, weight in enumerate(weights):

            def mean(a: np.ndarray) -> np.ndarray:
                return ndimage.gaussian_filter(a, 1.5, radius=5)[5:-5, 5:-5]

            luminance = (2 * mean(x) * mean(y) + 6.5025) / (mean(x) ** 2 + mean(y) ** 2 + 6.5025)
            variances = mean(x * x) - mean(x) ** 2 + mean(y * y) - mean(y) ** 2
            contrast = (2 * (mean(x * y) - mean(x) * mean(y)) + 58.5225) / (variances + 58.5225)
            product *= (luminance * contrast if scale == 4 else contrast).mean() ** weight
            x, y = (a.reshape(len(a) // 2, 2, -1, 2).mean(axis=(1, 3)) if scale < 4 else a for a in (x, y))
        values.append(product)
    assert image_metric("ms-ssim")(image, decoded) == pytest.approx(np.mean(values), abs=1e-9)


@pytest.mark.parametrize(("height", "width"), [(192, 208), (163, 177), (161, 301)])
def test_both_are_those_of_pytorch_msssim(height: int, width: int) -> None:
    library = pytest.importorskip("pytorch_msssim")
    offsets = torch.arange(-5, 6, dtype=torch.float64)
    window = torch.softmax(-offsets.square() / 4.5, 0).expand(3, 1, 1, 11)  # the library's own is of float32
    image = photo(height, width)
    for decoded in (jpeg(image, 10), 255 - image):
        x, y = (torch.from_numpy(np.ascontiguousarray(a.transpose(2, 0, 1))).double()[None] for a in (decoded, image))
        for name, function in (("ssim", library.ssim), ("ms-ssim", library.ms_ssim)):
            expected = function(x, y, data_range=255, win=window).item()
            assert image_metric(name)(image, decoded) == pytest.approx(expected, abs=1e-12), name


def test_ssimulacra2_of_equal_and_of_opposite_images() -> None:
    metric = image_metric("ssimulacra2")
    image = photo()
    assert metric(image, image) == pytest.approx(100)
    assert metric(image, 255 - image) < 0


# What its author says libjpeg-turbo gives on average: quality, chroma subsampling (2: 4:2:0), score.
@pytest.mark.parametrize(("quality", "subsampling", "score"), [(20, 2, 30), (35, 2, 50), (70, 2, 70), (95, 0, 90)])
def test_ssimulacra2_of_jpeg_files_as_published(quality: int, subsampling: int, score: float) -> None:
    values = []
    for name in ("kodim01", "kodim08", "kodim23"):
        path = DATA / "kodak" / f"{name}.png"
        if not path.is_file():
            pytest.skip("Kodak is not here")
        image = Image.open(path).convert("RGB").crop((0, 0, 512, 512))
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=quality, subsampling=subsampling)
        values.append(image_metric("ssimulacra2")(np.asarray(image), np.asarray(Image.open(stream))))
    assert np.mean(values) == pytest.approx(score, abs=6)


def test_butteraugli_is_what_the_program_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "fake"
    program.write_text(
        f"#!{sys.executable}\n"
        "import sys\n"
        "a, b = (open(p, 'rb').read() for p in sys.argv[1:3])\n"
        "assert a.startswith(b'P6') and sys.argv[3:] == ['--intensity_target', '80']\n"
        "if a[-1] == 7: sys.exit('cannot do this one')\n"
        "print('some note', file=sys.stderr)\n"
        "print('%.4f\\n3-norm: %.4f' % (a != b and 2.5, a != b and 0.5))\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    largest = image_metric_by(program, "max")
    image = photo(16, 16)
    image[-1, -1, -1] = 9
    assert largest(image, 255 - image) == 2.5
    assert image_metric_by(program, "3")(image, 255 - image) == 0.5
    assert largest(image, image) == 0
    image[-1, -1, -1] = 7
    with pytest.raises(InvalidInput, match="butteraugli_main failed: cannot do this one"):
        largest(image, image)
    with pytest.raises(MissingExtra, match="libjxl-devtools"):
        load_metric("butteraugli", program="no-such-program")
    with pytest.raises(InvalidInput, match="norm must be max or 3, got '2'"):
        load_metric("butteraugli", norm="2")


def test_butteraugli_is_near_the_distance_that_jpeg_xl_aims_at() -> None:
    pytest.importorskip("pillow_jxl")
    largest, mean = image_metric("butteraugli"), image_metric("butteraugli-3norm")
    assert "80 nits" in largest.protocol
    image = photo(256, 256)
    for quality, distance in ((95, 0.55), (80, 1.9), (68, 2.98)):  # as libjxl maps one to the other
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, "JXL", quality=quality)
        decoded = np.asarray(Image.open(stream).convert("RGB"))
        found = largest(image, decoded)
        assert distance / 2 < found < 2 * distance
        assert mean(image, decoded) < 0.8 * found


def image_metric_by(program: Path, norm: str) -> ImageMetric:
    return cast(ImageMetric, load_metric("butteraugli", norm=norm, program=str(program)))


def test_the_page_of_metrics_is_complete() -> None:
    page = ROOT / "docs" / "metrics.md"
    if not page.is_file():
        pytest.skip("no documents here")
    text = page.read_text()
    for name in METRICS:
        assert f"`{name}`" in text, name
    for weights in (*BACKBONES.values(), *HEADS.values(), SQUEEZENET, INCEPTION):
        assert f"| `{weights.file}` | {weights.size:,} | `{weights.sha256}` | {weights.source} |" in text


def test_metrics_whose_weights_are_missing_say_which() -> None:
    for name, file in (
        ("lpips-alex", r"alexnet-owt-7be5be79\.pth \(244,408,911 bytes, sha256 7be5be79"),
        ("lpips-alex-taco", r"alexnet-owt-7be5be79\.pth"),
        ("lpips-vgg", r"vgg16-397923af\.pth \(553,433,881 bytes, sha256 397923af"),
        ("lpips-squeeze", r"squeezenet1_1-b8a52dc0\.pth \(4,958,839 bytes, sha256 b8a52dc0"),
        ("squeezenet-distance", r"squeezenet1_1_features_keras\.safetensors"),
        ("squeezenet-frechet", r"squeezenet1_1_features_keras\.safetensors"),
        ("squeezenet-kernel", r"squeezenet1_1_features_keras\.safetensors"),
        ("fid", r"pt_inception-2015-12-05-6726825d\.pth \(95,628,359 bytes, sha256 6726825d"),
        ("kid", r"pt_inception-2015-12-05-6726825d\.pth"),
    ):
        with pytest.raises(MissingWeights, match=file):
            load_metric(name)


def test_the_distance_by_squeezenet() -> None:
    metric = image_metric("squeezenet-distance", weights=squeezenet())
    assert (metric.name, metric.smallest) == ("squeezenet-distance", 17)
    assert "sha256 17ade4a842f9fd2c" in metric.protocol
    image = photo()
    values = [metric(image, jpeg(image, quality)) for quality in (5, 20, 50, 90)]
    assert values == sorted(values, reverse=True)
    assert metric(image, image) == 0
    with pytest.raises(InvalidInput, match="17 pixels a side"):
        metric(photo(16, 40), photo(16, 40))


def test_lpips_says_what_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(network: str, scale: str, **_: Any) -> Any:
        return lambda x, y: (x - y).abs().mean(dim=(1, 2, 3)) * (1 if scale == "taco" else 2)

    monkeypatch.setattr("tacit.pretrained.lpips.load_lpips", load)
    ours, theirs = image_metric("lpips-alex"), image_metric("lpips-alex-taco")
    assert (ours.name, theirs.name) == ("lpips-alex", "lpips-alex-taco")
    assert "[-1, 1]" in ours.protocol
    assert "[0, 1]" in theirs.protocol
    assert "alexnet-owt-7be5be79.pth (sha256 7be5be791159472b), lpips-v0.1-alex.pth (sha256 df73285e" in ours.protocol
    black = np.zeros((40, 40, 3), np.uint8)
    assert ours(black, black + 255) == pytest.approx(2)
    assert theirs(black, black + 51) == pytest.approx(0.2)


# -- sets --------------------------------------------------------------------------------------------------------------


def test_patches_are_those_of_hific() -> None:
    image = np.arange(7 * 9).reshape(7, 9, 1).repeat(3, axis=2)
    found = [(int(p[0, 0, 0]) // 9, int(p[0, 0, 0]) % 9) for p in cut_patches(image, 4)]
    assert found == [(0, 0), (0, 4), (2, 2)]  # and from (2, 2) no second one fits
    # Kodak: 2 x 3 patches of 256, and 1 x 2 of the shifted ones.
    assert len(list(cut_patches(np.zeros((512, 768, 3)), 256))) == 8
    assert len(list(cut_patches(np.zeros((256, 256, 3)), 256))) == 1


def test_frechets_distance_in_closed_form() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((400, 6)) @ rng.standard_normal((6, 6))
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-8)
    assert frechet_distance(x, x + np.arange(6)) == pytest.approx(55)
    # Of x and 3x: tr(C + 9C - 2 * 3C) = 4 tr C, and twice the mean.
    assert frechet_distance(x, 3 * x) == pytest.approx(4 * np.trace(np.cov(x.T)) + 4 * np.square(x.mean(0)).sum())
    linalg = pytest.importorskip("scipy.linalg")
    y = rng.standard_normal((300, 6)) @ rng.standard_normal((6, 6)) + 0.3
    c, d = np.cov(x.T), np.cov(y.T)
    expected = np.square(x.mean(0) - y.mean(0)).sum() + np.trace(c + d - 2 * linalg.sqrtm(c @ d).real)
    assert frechet_distance(x, y) == pytest.approx(expected)
    # With fewer patches than features the covariances are singular.
    assert frechet_distance(x[:4], x[:4]) == pytest.approx(0, abs=1e-8)


def test_the_kernel_distance_in_closed_form() -> None:
    x, y = np.array([[1.0, 0], [0, 2], [1, 1]]), np.array([[2.0, 1], [0, 0]])

    def k(a: np.ndarray, b: np.ndarray) -> float:
        return float((a @ b / 2 + 1) ** 3)

    within_x = sum(k(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j) / 6
    across = sum(k(a, b) for a in x for b in y) / 6
    assert kernel_distance(x, y) == pytest.approx(within_x + k(y[0], y[1]) - 2 * across)
    rng = np.random.default_rng(0)
    same = [kernel_distance(*rng.standard_normal((2, 50, 4))) for _ in range(40)]
    assert abs(np.mean(same)) < 0.05  # unbiased: some below 0
    assert min(same) < 0 < max(same)


@pytest.mark.parametrize("name", ["squeezenet-frechet", "squeezenet-kernel"])
def test_statistics_of_squeezenets_features(name: str) -> None:
    values = []
    for quality in (5, 30, 90):
        metric = cast(SetMetric, load_metric(name, weights=squeezenet(), patch=64))
        assert (metric.name, metric.level, metric.smallest) == (name, "set", 64)
        for seed in range(2):
            metric.update(photo(seed=seed), jpeg(photo(seed=seed), quality))
        values.append(metric.compute())
    assert values == sorted(values, reverse=True)
    fresh = cast(SetMetric, load_metric(name, weights=squeezenet(), patch=64))
    with pytest.raises(InvalidInput, match="needs two patches of 64 pixels or more, got 0"):
        fresh.compute()
    with pytest.raises(InvalidInput, match=f"{name} needs 64 pixels a side or more, got 99x63"):
        fresh.update(photo(63, 99), photo(63, 99))
    fresh.update(photo(64, 64), photo(64, 64))
    with pytest.raises(InvalidInput, match="got 1"):
        fresh.compute()
    with pytest.raises(InvalidInput, match="32 pixels a side or more, got 8"):
        load_metric(name, weights=squeezenet(), patch=8)


def test_features_are_computed_once() -> None:
    calls = []

    def network(x: torch.Tensor) -> torch.Tensor:
        calls.append(len(x))
        return x.mean(dim=(2, 3))

    embed = PatchFeatures(network)
    patches = np.stack([photo(64, 64), photo(64, 64, 1)])
    first = embed(patches)
    assert embed(patches.copy()) is first
    assert embed(255 - patches).sum() == pytest.approx(6 - first.sum(), rel=1e-4)
    assert calls == [2, 2]


def test_fid_of_equal_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tacit.pretrained.loading.load", lambda *_: inception_tensors())
    metric = cast(SetMetric, load_metric("fid", weights="made up"))
    assert (metric.name, metric.level, metric.smallest, metric.higher_is_better) == ("fid", "set", 256, False)
    assert "patches of 256" in metric.protocol
    assert "pt_inception-2015-12-05-6726825d.pth (sha256 6726825d0af5f729)" in metric.protocol
    metric.update(photo(256, 512), photo(256, 512))
    assert metric.compute() == pytest.approx(0, abs=1e-6)
    metric.update(photo(256, 256), 255 - photo(256, 256))
    assert metric.compute() > 1e-3


# -- CLIP, tiny and with random weights --------------------------------------------------------------------------------


def test_clip_score_is_the_cosine_of_transformers(whole_clip_folder: Path) -> None:
    transformers = pytest.importorskip("transformers")
    metric = image_metric("clip-score", model=whole_clip_folder)
    assert (metric.name, metric.needs_caption, metric.higher_is_better) == ("clip-score", True, True)
    model = transformers.CLIPModel.from_pretrained(whole_clip_folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(whole_clip_folder)
    image = photo(32, 32)
    mean, spread = np.array([0.48145466, 0.4578275, 0.40821073]), np.array([0.26862954, 0.26130258, 0.27577711])
    pixels = torch.from_numpy(((image / 255 - mean) / spread).transpose(2, 0, 1)).float()[None]
    values = []
    for caption in ("a dog", "two cats on a bench", "dog " * 30):
        tokens = tokenizer([caption], truncation=True, max_length=20, return_tensors="pt")
        with torch.no_grad():
            out = model(**tokens, pixel_values=pixels)
        expected = out.logits_per_image.item() / model.logit_scale.exp().item()
        values.append(metric(image, image, caption))
        assert values[-1] == pytest.approx(100 * max(expected, 0), abs=1e-4)
    assert len(set(values)) > 1
    with pytest.raises(InvalidInput, match="needs a caption"):
        metric(image, image)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (50, 80), (96, 47), (20, 31), (300, 224)])
def test_pictures_are_cut_for_clip_as_usual(height: int, width: int) -> None:
    image = photo(height, width)
    scale = 32 / min(height, width)
    size = (int(width * scale), 32) if width > height else (32, int(height * scale))
    resized = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
    top, left = (resized.shape[0] - 32) // 2, (resized.shape[1] - 32) // 2
    expected = resized[top : top + 32, left : left + 32].astype(int)
    assert np.abs(centre_square(image, 32) - expected).max() <= 1
    assert centre_square(photo(3, 5000), 32).shape == (32, 32, 3)
