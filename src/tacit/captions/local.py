"""Captions from an image-to-text model on this machine, through `transformers`."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from tacit.captions.caption_text import tidy_answer
from tacit.errors import CaptionerError, CaptionerUnusable, InvalidInput
from tacit.extras import require


class LocalCaptioner:
    """A `Captioner` that runs a model.

    A model with a chat template is asked the prompt; others (BLIP, GIT) describe images without one. Nothing is loaded
    before the first image; one image is worked on at a time.

    Args:
        model: A folder, or a name on the Hugging Face hub; code that comes with a model is not run.
        prompt: What the model is asked.
        device: A device as torch names it.
        max_tokens: The length of an answer in tokens, at most.

    Raises:
        MissingExtra: `transformers` or torch is not installed.
        InvalidInput: `model` is neither a folder nor a name.
    """

    def __init__(self, model: str, prompt: str, *, device: str = "cpu", max_tokens: int = 300) -> None:
        require("torch", "a local captioner", "clip")
        self._transformers = require("transformers", "a local captioner", "clip")
        if not Path(model).is_dir() and not re.fullmatch(r"[\w-][\w.-]*(/[\w.-]+)?", model):
            raise InvalidInput(f"captioner must be a folder or a name on the Hugging Face hub, got {model!r}")
        self._name = model
        self._prompt = prompt
        self._device = device
        self._max_tokens = max_tokens
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._loaded: tuple[Any, Any] | None = None

    @property
    def model(self) -> str:
        """The model's folder or name."""
        return self._name

    @property
    def settings(self) -> Mapping[str, str | int]:
        """What decides an answer; a folder counts by its path, so a model put in its place gets the old answers."""
        name = str(Path(self._name).resolve()) if Path(self._name).is_dir() else self._name
        return {"model": name, "prompt": self._prompt, "max_tokens": self._max_tokens, "local": 1}

    def __call__(self, image: Image.Image) -> str:
        """Return the model's caption: its likeliest words, so that the same image has the same one again.

        Raises:
            CaptionerError: The model failed, or was stopped.
            CaptionerUnusable: The model cannot be loaded.
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
                raise CaptionerError(f"{self._name}: failed: {_first_line(error)}") from error

    def stop(self) -> None:
        """Make further calls fail; the image that is worked on is finished."""
        self._stopped.set()

    def _load(self) -> tuple[Any, Any]:
        """Load model and processor."""
        names = self._transformers
        try:
            processor = names.AutoProcessor.from_pretrained(self._name)
            model = names.AutoModelForImageTextToText.from_pretrained(self._name)
            return model.to(self._device).eval(), processor
        except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
            raise CaptionerUnusable(f"{self._name}: cannot be loaded: {_first_line(error)}") from error

    def _inputs(self, processor: Any, image: Image.Image) -> tuple[Any, int]:
        """Return what `generate` takes, and how many of the tokens that it gives back repeat the question."""
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
