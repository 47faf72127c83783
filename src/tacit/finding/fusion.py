"""Fusion: the maps of several cues become one map, with the edges of the image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tacit.finding.cue import Evidence
from tacit.finding.maps import Map, smoothed
from tacit.finding.superpixels import averaged, superpixels
from tacit.finding.view import View

FLOOR = 0.05  # what a cue leaves of a place where it sees nothing
POWER = 0.5
SUPERPIXELS = 0.5  # the part of a map that is averaged over superpixels
LEAST, MOST, QUANTILE, SOFTNESS = 0.35, 0.7, 60, 0.06  # a place counts from here on, and how gradually
CENTRE = 0.35  # the weight of the image's middle, where things are more often than at its border


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
    labels = superpixels(view.lab)
    joint = (1 - SUPERPIXELS) * joint + SUPERPIXELS * averaged(joint, labels)
    joint = smoothed(joint, 1)
    joint = joint / joint.max()
    threshold = np.clip(np.percentile(joint, QUANTILE), LEAST, MOST)
    sharp: Map = 1 / (1 + np.exp((threshold - joint) / SOFTNESS))
    return sharp.astype(np.float32)


def shared(maps: Sequence[Map]) -> Map:
    """Return one map of several things; each keeps what it has, and where two are, there is no more than one's."""
    left = np.ones_like(maps[0])
    for values in maps:
        left = left * (1 - values)
    return 1 - left
