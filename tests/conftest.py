"""What tests share: small models with random but seeded weights, frozen as real ones are, and the data folder.

The small models have non-zero weights on every path, so that each of them changes a file; the small tacit-s has a
cosine transform at its heart, so that what it decodes looks like what it was given.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from chat_server import KEY, Server
from tacit import weights
from tacit.codec import Codec
from tacit.models.frozen import freeze_entropy
from tacit.models.model import SmallConfig, SmallModel
from tacit.models.taco import TacoConfig, TacoModel
from tacit.text.tokens import TextTokens

TINY = SmallConfig(
    latent=48,
    groups=(16, 16, 16),
    analysis8=2,
    analysis16=1,
    synthesis16=1,
    synthesis8=2,
    hyper=8,
    hyper_width=16,
    features=16,
    context=12,
    hidden=(24, 16),
    knots=3,
)
TINY_TACO = TacoConfig(width=12, latent=12, groups=(4, 8), knots=3, text_encoder="embedded", text_width=256, heads=4)
TINY_TACO_FIXED = TacoConfig(width=12, latent=12, groups=(4, 8), text_encoder="embedded", text_width=256, heads=4)


def synthetic(width: int, height: int, seed: int = 0) -> np.ndarray:
    """A picture like a photograph in its statistics, the same everywhere: [height, width, 3] uint8.

    Waves whose amplitudes fall with their frequency, an edge, and a little noise.
    """
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    out = np.full((height, width, 3), 128.0)
    for octave in range(6):
        frequency = 2.0**octave / 256
        phase, angle = rng.uniform(0, 2 * np.pi, 2)
        wave = np.sin(2 * np.pi * frequency * (x * np.cos(angle) + y * np.sin(angle)) + phase)
        out += wave[..., None] * rng.uniform(20, 40, 3) / (octave + 1)
    out[(x + 2 * y) > 0.8 * (width + height)] -= 40
    out += rng.normal(0, 2, out.shape)
    return np.clip(np.rint(out), 0, 255).astype(np.uint8)


def samples(size: int = 128, count: int = 3) -> Tensor:
    """Pictures as the transforms take them: [count, 3, size, size]."""
    arrays = np.stack([synthetic(size, size, seed) for seed in range(count)])
    return torch.from_numpy(arrays).permute(0, 3, 1, 2).float() / 255


def _disturb(net: nn.Module, size: float) -> None:
    """Noise on every parameter that begins at zero, so that no path is shut."""
    for parameter in net.parameters():
        if not parameter.any():
            parameter.normal_(0, size)


def _cosines(latent: int) -> Tensor:
    """[latent, 768]: the lowest of a 16x16 cosine transform's patches for each colour, as 1x1 weights behind the
    unshuffles by 8 and by 2; the rows are orthonormal."""
    n = torch.arange(16)
    basis = torch.stack([torch.cos(math.pi * (n + 0.5) * k / 16) for k in range(16)])
    basis /= basis.norm(dim=1, keepdim=True)
    order = sorted(((i, j) for i in range(16) for j in range(16)), key=lambda ij: (sum(ij), ij))
    patches = torch.zeros(latent, 3, 16, 16)
    for channel in range(latent):
        i, j = order[channel // 3]
        patches[channel, channel % 3] = basis[i][:, None] * basis[j]
    return F.pixel_unshuffle(F.pixel_unshuffle(patches, 8), 2).flatten(1)


@torch.no_grad()
def tiny_model(config: SmallConfig = TINY, *, uneven: bool = False) -> SmallModel:
    """tacit-s in small.

    uneven: with predicted scales from wide, at the low frequencies, to so narrow that nothing is coded, and medians of
    z that are no whole numbers.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = SmallModel(config)
        _disturb(model.analysis, 0.003)
        for injector in (model.analysis.inject8, model.analysis.inject16):
            injector.gamma.normal_(0, 0.1)
        _disturb(model.synthesis, 0.003)
        transform = _cosines(config.latent)
        model.analysis.project.weight.copy_(transform[:, :, None, None])
        model.synthesis.project.weight.copy_(transform.T[:, :, None, None])
        gains = torch.linspace(math.log(0.5), math.log(10), config.knots)[:, None].expand(-1, config.latent)
        model.gain.log_gain.copy_(gains)
        model.inverse_gain.log_gain.copy_(-gains)
        model.hyper_analysis[-1].weight.mul_(20)
        model.context_scale.uniform_(0.1, 0.5)
        start = 0
        for group, channels in enumerate(config.groups if uneven else ()):
            scales = torch.linspace(3.5, -5, config.latent)[start : start + channels]
            for heads in (model.entropy.parameters_anchor, model.entropy.parameters_other):
                heads[group][-1].bias[:channels].add_(scales)
            start += channels
        if uneven:
            model.prior.quantiles[:, 0, 1].uniform_(-2, 2)
    return model.eval()


