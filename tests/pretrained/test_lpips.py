"""LPIPS against other implementations and published values."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch
from torch import nn

from support.metrics import photo
from support.pretrained import CHANNELS, image_pair, noise_pair, random_features, random_heads, squeezenet
from tacit.errors import CorruptWeights, InvalidInput, MissingWeights
from tacit.pretrained import features as architectures
from tacit.pretrained import loading
from tacit.pretrained.catalogue import HEADS, NETWORKS, SQUEEZENET, Network
from tacit.pretrained.features import FeatureStages
from tacit.pretrained.lpips import Lpips, load_lpips, load_st_lpips

# What torchmetrics documents as LPIPS (squeeze) of the images of its example.
PUBLISHED = (0.1024, 0.0938)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_lpips_is_that_of_torchmetrics(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    other = pytest.importorskip("torchmetrics.functional.image.lpips")
    features, tensors = random_features(network)
    heads = random_heads(network)

    def own_layers(*_: object) -> nn.Module:
        layers, _ends = architectures._ARCHITECTURES[network]()
        layers.load_state_dict({k.removeprefix("features."): v for k, v in tensors.items()})
        return layers

    monkeypatch.setattr(other, "_get_tv_model_features", own_layers)
    expected = other._LPIPS(pretrained=False, net=network, eval_mode=True)
    expected.load_state_dict({f"{n.split('.')[0]}.model.1.weight": v for n, v in heads.items()}, strict=False)
    x, y = image_pair(72)
    assert Lpips(features, heads)(x, y) == pytest.approx(expected(x, y, normalize=True).flatten(), rel=1e-5)
    assert Lpips(features, heads, "taco")(x, y) == pytest.approx(expected(x, y).flatten(), rel=1e-5)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.filterwarnings("ignore")
def test_lpips_is_that_of_its_own_package(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the published linear layers, which the package brings, over random features: it takes its networks from
    torchvision, in whose place ours stand here."""
    features, tensors = random_features(network)
    torchvision = ModuleType("torchvision")
    torchvision.models = SimpleNamespace()  # type: ignore[attr-defined]
    for name, ours in (("alexnet", "alex"), ("vgg16", "vgg"), ("squeezenet1_1", "squeeze")):
        layers = architectures._ARCHITECTURES[ours]()[0]
        if ours == network:
            layers.load_state_dict({k.removeprefix("features."): v for k, v in tensors.items()})
        made = SimpleNamespace(features=layers)
        setattr(torchvision.models, name, lambda pretrained, made=made: made)
    monkeypatch.setitem(sys.modules, "torchvision", torchvision)
    package = pytest.importorskip("lpips")
    monkeypatch.setattr(package.pretrained_networks, "tv", torchvision.models)
    expected = package.LPIPS(net=network, pnet_rand=True, verbose=False)
    heads = loading.load(HEADS[network], Path(package.__file__).parent / f"weights/v0.1/{network}.pth")
    x, y = image_pair(72)
    found = Lpips(features, heads)(x, y)
    assert float(found.min()) > 1e-3
    with torch.no_grad():
        theirs = expected(x, y, normalize=True).flatten()
    torch.testing.assert_close(found, theirs, rtol=0, atol=1e-5)
    torch.testing.assert_close(found, theirs, rtol=1e-5, atol=0)


@pytest.mark.filterwarnings("ignore")
def test_st_lpips_is_that_of_its_own_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the published weights. The package's modules import torchvision and others that its AlexNet does not use."""
    if importlib.util.find_spec("stlpips_pytorch") is None:
        pytest.skip("stlpips-pytorch is not installed")
    for name, content in (("torchvision", "models"), ("torchsummary", "summary"), ("IPython", "embed")):
        module = ModuleType(name)
        setattr(module, content, None)
        monkeypatch.setitem(sys.modules, name, module)
    package = importlib.import_module("stlpips_pytorch.stlpips")
    expected = package.LPIPS(net="alex", variant="shift_tolerant", verbose=False)
    found = load_st_lpips()
    for size in (21, 64):
        x, y = image_pair(size)
        with torch.no_grad():
            theirs = expected(x, y, normalize=True).flatten()
        assert float(theirs.min()) > 1e-3
        torch.testing.assert_close(found(x, y), theirs, rtol=1e-4, atol=0)


def test_st_lpips_hardly_changes_where_an_image_moves_by_a_pixel() -> None:
    if importlib.util.find_spec("stlpips_pytorch") is None:
        pytest.skip("stlpips-pytorch is not installed")
    image = torch.from_numpy(photo(130, 130)).permute(2, 0, 1)[None] / 255
    x, moved = image[..., :128, :128], image[..., 1:129, 1:129]
    noisy = (x + 0.1 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    distance = load_st_lpips()
    assert float(distance(x, moved)) < float(distance(x, noisy)) / 10


def test_st_lpips_without_its_weights_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingWeights, match=r"ST-LPIPS .* \(9,899,296 bytes, .* \(pip install stlpips-pytorch"):
        load_st_lpips()


def test_heads_of_another_network() -> None:
    features, _ = random_features("alex")
    with pytest.raises(CorruptWeights, match="are not those of alex"):
        Lpips(features, random_heads("squeeze"))
    with pytest.raises(InvalidInput, match="scale must be one of published, taco, got 'half'"):
        Lpips(features, random_heads("alex"), "half")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="network must be one of alex, vgg, squeeze, got 'resnet'"):
        load_lpips("resnet")  # type: ignore[arg-type]


def test_heads_that_a_package_carries() -> None:
    pytest.importorskip("torchmetrics")
    for network in NETWORKS:
        heads = loading.load(HEADS[network])
        assert tuple(head.shape[1] for head in heads.values()) == CHANNELS[network]


def test_lpips_is_the_published_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # this one wants what the machine has
    try:
        distance = load_lpips("squeeze")
    except MissingWeights as error:
        pytest.skip(str(error))
    assert distance(*noise_pair()).tolist() == pytest.approx(PUBLISHED, abs=5e-5)


def test_other_weights_under_the_published_heads_are_not_lpips() -> None:
    pytest.importorskip("torchmetrics")
    features = FeatureStages("squeeze", loading.load(SQUEEZENET, squeezenet()))
    found = Lpips(features, loading.load(HEADS["squeeze"]))(*noise_pair()).tolist()
    assert found == pytest.approx((0.155, 0.147), abs=1e-3)  # computed elsewhere, for these very weights
