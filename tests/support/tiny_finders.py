"""Networks of random weights that look for words in images, in folders as transformers keeps them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

transformers: Any = pytest.importorskip("transformers", reason="the extra tacit[clip] is not installed")

SIDE = 32
SMALL: dict[str, Any] = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
WORDS = "a red blue boat dog photo of lake sky left tree".split()


def clip_tokenizer(folder: Path) -> dict[str, int]:
    """Write the files of a tokenizer of letters, and return what a configuration says of it."""
    letters = [c + end for end in ("", "</w>") for c in "!abcdefghijklmnopqrstuvwxyz"]
    pieces = [*letters, "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({p: i for i, p in enumerate(pieces)}), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    transformers.CLIPTokenizerFast.from_pretrained(folder).save_pretrained(folder)
    special = {"bos_token_id": len(pieces) - 2, "eos_token_id": len(pieces) - 1, "pad_token_id": len(pieces) - 1}
    return special | {"vocab_size": len(pieces), "max_position_embeddings": 16}


def owlv2(folder: Path) -> Any:
    """Return an OWLv2, and write its tokenizer."""
    config = transformers.Owlv2Config(
        text_config=SMALL | clip_tokenizer(folder),
        vision_config=SMALL | {"image_size": SIDE, "patch_size": 8},
        projection_dim=16,
    )
    model = transformers.Owlv2ForObjectDetection(config)
    with torch.no_grad():
        for values in (*model.box_head.parameters(), *model.class_head.parameters()):
            values.mul_(0.1)  # else boxes have no size, and nearly all scores are 0 or 1
    return model


def clipseg(folder: Path) -> Any:
    """Return a CLIPSeg, and write its tokenizer."""
    config = transformers.CLIPSegConfig(
        text_config=SMALL | clip_tokenizer(folder),
        vision_config=SMALL | {"image_size": SIDE, "patch_size": 8},
        projection_dim=16,
        extract_layers=[0, 1],
        reduce_dim=8,
        decoder_num_attention_heads=2,
        decoder_intermediate_size=16,
        conditional_layer=0,
    )
    return transformers.CLIPSegForImageSegmentation(config)


def grounding_dino(folder: Path) -> Any:
    """Return a Grounding DINO, and write its tokenizer."""
    # The model knows its special tokens by their numbers in BERT's vocabulary.
    pieces = [f"[unused{number}]" for number in range(1040)]
    pieces[0], pieces[100:104], pieces[1012], pieces[1029] = "[PAD]", ["[UNK]", "[CLS]", "[SEP]", "[MASK]"], ".", "?"
    pieces[200 : 200 + len(WORDS)] = WORDS
    (folder / "vocab.txt").write_text("\n".join(pieces), encoding="utf-8")
    transformers.BertTokenizerFast.from_pretrained(folder).save_pretrained(folder)
    config = transformers.GroundingDinoConfig(
        backbone_config={
            "model_type": "swin",
            "image_size": SIDE,
            "embed_dim": 8,
            "depths": [1, 1, 1, 1],
            "num_heads": [1, 1, 2, 2],
            "window_size": 2,
            "out_indices": [2, 3, 4],
        },
        text_config={**SMALL, "model_type": "bert", "vocab_size": len(pieces)},
        d_model=32,  # the least that it can have
        encoder_layers=1,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        encoder_n_points=1,
        decoder_n_points=1,
        num_queries=20,
        max_text_len=32,
    )
    return transformers.GroundingDinoForObjectDetection(config)


MAKERS: Mapping[str, Callable[[Path], Any]] = {
    "owlv2": owlv2,
    "grounding-dino": grounding_dino,
    "clipseg": clipseg,
}


def tiny_finder(kind: str, folder: Path) -> Path:
    """Write a finder's network of random weights into a folder, and return the folder."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        MAKERS[kind](folder).save_pretrained(folder)
    size = {"shortest_edge": 2 * SIDE, "longest_edge": 4 * SIDE, "height": SIDE, "width": SIDE}
    (folder / "preprocessor_config.json").write_text(json.dumps({"size": size}))
    return folder
