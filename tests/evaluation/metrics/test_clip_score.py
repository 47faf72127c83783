"""CLIP score against transformers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from support.metrics import image_metric, photo
from tacit.errors import InvalidInput
from tacit.evaluation.metrics.clip_score import centre_square


@pytest.mark.slow
def test_clip_score_is_the_cosine_of_transformers(whole_clip_folder: Path) -> None:
    transformers = pytest.importorskip("transformers")
    metric = image_metric("clip-score", model=whole_clip_folder)
    assert (metric.name, metric.needs_caption, metric.higher_is_better) == ("clip-score", True, True)
    model = transformers.CLIPModel.from_pretrained(whole_clip_folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(whole_clip_folder)
    image = photo(32, 32)
    mean, spread = np.array([0.48145466, 0.4578275, 0.40821073]), np.array([0.26862954, 0.26130258, 0.27577711])
    pixels = torch.from_numpy(((image / 255 - mean) / spread).transpose(2, 0, 1)).float()[None]
    values = []
    for caption in ("a dog", "two cats on a bench", "dog " * 30):
        tokens = tokenizer([caption], truncation=True, max_length=20, return_tensors="pt")
        with torch.no_grad():
            out = model(**tokens, pixel_values=pixels)
        expected = out.logits_per_image.item() / model.logit_scale.exp().item()
        values.append(metric(image, image, caption))
        assert values[-1] == pytest.approx(100 * max(expected, 0), abs=1e-4)
    assert len(set(values)) > 1
    with pytest.raises(InvalidInput, match="needs a caption"):
        metric(image, image)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (50, 80), (96, 47), (20, 31), (300, 224)])
def test_pictures_are_cut_for_clip_as_usual(height: int, width: int) -> None:
    image = photo(height, width)
    scale = 32 / min(height, width)
    size = (int(width * scale), 32) if width > height else (32, int(height * scale))
    resized = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
    top, left = (resized.shape[0] - 32) // 2, (resized.shape[1] - 32) // 2
    expected = resized[top : top + 32, left : left + 32].astype(int)
    assert np.abs(centre_square(image, 32) - expected).max() <= 1
    assert centre_square(photo(3, 5000), 32).shape == (32, 32, 3)
