"""The images among the members of a WebDataset sample, whose names are alike up to the first dot."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

CAPTIONS = ("json", "txt")
"""The suffixes of members with captions."""


def dotted_samples(
    members: Mapping[str, Any], extensions: Collection[str]
) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Split a sample without a plain image into the images whose names have further dots.

    Of `0.05.jpg`, `0.05.txt` and `0.10.jpg`, WebDataset makes one sample "0" with members "05.jpg", "05.txt" and
    "10.jpg". These become the images "05" and "10". A sample with a plain image, such as `0.jpg`, stays whole.

    Args:
        members: The members of the sample by suffix, which is in lower case or not.
        extensions: The suffixes of images, in lower case.

    Yields:
        What stands between the sample's name and the image's suffix ("" for a whole sample, and, at the end, for the
        members that belong to no image), the members by what is left of their suffixes, and captions of the sample that
        stand for an image without one of its own.
    """
    stems: dict[str, dict[str, Any]] = {}
    for suffix in members:
        stem, dot, last = suffix.rpartition(".")
        if last.lower() in extensions:
            if not dot:
                yield "", dict(members), {}
                return
            stems[stem] = {}
    rest: dict[str, Any] = {}
    for suffix, content in members.items():
        stem = suffix
        while stem and stem not in stems:
            stem = stem.rpartition(".")[0]
        if stem:
            stems[stem][suffix[len(stem) + 1 :]] = content
        else:
            rest[suffix] = content
    shared = {suffix: rest[suffix] for suffix in CAPTIONS if suffix in rest}
    for stem, own in stems.items():
        yield stem, own, {} if any(suffix in own for suffix in CAPTIONS) else shared
    if rest or not stems:
        yield "", rest, {}
