"""The weights of captions' words in a folder's files, beside the captions' embeddings.

They are in files of their own, so that captions that were embedded without weights can be weighed later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import torch

from tacit.errors import CorruptWeights
from tacit.training.dataset.caption_files import caption_file, caption_files, read_caption_file, write_caption_file

KIND = "weights"
CAPTIONS_IN_A_FILE = 5_000


class WordWeightFiles:
    """The word weights of the captions that a folder has.

    Args:
        folder: The folder of the files.
        encoder: Name of the text encoder whose tokens the weights are for.
    """

    def __init__(self, folder: Path, encoder: str) -> None:
        self.folder = folder
        self.encoder = encoder

    def read(self) -> dict[str, list[float]]:
        """Return the weights of each caption's tokens.

        Raises:
            CorruptWeights: A file is damaged, or is for another encoder's tokens.
        """
        weights: dict[str, list[float]] = {}
        for path in caption_files(self.folder, KIND):
            tensors, metadata = read_caption_file(path, "weights", "lengths")
            if metadata["encoder"] != self.encoder:
                raise CorruptWeights(
                    f"{path}: the weights must be for the tokens of {self.encoder}, got those of {metadata['encoder']}"
                )
            parts = tensors["weights"].float().split(tensors["lengths"].tolist())
            weights |= {c: part.tolist() for c, part in zip(metadata["captions"], parts, strict=True)}
        return weights

    def weigher_settings(self) -> tuple[Path, Mapping[str, str]] | None:
        """Return the first file and the settings of the weigher that made it, or None where there is no file.

        Raises:
            CorruptWeights: The file is damaged.
        """
        path = next(caption_files(self.folder, KIND), None)
        return None if path is None else (path, read_caption_file(path)[1]["weigher"])

    def add(
        self, captions: Iterable[str], weigh: Callable[[str], list[float]], settings: Callable[[], Mapping[str, str]]
    ) -> None:
        """Weigh the captions that the folder does not have yet, and write them to new files.

        Args:
            captions: The captions that the folder is to have.
            weigh: Returns the weights of a caption's tokens.
            settings: Returns the weigher's settings, which are written along.

        Raises:
            PathError: A file cannot be written.
            CorruptWeights: A file is damaged, or is for another encoder's tokens.
        """
        known = self.read()
        missing = [c for c in dict.fromkeys(captions) if c and c not in known]
        number = sum(1 for _ in caption_files(self.folder, KIND))
        for start in range(0, len(missing), CAPTIONS_IN_A_FILE):
            part = missing[start : start + CAPTIONS_IN_A_FILE]
            weights = [torch.tensor(weigh(c)).half() for c in part]
            metadata = {"encoder": self.encoder, "weigher": dict(settings()), "captions": part}
            lengths = torch.tensor([len(w) for w in weights], dtype=torch.int32)
            tensors = {"weights": torch.cat(weights), "lengths": lengths}
            write_caption_file(caption_file(self.folder, KIND, number), tensors, metadata)
            number += 1
