"""Checks of a weights file whose graphs will run: its parts belong together, and every sum of integers is exact.

They are those that `tacit.models.frozen` makes where torch runs the same networks, on the kinds of layers that graphs
have. The graphs themselves are covered by the file's hashes, and name the weights that they were made of.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tacit.entropy.tables import SYMBOL_LIMIT, FrequencyTables
from tacit.entropy.units import MEAN_LIMIT, QUALITY_REACH, Y_UNIT, Z_UNIT

PARTS = ("analysis.", "synthesis.", "hyper_analysis.", "gain.", "inverse_gain.", "context_scale", "entropy.")
BITS = (24, 53)  # below which integers are exact in float32 and in float64
PIXELS8 = 3 * 8 * 8  # values of 8x8 pixels
SHIFT_LIMIT = 46  # bits by which a sum is shifted down at most

Range = tuple[np.ndarray, np.ndarray]
"""The lowest and the highest integer of each channel, float64."""


class _Chain:
    """The stored integers of one network."""

    def __init__(self, name: str, specs: Sequence[Mapping[str, Any]], tensors: Mapping[str, np.ndarray]) -> None:
        self.name = name
        self.kinds: list[str] = []
        self.layers: list[tuple[str, np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = []
        prefix = f"entropy.{name}."
        for spec in specs:
            if spec.keys() - {"kind", "kernel", "padding"}:
                raise ValueError(f"{name}: layers have a kind, a kernel and a padding, got {dict(spec)}")
            kind, kernel, padding = spec["kind"], spec.get("kernel", 1), spec.get("padding", 0)
            self.kinds.append(kind)
            if kind == "shuffle":
                continue
            number = len(self.layers)
            weight, bias, shift, low, high = (
                tensors[f"{prefix}{number}.{part}"] for part in ("weight", "bias", "shift", "low", "high")
            )
            expected = {"point": (1, 0), "depthwise": (3, 1)}.get(kind)
            if (kernel, padding) != expected or weight.ndim != 2 or (kind == "depthwise" and len(weight) != 9):
                raise ValueError(f"{name}: layer {number} must be one that a graph has, got {dict(spec)}")
            parts = weight, bias, shift, low, high
            if any(not np.issubdtype(part.dtype, np.integer) for part in parts) or not bias.size:
                raise ValueError(f"{name}: layer {number} must be integers")
            if any(part.shape != (weight.shape[1],) for part in parts[1:]):
                raise ValueError(f"{name}: layer {number} must have one value for each of {weight.shape[1]} outputs")
            if shift.min() < 0 or shift.max() > SHIFT_LIMIT or (low > high).any():
                raise ValueError(f"{name}: layer {number} must shift by 0 to {SHIFT_LIMIT} bits into a range")
            as_floats = [part.astype(np.float64) for part in (weight, bias, low, high)]
            self.layers.append((kind, as_floats[0], as_floats[1], as_floats[2], as_floats[3]))
        if not self.layers:
            raise ValueError(f"{name}: a network must have layers")
        limits = tensors.get(f"{prefix}limits")
        if limits is not None and (not np.issubdtype(limits.dtype, np.integer) or limits.ndim != 1 or limits.min() < 0):
            raise ValueError(f"{name}: limits must be integers of 0 or more")
        self.limits = None if limits is None else limits.astype(np.float64)

    def proven(self, low: np.ndarray, high: np.ndarray, bits: int) -> Range:
        """Return what comes out where low..high go in.

        Raises:
            ValueError: The layers do not fit together, or a sum could reach 2^bits.
        """
        if self.limits is not None:
            if self.limits.shape != low.shape:
                raise ValueError(
                    f"{self.name}: limits must be {len(low)}, one for each channel, got {len(self.limits)}"
                )
            low, high = np.maximum(low, -self.limits), np.minimum(high, self.limits)
        layers = iter(self.layers)
        for number, kind in enumerate(self.kinds):
            if kind == "shuffle":
                if len(low) % 4:
                    raise ValueError(f"{self.name}: a shuffle must get a multiple of 4 channels, got {len(low)}")
                low, high = low.reshape(-1, 4).min(axis=1), high.reshape(-1, 4).max(axis=1)
                continue
            _, weight, bias, least, most = next(layers)
            if weight.shape[1 if kind == "depthwise" else 0] != len(low):
                raise ValueError(f"{self.name}: {kind} layer {number} does not take {len(low)} channels")
            low, high = np.minimum(low, 0), np.maximum(high, 0)
            rises, falls = weight.clip(0), -weight.clip(None, 0)
            if kind == "depthwise":
                rises, falls = rises.sum(axis=0), falls.sum(axis=0)
                sums = np.maximum(rises * high - falls * low, falls * high - rises * low)
            else:
                sums = np.maximum(high @ rises - low @ falls, high @ falls - low @ rises)
            largest = float((sums + np.abs(bias)).max())
            if largest >= 2**bits:
                raise ValueError(
                    f"{self.name}: {kind} layer {number}: sums must stay below 2^{bits} to be exact, "
                    f"but one could reach 2^{math.log2(largest):.1f}"
                )
            if max(np.abs(least).max(), np.abs(most).max()) > 2**bits:
                raise ValueError(f"{self.name}: {kind} layer {number}: outputs must be clamped to 2^{bits} or less")
            low, high = least, most
        return low, high


def check_entropy(
    shapes: Mapping[str, Any], tensors: Mapping[str, np.ndarray], groups: Sequence[int], hyper: int
) -> None:
    """Check the frozen entropy model of a weights file.

    Args:
        shapes: What the metadata say of it.
        tensors: The tensors of the file.
        groups: Channels of y in each group of the coding order, by the configuration.
        hyper: Channels of z.

    Raises:
        ValueError: The parts do not belong together, or a sum could be inexact.
        KeyError: A part is missing.
        TypeError: A part is of another kind.
    """
    bits = shapes.get("bits", BITS[1])
    if bits not in BITS:
        raise ValueError(f"bits must be one of {', '.join(map(str, BITS))}, got {bits!r}")
    if not groups or min(groups) < 1 or list(shapes["groups"]) != list(groups):
        raise ValueError(f"groups must be {tuple(groups)}, got {shapes['groups']}")
    count = len(groups)
    names = ["hyper_synthesis", *(f"channel_context.{i}" for i in range(count - 1))]
    for kind in ("local_context", "parameters_anchor", "parameters_other"):
        names += [f"{kind}.{i}" for i in range(count)]
    chains = {name: _Chain(name, shapes["chains"][name], tensors) for name in names}
    if len(shapes["chains"]) != len(names):
        raise ValueError(f"there must be {len(names)} networks, got {len(shapes['chains'])}")
    tables = {
        kind: FrequencyTables(*(tensors[f"entropy.tables.{kind}.{part}"] for part in ("frequencies", "sizes", "lows")))
        for kind in ("y", "z")
    }
    medians = tensors["entropy.medians"]
    if medians.shape != (hyper,) or len(tables["z"]) != hyper or not np.issubdtype(medians.dtype, np.integer):
        raise ValueError(f"z must have {hyper} tables and medians, got {len(tables['z'])} and {medians.size}")
    if not 0 <= shapes["skip"] < len(tables["y"]) <= 256:
        raise ValueError(f"some of at most 256 tables must code something, got {shapes['skip']} that do not")
    if "entropy.thresholds" in tensors:
        raise ValueError("graphs have no thresholds of scales")

    z = np.full(hyper, float(SYMBOL_LIMIT))
    if bits == BITS[1]:
        z = z * Z_UNIT + np.abs(medians)
    z = np.append(z, [float(QUALITY_REACH)] * bool(shapes["plane"]))
    y = np.full(sum(groups), float(MEAN_LIMIT + Y_UNIT * SYMBOL_LIMIT))
    features = chains["hyper_synthesis"].proven(-z, z, bits)
    start = 0
    for group, channels in enumerate(groups):
        known = [features]
        if group:
            known.insert(0, chains[f"channel_context.{group - 1}"].proven(-y[:start], y[:start], bits))
        _check_parameters(chains[f"parameters_anchor.{group}"], known, channels, len(tables["y"]), bits)
        known.insert(0, chains[f"local_context.{group}"].proven(-y[:channels], y[:channels], bits))
        _check_parameters(chains[f"parameters_other.{group}"], known, channels, len(tables["y"]), bits)
        start += channels


def _check_parameters(chain: _Chain, known: Sequence[Range], channels: int, tables: int, bits: int) -> None:
    """Check that a network gives tables that there are, and means within the limit."""
    lowest, highest = (np.concatenate([one[end] for one in known]) for end in (0, 1))
    low, high = chain.proven(lowest, highest, bits)
    if len(low) != 2 * channels:
        raise ValueError(f"{chain.name} must give {2 * channels} parameters, got {len(low)}")
    if low[:channels].min() < 0 or high[:channels].max() >= tables:
        raise ValueError(f"{chain.name} must choose one of {tables} tables")
    if max(np.abs(low[channels:]).max(), np.abs(high[channels:]).max()) > MEAN_LIMIT:
        raise ValueError(f"{chain.name} must give means within {MEAN_LIMIT}")


def check_transforms(config: Any, tensors: Mapping[str, np.ndarray]) -> None:
    """Check that the tensors of the transforms are those of a configuration.

    Args:
        config: A `tacit.models.tacit_s_config.TacitSConfig`.
        tensors: The tensors of the file.

    Raises:
        ValueError: They are not.
        KeyError: One is missing.
    """
    c = config
    unknown = [name for name in tensors if not name.startswith(PARTS)]
    if unknown:
        raise ValueError(f"unknown tensor {unknown[0]!r}")
    expected: dict[str, tuple[int, ...]] = {
        "analysis.null_token": (1, 1, c.text_width),
        "analysis.project.weight": (c.latent, 4 * PIXELS8, 1, 1),
        "synthesis.project.weight": (4 * PIXELS8, c.latent, 1, 1),
        "gain.log_gain": (c.knots, c.latent),
        "inverse_gain.log_gain": (c.knots, c.latent),
        "hyper_analysis.0.weight": (c.hyper_width, c.latent, 1, 1),
        "hyper_analysis.9.weight": (c.hyper, 4 * c.hyper_width, 1, 1),
        **{f"entropy.parameters_anchor.0.{i}.bias": (width,) for i, width in enumerate(c.hidden)},
    }
    for name, shape in expected.items():
        if tensors[name].shape != shape:
            raise ValueError(f"{name} must have shape {list(shape)}, got {list(tensors[name].shape)}")
    for part, count in (
        ("analysis.blocks8", c.analysis8),
        ("analysis.blocks16", c.analysis16),
        ("synthesis.blocks16", c.synthesis16),
        ("synthesis.blocks8", c.synthesis8),
    ):
        found = {name.split(".")[2] for name in tensors if name.startswith(f"{part}.")}
        if found != set(map(str, range(count))):
            raise ValueError(f"{part} must be {count}, got {len(found)}")
    if c.heads < 1 or PIXELS8 % c.heads or c.latent % c.heads:
        raise ValueError(f"heads must divide {PIXELS8} and {c.latent} channels, got {c.heads}")
    if len(c.hidden) != 2:
        raise ValueError(f"parameter networks must have 2 hidden layers, got {len(c.hidden)}")
