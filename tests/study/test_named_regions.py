"""Named regions: the file of the package, wrong lines, and the PSNR of a part."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tacit.errors import InvalidInput, PathError
from tacit.study.named_regions import NamedRegion, other_phrases, read_named_regions, region_psnrs


def test_regions_of_the_package_are_in_the_pictures(kodak: list[Path]) -> None:
    regions = read_named_regions()
    assert len(regions) >= 30
    assert len({(r.image, r.phrase) for r in regions}) == len(regions)
    paths = {path.name: path for path in kodak}
    for region in regions:
        with Image.open(paths[region.image]) as image:
            width, height = image.size
        left, top, right, bottom = region.box
        assert right <= width
        assert bottom <= height
        assert 1000 < (right - left) * (bottom - top) < 0.6 * width * height


def test_regions_of_coco_photos_are_in_the_pictures(data_folder: Path) -> None:
    regions = read_named_regions("coco")
    folder = data_folder / "coco_eval"
    if not folder.is_dir():
        pytest.skip("no COCO photos in the data folder")
    for region in regions:
        with Image.open(folder / region.image) as image:
            width, height = image.size
        left, top, right, bottom = region.box
        assert right <= width, region
        assert bottom <= height, region
        assert 400 < (right - left) * (bottom - top) < 0.6 * width * height, region


def test_half_of_the_coco_photos_are_kept_unseen() -> None:
    regions = read_named_regions("coco")
    assert len({(r.image, r.phrase) for r in regions}) == len(regions)
    for region in regions:  # the rule: photos of even numbers may be looked at
        assert region.seen == (int(region.image[5:-4]) % 2 == 0)
    seen, unseen = ({r.image for r in regions if r.seen is value} for value in (True, False))
    assert not seen & unseen
    assert abs(len(seen) - len(unseen)) <= 0.1 * len(seen | unseen)


@pytest.mark.parametrize(
    "line",
    ["x", "[]", '{"image": "a.png"}', '{"image": "a", "phrase": " ", "box": [0, 0, 1, 1]}',
     '{"image": "a", "phrase": "b", "box": [0, 0, 0, 1]}', '{"image": "a", "phrase": "b", "box": [0, 0, 1]}',
     '{"image": 1, "phrase": "b", "box": [0, 0, 1, 1]}',
     '{"image": "a", "phrase": "b", "box": [0, 0, 1, 1], "seen": "no"}'],
)  # fmt: skip
def test_lines_that_are_no_region(line: str, tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(f'{{"image": "a", "phrase": "b", "box": [0, 0, 1, 1]}}\n{line}\n')
    with pytest.raises(InvalidInput, match="line 2"):
        read_named_regions(str(path))
    with pytest.raises(PathError):
        read_named_regions(str(tmp_path / "none"))


def test_another_phrase_is_of_another_part() -> None:
    regions = [
        NamedRegion("a", "left", (0, 0, 50, 50)),
        NamedRegion("a", "right", (60, 0, 100, 50)),
        NamedRegion("b", "all", (0, 0, 90, 90)),
        NamedRegion("b", "middle", (10, 10, 80, 80)),
    ]
    assert other_phrases(regions) == ("right", "left", "left", "left")
    with pytest.raises(InvalidInput):
        other_phrases(regions[:1])


def test_psnr_of_a_part_and_of_the_rest() -> None:
    original = np.full((40, 60, 3), 100, np.uint8)
    decoded = original.copy()
    decoded[10:20, 5:25] += 4
    decoded[30:, :] -= 2
    exact, outside = region_psnrs(original, decoded, [(30, 0, 60, 20)])[0]
    assert exact == 99
    inside, rest = region_psnrs(original, decoded, [(5, 10, 25, 20)])[0]
    assert inside == pytest.approx(20 * math.log10(255 / 4))
    assert rest == pytest.approx(10 * math.log10(255**2 / (600 * 4 / 2200)))
    assert outside < rest
    for box in ((0, 0, 61, 20), (0, 0, 20, 41), (0, 0, 60, 40)):
        with pytest.raises(InvalidInput):
            region_psnrs(original, decoded, [box])