@torch.no_grad()
def tiny_taco(config: TacoConfig = TINY_TACO) -> TacoModel:
    """taco in small, with a variable rate or (no knots) a fixed one."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        model = TacoModel(config)
        _disturb(model, 0.1)
        for layer, factor in ((model.analysis.layers[-2], 60.0), (model.hyper_analysis[-1], 20.0)):
            layer.weight.mul_(factor)
        model.synthesis.layers[-1].bias.fill_(0.5)
        if model.gain is not None and model.inverse_gain is not None:
            gains = torch.linspace(math.log(0.5), math.log(4), config.knots)[:, None].expand(-1, config.latent)
            model.gain.log_gain.copy_(gains)
            model.inverse_gain.log_gain.copy_(-gains)
    return model.eval()


@torch.no_grad()
def write_weights(path: Path, model: SmallModel | TacoModel) -> Path:
    """Freeze over the synthetic pictures and save."""
    x = samples()
    quality = torch.linspace(0, 100, len(x))
    y = model.analysis(x, TextTokens.empty(len(x), model.config.text_width)).float()
    if model.gain is not None:
        y = y * model.gain(quality)
    weights.save(path, model, freeze_entropy(model, y, model.hyper_latents(y), quality), {"name": path.stem})
    return path


@pytest.fixture(scope="session")
def weights_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the small models' files are; `TACIT_WEIGHTS` may point to it."""
    return tmp_path_factory.mktemp("weights")


@pytest.fixture(scope="session")
def tiny_weights(weights_folder: Path) -> Path:
    """A weights file of the architecture tacit-s, with few channels."""
    return write_weights(weights_folder / "tiny.safetensors", tiny_model())


@pytest.fixture(scope="session")
def uneven_weights(weights_folder: Path) -> Path:
    """The same with all scales, the narrowest of which code nothing."""
    return write_weights(weights_folder / "uneven.safetensors", tiny_model(uneven=True))


@pytest.fixture(scope="session")
def tiny_taco_weights(weights_folder: Path) -> Path:
    """A weights file of the architecture taco, with few channels and a variable rate."""
    return write_weights(weights_folder / "tiny-taco.safetensors", tiny_taco())


@pytest.fixture(scope="session")
def tiny_taco_fixed_weights(weights_folder: Path) -> Path:
    """The same with one fixed rate."""
    return write_weights(weights_folder / "tiny-taco-fixed.safetensors", tiny_taco(TINY_TACO_FIXED))


@pytest.fixture(scope="session")
def codec(tiny_weights: Path) -> Codec:
    """A codec of the small tacit-s, in fp32."""
    return Codec(tiny_weights, precision="fp32")


@pytest.fixture(scope="session")
def uneven_codec(uneven_weights: Path) -> Codec:
    """A codec of the small tacit-s with all scales, in fp32."""
    return Codec(uneven_weights, precision="fp32")


@pytest.fixture(scope="session")
def taco_codec(tiny_taco_weights: Path) -> Codec:
    """A codec of the small taco with a variable rate, in fp32."""
    return Codec(tiny_taco_weights, precision="fp32")


@pytest.fixture(scope="session")
def taco_fixed_codec(tiny_taco_fixed_weights: Path) -> Codec:
    """A codec of the small taco with a fixed rate, in fp32."""
    return Codec(tiny_taco_fixed_weights, precision="fp32")


@pytest.fixture(scope="session")
def shipped_codec() -> Codec:
    """A codec of the weights in the package, in fp32."""
    return Codec(precision="fp32")


@pytest.fixture
def picture() -> Callable[..., Image.Image]:
    """Makes synthetic pictures: picture(width, height, mode="RGB", seed=0)."""

    def make(width: int, height: int, mode: str = "RGB", seed: int = 0) -> Image.Image:
        image = Image.fromarray(synthetic(width, height, seed))
        if mode in ("LA", "RGBA"):
            alpha = np.broadcast_to(np.linspace(0, 255, width).astype(np.uint8), (height, width))
            image = image.convert(mode)
            image.putalpha(Image.fromarray(np.ascontiguousarray(alpha)))
            return image
        return image.convert(mode)

    return make


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The shared test data: $TACIT_DATA, else shared/data beside the repository; skips where there is none."""
    given = os.environ.get("TACIT_DATA")
    path = Path(given) if given else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not path.is_dir():
        pytest.skip("no data folder (set TACIT_DATA)")
    return path


@pytest.fixture(scope="session")
def kodak(data_folder: Path) -> list[Path]:
    """The Kodak images, in order; skips where they are not there."""
    found = sorted((data_folder / "kodak").glob("*.png"))
    if not found:
        pytest.skip("no Kodak images in the data folder")
    return found


@pytest.fixture
def chat_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A chat endpoint on loopback, and an environment with a key for it and without a proxy."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server = Server()
    thread = threading.Thread(target=server.http.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.http.shutdown()
    thread.join()
    server.http.server_close()
