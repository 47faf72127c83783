"""Captions from an image-to-text model on this machine, through `transformers`."""

from __future__ import annotations

import importlib
import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from tacit.captions.caption_text import tidy_answer
from tacit.errors import CaptionerError, CaptionerUnusable, InvalidInput, MissingExtra


class LocalCaptioner:
    """A `Captioner` that runs a model: one with a chat template is asked the prompt, others (BLIP, GIT) need none.

    model: a folder, or a name on the Hugging Face hub; code that comes with a model is not run. device: as torch names
    it. max_tokens: of an answer. Nothing is loaded before the first image; one image is worked on at a time.

    Raises: MissingExtra; InvalidInput.
    """

    def __init__(self, model: str, prompt: str, *, device: str = "cpu", max_tokens: int = 300) -> None:
        try:
            self._transformers: Any = importlib.import_module("transformers")
        except ImportError as error:
            raise MissingExtra("a local captioner needs transformers: pip install 'tacit[clip]'") from error
        if not Path(model).is_dir() and not re.fullmatch(r"[\w-][\w.-]*(/[\w.-]+)?", model):
            raise InvalidInput(f"captioner {model!r}: no such folder, and not a name on the hub")
        self._name = model
        self._prompt = prompt
        self._device = device
        self._max_tokens = max_tokens
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._loaded: tuple[Any, Any] | None = None

    @property
    def model(self) -> str:
        """The folder or name that was given."""
        return self._name

    @property
    def settings(self) -> Mapping[str, str | int]:
        """A folder counts by its path: a model that is put in its place has the old one's answers."""
        name = str(Path(self._name).resolve()) if Path(self._name).is_dir() else self._name
        return {"model": name, "prompt": self._prompt, "max_tokens": self._max_tokens, "local": 1}

    def __call__(self, image: Image.Image) -> str:
        """The model's caption: its likeliest words, so that the same image has the same one again.

        Raises: CaptionerError; CaptionerUnusable, where the model cannot be loaded.
        """
        import torch

        with self._lock:
            if self._stopped.is_set():
                raise CaptionerError("stopped before an answer came")
            model, processor = self._loaded = self._loaded or self._load()
            try:
                inputs, start = self._inputs(processor, image.convert("RGB"))
                with torch.inference_mode():
                    tokens = model.generate(**inputs.to(self._device), max_new_tokens=self._max_tokens, do_sample=False)
                return tidy_answer(processor.batch_decode(tokens[:, start:], skip_special_tokens=True)[0])
            except (ValueError, RuntimeError, TypeError) as error:
                raise CaptionerError(f"{self._name} failed: {_first_line(error)}") from error

    def stop(self) -> None:
        """Begin no further image."""
        self._stopped.set()

    def _load(self) -> tuple[Any, Any]:
        """Model and processor."""
        names = self._transformers
        try:
            processor = names.AutoProcessor.from_pretrained(self._name)
            model = names.AutoModelForImageTextToText.from_pretrained(self._name)
            return model.to(self._device).eval(), processor
        except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
            raise CaptionerUnusable(f"{self._name} cannot be loaded: {_first_line(error)}") from error

    def _inputs(self, processor: Any, image: Image.Image) -> tuple[Any, int]:
        """What `generate` takes, and how many of the tokens that it gives back repeat the question."""
        if not getattr(processor, "chat_template", None):
            return processor(images=image, return_tensors="pt"), 0
        content = [{"type": "image", "image": image}, {"type": "text", "text": self._prompt}]
        inputs = processor.apply_chat_template(
            [{"role": "user", "content": content}],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        )
        return inputs, inputs["input_ids"].shape[1]


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
