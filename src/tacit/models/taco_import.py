"""Import of the state dicts that the code of TACO's authors saved."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from os import PathLike

import torch
from torch import Tensor

from tacit.errors import CorruptWeights, PathError
from tacit.models.taco import TacoConfig, TacoModel

PUBLISHED = TacoConfig(published=True, text_encoder="clip-published")

# From our names to the published ones, the rules applied in turn; what they leave alone is named alike on both sides.
_RULES: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = (
    (r"^analysis\.layers\.", "g_a.analysis_transform."),
    (r"^synthesis\.layers\.", "g_s.synthesis_transform."),
    (r"^hyper_analysis\.", "h_a.reduction."),
    (r"^entropy\.hyper_synthesis\.", "h_s.increase."),
    (r"^entropy\.local_context\.(\d+)\.0\.", r"local_context.\1."),
    (r"^entropy\.channel_context\.(\d+)\.", lambda m: f"channel_context.{int(m[1]) + 1}.fushion."),  # sic
    (r"^entropy\.parameters_anchor\.(\d+)\.", r"entropy_parameters_anchor.\1.fusion."),
    (r"^entropy\.parameters_other\.(\d+)\.", r"entropy_parameters_nonanchor.\1.fusion."),
    (r"^prior\.", "entropy_bottleneck."),
    (r"\.attention\.in_proj\.", ".cross_attn.in_proj_"),
    (r"\.attention\.out_proj\.", ".cross_attn.out_proj."),
    (r"\.(text|image)_proj\.", r".\1_feature_dim_proj."),
)
STRIDE_ONE = "entropy.hyper_synthesis.4.weight"
# Tables and bounds that a state dict also holds; ours are made anew.
_NOT_LEARNED = {"_offset", "_quantized_cdf", "_cdf_length", "scale_table", "target", "bound", "scale_bound"}
# What older versions of the published code's library called the factorised prior's entries.
_OLD_PRIOR = {"matrix": "matrices", "bias": "biases", "factor": "factors"}


def published_name(name: str) -> str:
    """Return what the published state dict calls an entry of `TacoModel`'s."""
    for pattern, replacement in _RULES:
        name = re.sub(pattern, replacement, name)
    return name


def to_published(name: str, entry: Tensor) -> Tensor:
    """Return an entry of `TacoModel`'s, by our name, as the published state dict holds it."""
    if name == STRIDE_ONE:
        return _turn(entry)
    if re.fullmatch(r"entropy\.parameters_.*\.weight", name):  # ours are linear layers, theirs 1x1 convolutions
        return entry[:, :, None, None]
    return entry


def _turn(weight: Tensor) -> Tensor:
    """Turn a convolution's weights [O, I, 3, 3] into those of a transposed one of stride 1 [I, O, 3, 3], or back."""
    return weight.transpose(0, 1).flip(2, 3)


def read_published(path: str | PathLike[str]) -> dict[str, Tensor]:
    """Read the state dict in a file that `torch.save` wrote.

    The file holds it bare, or as the `state_dict` of a dictionary (`.pth.tar`). No code in the file is run.

    Raises:
        PathError: The file cannot be read.
        CorruptWeights: It is no such file, or holds more than tensors and plain values.
    """
    try:
        with open(path, "rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # advice to those who write pickles
            content = torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise PathError(f"{path}: {error.strerror or error}") from error
    except Exception as error:  # a foreign file makes the unpickler raise nearly anything
        # Not torch's own words: they advise to let the file run code.
        match = re.search(r"GLOBAL (\S+)", str(error))
        reason = f"it holds {match[1]}, and only tensors and plain values are read" if match else "foreign or damaged"
        raise CorruptWeights(f"{path}: not a checkpoint that can be read safely: {reason}") from error
    state = content.get("state_dict", content) if isinstance(content, dict) else None
    if not isinstance(state, dict) or not state:
        raise CorruptWeights(f"{path}: holds no state dict")
    for name, entry in state.items():
        if not isinstance(name, str) or not isinstance(entry, Tensor):
            raise CorruptWeights(f"{path}: entry {name!r} is {type(entry).__name__}, expected a name and a tensor")
    return dict(state)


def load_published(state: dict[str, Tensor]) -> TacoModel:
    """Return the model, in evaluation mode, that a published state dict describes.

    Names may begin with `module.`, and the factorised prior's may be the older ones (`_matrix0`, `_bias0`, …).

    Raises:
        CorruptWeights: A learned entry is missing, unexpected, there twice, misshapen or not finite.
    """
    entries: dict[str, Tensor] = {}
    for stored, entry in state.items():
        name = stored.removeprefix("module.")
        if old := re.fullmatch(r"(entropy_bottleneck)\._(matrix|bias|factor)(\d+)", name):
            name = f"{old[1]}.{_OLD_PRIOR[old[2]]}.{old[3]}"
        if name.rpartition(".")[2] in _NOT_LEARNED:
            continue
        if name in entries:
            raise CorruptWeights(f"entry {name} is there twice, the second time as {stored}")
        entries[name] = entry

    model = TacoModel(PUBLISHED)
    own = model.state_dict()
    names = {published_name(name): name for name in own}
    _refuse("missing", [name for name in names if name not in entries])
    _refuse("unexpected", [name for name in entries if name not in names])
    shapes = {theirs: to_published(name, own[name]).shape for theirs, name in names.items()}
    wrong = [name for name, shape in shapes.items() if entries[name].shape != shape]
    _refuse("misshapen", [f"{name} {list(entries[name].shape)}, expected {list(shapes[name])}" for name in wrong])
    _refuse("not finite", [name for name, entry in entries.items() if not entry.isfinite().all()])
    # what is not turned differs at most by axes of one
    model.load_state_dict(
        {
            name: _turn(entries[theirs]) if name == STRIDE_ONE else entries[theirs].reshape(own[name].shape)
            for theirs, name in names.items()
        }
    )
    return model.eval()


def _refuse(what: str, names: list[str]) -> None:
    """Refuse a state dict if there are names, and show the first few.

    Raises:
        CorruptWeights: There are names.
    """
    if names:
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        raise CorruptWeights(f"not the published TACO network: {what}: {', '.join(names[:3])}{more}")
