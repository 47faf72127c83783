"""A study from its configuration to its folder."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from tacit.evaluation.runner import Progress
from tacit.study import report, summary
from tacit.study.ablation import ablation
from tacit.study.captions import caption_study
from tacit.study.config import AblationConfig, CaptionStudyConfig, StudyConfig
from tacit.study.steering import steering


def run(config: StudyConfig, out: Path, progress: Progress, *, jobs: int = 1, command: str = "") -> dict[str, Any]:
    """Measure, and write `study.json`, `report.md` and plots into `out`, which keeps all that is done. Returns what is
    in the JSON file.

    jobs: variants that train at a time, and processes that measure. command: how this can be run again.

    Raises: InvalidInput, PathError, UnknownModel, MissingExtra, and what training raises.
    """
    begun = time.monotonic()
    if isinstance(config, AblationConfig):
        of_ablation = ablation(config, out, progress, jobs=jobs, command=command)
        result = summary.of_ablation(of_ablation, command, time.monotonic() - begun)
    elif isinstance(config, CaptionStudyConfig):
        of_captions = caption_study(config, out, progress, jobs=jobs)
        result = summary.of_captions(config, of_captions, command, time.monotonic() - begun)
    else:
        of_steering = steering(config, out, progress, jobs=jobs)
        result = summary.of_steering(config, of_steering, command, time.monotonic() - begun)
    report.write(result, out)
    return result
