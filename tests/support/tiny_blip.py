"""A BLIP of a few thousand random weights, as a fixture."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("httpx", reason="the extra tacit[caption] is not installed")


@pytest.fixture(scope="session")
def tiny_blip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BLIP of a few thousand random weights, with everything that a real one has in its folder."""
    transformers = pytest.importorskip("transformers", reason="the extra tacit[clip] is not installed")
    import torch

    folder = tmp_path_factory.mktemp("blip")
    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        "[DEC]",
        "a",
        "red",
        "blue",
        "boat",
        "tree",
        "on",
        "lake",
        "the",
        "of",
        ".",
        "house",
        "sky",
    ]
    (folder / "vocab.txt").write_text("\n".join(words))
    tokenizer = transformers.BertTokenizer(str(folder / "vocab.txt"), bos_token="[DEC]")
    side = {"height": 32, "width": 32}
    processor = transformers.BlipProcessor(transformers.BlipImageProcessor(size=side), tokenizer)
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = transformers.BlipConfig(
        text_config=small
        | {"vocab_size": len(words), "encoder_hidden_size": 16, "bos_token_id": 5, "eos_token_id": 3, "sep_token_id": 3}
        | {"pad_token_id": 0, "projection_dim": 16, "max_position_embeddings": 64},
        vision_config=small | {"image_size": 32, "patch_size": 16, "projection_dim": 16},
        projection_dim=16,
        image_text_hidden_size=16,
    )
    torch.manual_seed(3)
    transformers.BlipForConditionalGeneration(config).save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
