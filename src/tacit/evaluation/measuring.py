"""Doing one task: encode, decode, and compute the metrics."""

from __future__ import annotations

import errno
import math
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from tacit import files
from tacit.errors import InvalidInput, MissingExtra, PathError, TacitError, WeightsError
from tacit.evaluation.cost import Cost
from tacit.evaluation.journal import JournalEntry
from tacit.evaluation.metrics import load_metric
from tacit.evaluation.metrics.taco_authors import UNCLAMPED_METRICS, load_unclamped_metric
from tacit.evaluation.pixels import load_pixels
from tacit.evaluation.tasks import EvalTask


@dataclass(frozen=True)
class TaskProblem:
    """Why a task could not be done."""

    reason: str
    scope: Literal["task", "image", "codec"] = "task"
    """What the problem concerns: this task alone, or all tasks of its image or of its codec."""


def attempt(task: EvalTask) -> JournalEntry | TaskProblem:
    """Do a task, and return its journal entry or why there is none.

    Raises:
        PathError: The disk is full, which is not this task's fault alone.
    """
    try:
        load_pixels(task.image.path)
    except TacitError as error:
        return TaskProblem(f"the image cannot be read: {one_line(error)}", "image")
    try:
        return _measure(task)
    except (MissingExtra, WeightsError) as error:
        return TaskProblem(f"cannot be used here: {one_line(error)}", "codec")
    except TacitError as error:
        raise_if_disk_full(error)
        return TaskProblem(one_line(error))
    except MemoryError:
        return TaskProblem("not enough memory")
    except Exception as error:  # a codec's library may raise anything
        raise_if_disk_full(error)
        return TaskProblem(f"{type(error).__name__}: {one_line(error)[:300]}")


def one_line(error: BaseException) -> str:
    """Return an error's message without line breaks."""
    return " ".join(str(error).split())


def raise_if_disk_full(error: BaseException) -> None:
    """Pass on an error that was caused by a full disk.

    Raises:
        PathError: The disk is full.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
            raise PathError(f"{files.reason(cause)}; what is done so far is kept, and the same command continues")
        cause = cause.__cause__


def _measure(task: EvalTask) -> JournalEntry:
    original = load_pixels(task.image.path)
    height, width, _ = original.shape
    target = task.folder / task.file
    earlier = task.earlier or {}
    if earlier:
        decoded, decode = task.codec.decode(target, task.quality, task.threads)
        encode = Cost(*earlier["encode"])
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        # The file has another name until it is whole.
        partial = target.with_name(f".{secrets.token_hex(8)}.part.{task.codec.suffix}")
        try:
            encode = task.codec.encode(original, task.caption, task.quality, partial, task.threads)
            decoded, decode = task.codec.decode(partial, task.quality, task.threads)
            files.move(partial, target)
        finally:
            partial.unlink(missing_ok=True)
    if decoded.shape != original.shape or decoded.dtype != np.uint8:
        raise InvalidInput(
            f"the decoded image must be {original.shape} uint8 as the original is, got {decoded.shape} {decoded.dtype}"
        )
    unclamped: np.ndarray | None = None
    if not UNCLAMPED_METRICS.keys().isdisjoint(task.metrics):
        unclamped = task.codec.decode_unclamped(target, task.quality, task.threads)
    metrics, notes = dict(earlier.get("metrics", {})), dict(earlier.get("notes", {}))
    for name, protocol in task.metrics.items():
        if earlier.get("protocols", {}).get(name) == protocol:
            continue
        if name not in UNCLAMPED_METRICS:
            metrics[name], notes[name] = _value(_metric(name), original, decoded, task.image.caption)
        elif unclamped is not None:
            metrics[name], notes[name] = _value(_metric(name), original, unclamped, target)
        else:
            metrics[name], notes[name] = None, "only for tacit's models"
    return {
        "key": task.key,
        "image": task.image.name,
        "codec": task.codec.name,
        "quality": task.quality,
        "width": width,
        "height": height,
        "bytes": target.stat().st_size,
        "encode": _rounded(encode),
        "decode": _rounded(decode),
        "metrics": metrics,
        "notes": {name: text for name, text in notes.items() if text},
        "protocols": {**earlier.get("protocols", {}), **task.metrics},
    }


def _rounded(cost: Cost) -> list[float | int | None]:
    return [round(cost.seconds, 5), cost.memory, None if cost.cpu is None else round(cost.cpu, 5)]


def _value(metric: Callable[..., float], *arguments: Any) -> tuple[float | None, str]:
    """Return a metric's value to seven digits and an empty text, or None and why there is no finite value."""
    try:
        value = float(f"{metric(*arguments):.7g}")
    except InvalidInput as error:  # the image is too small for this metric, or has no caption
        return None, str(error)
    if math.isfinite(value):
        return value, ""
    return None, "infinite: no pixel differs" if value > 0 else f"its value is {value}"


@lru_cache(maxsize=32)
def _metric(name: str) -> Any:
    return load_unclamped_metric(name) if name in UNCLAMPED_METRICS else load_metric(name)
