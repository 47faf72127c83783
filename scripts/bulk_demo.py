"""Make a small data set of images and captions from scikit-image's samples: `python scripts/bulk_demo.py FOLDER`.

`make bulk-demo` compresses the data set, runs again and finds nothing left to do, and restores it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tacit.demo.samples import SAMPLES, sample_image

WIDTH, HEIGHT = 256, 192


def main(folder: Path) -> None:
    """Write six captioned crops of each image, a file that is no image, and one that claims to be one."""
    for sample in SAMPLES:
        image = sample_image(sample.name)
        for number in range(6):
            left = (image.width - WIDTH) * number // 5
            top = (image.height - HEIGHT) * (number % 3) // 2
            path = folder / sample.name / f"{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            image.crop((left, top, left + WIDTH, top + HEIGHT)).save(path, quality=92)
            path.with_suffix(".txt").write_text(f"{sample.caption}\n")
    (folder / "broken.jpg").write_text("<html>404 Not Found</html>\n")
    (folder / "README.md").write_text("Sample images of scikit-image.\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
