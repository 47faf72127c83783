"""Fusion: the maps of several cues become one map, with the edges of the image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tacit.finding.cue import Evidence
from tacit.finding.maps import Map, pieces, smoothed
from tacit.finding.superpixels import averaged
from tacit.finding.view import View

FLOOR = 0.01  # what a cue leaves of a place where it sees nothing
POWER = 0.35
CENTRE = 0.9  # the weight of the image's middle, where things are more often than at its border
LEAST, MOST = 0.3, 0.85  # between these a place counts from a value on,
BALANCE = 0.8  # which is this part of the one that divides the map,
NARROW = 80  # but at least this percentile,
SOFTNESS = 0.03  # and so gradually
LARGE = 0.1  # a piece of a thing is large that has this part of what the largest one has
DENSE = 0.4  # and compact, if it has this part of the box around it,
WIDE = 0.45  # and that box at most this part of the image


def fused(view: View, evidence: Sequence[Evidence], centred: bool = True) -> Map:
    """Return where all cues together see a thing, 0 to 1 [h, w].

    Args:
        view: The image.
        evidence: What the cues say; at least one.
        centred: Whether the thing is likelier in the image's middle.
    """
    logs = sum(e.weight * np.log(FLOOR + (1 - FLOOR) * e.map) for e in evidence)
    if centred:
        middle = np.exp(-(((view.across - 0.5) / 0.5) ** 2) - ((view.down - 0.5) / 0.5) ** 2)
        logs = logs + CENTRE * np.log(FLOOR + (1 - FLOOR) * middle)
    joint = np.exp(POWER * (logs - np.max(logs))).astype(np.float32)
    joint = smoothed(averaged(joint, view.superpixels), 1)
    joint = joint / joint.max()
    threshold = np.clip(BALANCE * division(joint), max(LEAST, float(np.percentile(joint, NARROW))), MOST)
    sharp: Map = (1 / (1 + np.exp((threshold - joint) / SOFTNESS))).astype(np.float32)
    return filled(sharp) if centred else sharp


def filled(values: Map) -> Map:
    """Return a map in which a thing's larger pieces, where they are compact, have all of the box around them.

    A colour covers a part of a thing, and what lies between the parts belongs to it.
    """
    labels = pieces(values > 0.5)
    mass = np.bincount(labels.ravel(), weights=values.ravel())
    mass[0] = 0
    whole = values.copy()
    for piece in np.nonzero(mass > LARGE * mass.max())[0]:
        rows, columns = np.nonzero(labels == piece)
        box = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
        if (labels[box] == piece).mean() > DENSE and labels[box].size < WIDE * labels.size:
            whole[box] = 1
    return whole


def division(values: Map) -> float:
    """Return the value, 0 to 1, that best divides a map's values into two groups (Otsu 1979)."""
    counts, edges = np.histogram(values, 64, (0, 1))
    shares = counts / counts.sum()
    below = np.cumsum(shares)
    sums = np.cumsum(shares * (edges[1:] + edges[:-1]) / 2)
    between = (sums[-1] * below - sums) ** 2 / np.maximum(below * (1 - below), 1e-9)
    return float(edges[1 + int(between.argmax())])


def shared(maps: Sequence[Map]) -> Map:
    """Return one map of several things; each keeps what it has, and where two are, there is no more than one's."""
    left = np.ones_like(maps[0])
    for values in maps:
        left = left * (1 - values)
    return 1 - left
