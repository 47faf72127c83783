"""The cue of rarity: colours that are rare in the image, and rare at its border, near the middle."""

from __future__ import annotations

import numpy as np

from tacit.finding.cue import Evidence
from tacit.finding.maps import Map, smoothed
from tacit.finding.phrases import Phrase
from tacit.finding.view import View

WEIGHT = 0.5
_STEP = np.array([12.0, 12.0, 12.0], np.float32)  # of CIELAB, for one bin
_BORDER = 0.04  # of the sides


class RarityCue:
    """Prefers what stands out, whatever is named."""

    name = "rarity"
    specific = False

    def __call__(self, view: View, phrase: Phrase) -> Evidence | None:
        """Return how much each place stands out by its colour; None where the phrase names something wide."""
        return Evidence(rarity_map(view), WEIGHT)


def rarity_map(view: View) -> Map:
    """Return how rare each place's colour is in the image and at its border, 0 to 1, more so near the middle."""
    bins = np.floor(view.lab / _STEP).astype(np.int64) + 64
    codes = (bins[..., 0] * 128 + bins[..., 1]) * 128 + bins[..., 2]
    values, index = np.unique(codes, return_inverse=True)
    index = index.reshape(view.shape)
    counts = np.bincount(index.ravel(), minlength=len(values)).astype(np.float32)
    border = np.ones(view.shape, bool)
    rows, columns = (max(1, round(_BORDER * side)) for side in view.shape)
    border[rows:-rows, columns:-columns] = False
    at_border = np.bincount(index[border], minlength=len(values)).astype(np.float32)
    rare = -np.log((counts + 1) / counts.sum()) - 0.5 * np.log((at_border + 1) / (at_border.sum() + 1))
    shown = smoothed(rare[index].astype(np.float32), 3)
    centre = np.exp(-(((view.across - 0.5) / 0.45) ** 2) - ((view.down - 0.5) / 0.45) ** 2)
    low, high = np.percentile(shown, [20, 98])
    scaled: Map = np.clip((shown - low) / max(high - low, 1e-3), 0, 1) * (0.5 + 0.5 * centre)
    return scaled.astype(np.float32)
