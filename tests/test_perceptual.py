"""Distances in features: against another implementation, as losses, and with files that are missing or others."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from support.paths import DATA
from tacit import perceptual, pretrained
from tacit.errors import CorruptWeights, InvalidInput, MissingWeights
from tacit.perceptual import NETWORKS, SMALLEST, FeatureDistance, Features, Lpips, Network

CHANNELS = {
    "alex": (64, 192, 384, 256, 256),
    "vgg": (64, 128, 256, 512, 512),
    "squeeze": (64, 128, 256, 384, 384, 512, 512),
}


@pytest.fixture(autouse=True)
def _nothing_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TACIT_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))


def random_features(network: Network, seed: int = 0) -> tuple[Features, dict[str, Tensor]]:
    """Of the right shapes and of a size that neither grows nor dies through the layers."""
    layers, _ = perceptual._ARCHITECTURES[network]()
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, value in layers.state_dict().items():
        fan = max(value[0].numel(), 1) if value.ndim > 1 else 100
        tensors[f"features.{name}"] = torch.randn(value.shape, generator=generator) * (2 / fan) ** 0.5
    return Features(network, tensors), tensors


def random_heads(network: Network) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {
        f"lin{i}.model.1.weight": torch.rand(1, c, 1, 1, generator=generator) for i, c in enumerate(CHANNELS[network])
    }


def images(size: int, seed: int = 2) -> tuple[Tensor, Tensor]:
    x = torch.rand(2, 3, size, size + 9, generator=torch.Generator().manual_seed(seed))
    return x, (x + 0.1 * torch.randn(x.shape, generator=torch.Generator().manual_seed(3))).clamp(0, 1)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_lpips_is_that_of_torchmetrics(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    other = pytest.importorskip("torchmetrics.functional.image.lpips")
    features, tensors = random_features(network)
    heads = random_heads(network)

    def own_layers(*_: object) -> nn.Module:
        layers, _ends = perceptual._ARCHITECTURES[network]()
        layers.load_state_dict({k.removeprefix("features."): v for k, v in tensors.items()})
        return layers

    monkeypatch.setattr(other, "_get_tv_model_features", own_layers)
    expected = other._LPIPS(pretrained=False, net=network, eval_mode=True)
    expected.load_state_dict({f"{n.split('.')[0]}.model.1.weight": v for n, v in heads.items()}, strict=False)
    x, y = images(72)
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
        layers = perceptual._ARCHITECTURES[ours]()[0]  # type: ignore[index]
        if ours == network:
            layers.load_state_dict({k.removeprefix("features."): v for k, v in tensors.items()})
        made = SimpleNamespace(features=layers)
        setattr(torchvision.models, name, lambda pretrained, made=made: made)
    monkeypatch.setitem(sys.modules, "torchvision", torchvision)
    package = pytest.importorskip("lpips")
    monkeypatch.setattr(package.pretrained_networks, "tv", torchvision.models)
    expected = package.LPIPS(net=network, pnet_rand=True, verbose=False)
    heads = pretrained.load(perceptual.HEADS[network], Path(package.__file__).parent / f"weights/v0.1/{network}.pth")
    x, y = images(72)
    found = Lpips(features, heads)(x, y)
    assert float(found.min()) > 1e-3
    with torch.no_grad():
        theirs = expected(x, y, normalize=True).flatten()
    torch.testing.assert_close(found, theirs, rtol=0, atol=1e-5)
    torch.testing.assert_close(found, theirs, rtol=1e-5, atol=0)


@pytest.mark.parametrize("network", NETWORKS)
def test_the_names_of_torchvision(network: Network) -> None:
    _, tensors = random_features(network)
    Features(network, tensors | {"classifier.1.weight": torch.zeros(3)})
    with pytest.raises(CorruptWeights, match=f"not the weights of {network}"):
        Features(network, {k: v for k, v in tensors.items() if k != "features.0.bias"})
    first = {"alex": "features.10.weight", "vgg": "features.28.weight", "squeeze": "features.12.expand3x3.weight"}
    assert first[network] in tensors


@pytest.mark.parametrize("network", NETWORKS)
def test_a_loss_with_gradients(network: Network) -> None:
    features, _ = random_features(network)
    for distance in (Lpips(features, random_heads(network)), FeatureDistance(features)):
        assert not any(p.requires_grad for p in distance.parameters())
        x, y = images(SMALLEST[network])
        decoded = y.clone().requires_grad_()
        before = distance(x, decoded)
        assert before.shape == (2,)
        before.sum().backward()
        assert decoded.grad is not None
        assert decoded.grad.isfinite().all()
        step = 1e-3 * decoded.grad / decoded.grad.abs().max()
        assert (distance(x, y - step) < before).all()
        assert distance(x, x).abs().max() == 0
        # Where every feature is zero the direction has no gradient; it must not be NaN.
        black = torch.zeros_like(x, requires_grad=True)
        distance(black, black).sum().backward()
        assert black.grad is not None
        assert black.grad.isfinite().all()
        with pytest.raises(InvalidInput, match=f"{network} needs {SMALLEST[network]} pixels a side"):
            distance(x[:, :, :-1], y[:, :, :-1])
        with pytest.raises(InvalidInput, match="are needed"):
            distance(x, y[:1])


def test_heads_of_another_network() -> None:
    features, _ = random_features("alex")
    with pytest.raises(CorruptWeights, match="are not those of alex"):
        Lpips(features, random_heads("squeeze"))
    with pytest.raises(InvalidInput, match="scale 'half'"):
        Lpips(features, random_heads("alex"), "half")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="network 'resnet'"):
        perceptual.load_lpips("resnet")  # type: ignore[arg-type]


def test_what_is_missing_is_named() -> None:
    sha256 = "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02"
    with pytest.raises(MissingWeights) as caught:
        perceptual.load_lpips("alex")
    for part in ("alexnet-owt-7be5be79.pth", "244,408,911 bytes", sha256, "https://download.pytorch.org/models/"):
        assert part in str(caught.value)
    with pytest.raises(MissingWeights, match=r"squeezenet1_1_features_keras\.safetensors \(2,894,528 bytes"):
        perceptual.load_feature_distance()
    with pytest.raises(MissingWeights, match="not at nowhere"):
        perceptual.load_feature_distance("nowhere")


def test_another_file_under_the_name(tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    save_file(random_features("squeeze")[1], path)
    with pytest.raises(CorruptWeights, match=r"sha256 [0-9a-f]{16}; SqueezeNet 1\.1 of Keras needs"):
        perceptual.load_feature_distance(path)


def test_where_files_are_looked_for(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(3)}, tmp_path / "a.pth")
    content = (tmp_path / "a.pth").read_bytes()
    wanted = pretrained.Pretrained("A", "a.pth", "there", len(content), hashlib.sha256(content).hexdigest())
    for folder in (tmp_path / "hub" / "hub" / "checkpoints", tmp_path / "weights" / "pretrained"):
        folder.mkdir(parents=True)
        (folder / "a.pth").write_bytes(content)
        assert pretrained.locate(wanted) == folder / "a.pth"
        assert pretrained.load(wanted)["a"].tolist() == [1, 1, 1]


def test_heads_that_a_package_carries() -> None:
    pytest.importorskip("torchmetrics")
    for network in NETWORKS:
        heads = pretrained.load(perceptual.HEADS[network])
        assert tuple(head.shape[1] for head in heads.values()) == CHANNELS[network]


def squeezenet() -> Path:
    data = DATA
    path = data.parent / "weights" / perceptual.SQUEEZENET.file
    if not path.is_file():
        pytest.skip("SqueezeNet's weights are not here")
    return path


def test_the_feature_distance_orders_distortions() -> None:
    distance = perceptual.load_feature_distance(squeezenet())
    x = torch.nn.functional.interpolate(
        torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0)), scale_factor=12
    )
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    values = [distance(x, (x + s * noise).clamp(0, 1)).item() for s in (0.01, 0.03, 0.1, 0.3)]
    assert values == sorted(values)
    assert 0 < values[0] < values[-1] < 2
    # A change of brightness, large as an error, is a small change of content.
    assert (0.1 * x).square().mean() > (0.03 * noise).square().mean()
    assert distance(x, 0.9 * x).item() < values[1]
    assert distance.embed(x).shape == (1, 512)


# torchmetrics documents LPIPS (squeeze) of these images.
PUBLISHED = (0.1024, 0.0938)


def noise_of_the_example() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(42)
    return torch.rand(2, 3, 100, 100, generator=generator), torch.rand(2, 3, 100, 100, generator=generator)


def test_lpips_is_the_published_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # this one wants what the machine has
    try:
        distance = perceptual.load_lpips("squeeze")
    except MissingWeights as error:
        pytest.skip(str(error))
    assert distance(*noise_of_the_example()).tolist() == pytest.approx(PUBLISHED, abs=5e-5)


def test_other_weights_under_the_published_heads_are_not_lpips() -> None:
    pytest.importorskip("torchmetrics")
    features = Features("squeeze", pretrained.load(perceptual.SQUEEZENET, squeezenet()))
    found = Lpips(features, pretrained.load(perceptual.HEADS["squeeze"]))(*noise_of_the_example()).tolist()
    assert found == pytest.approx((0.155, 0.147), abs=1e-3)  # computed elsewhere, for these very weights
