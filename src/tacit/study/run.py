"""Run a study: from its configuration to its folder of results."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from tacit.evaluation.progress import EvalProgress
from tacit.study import report, summary
from tacit.study.ablation_study import run_ablation
from tacit.study.caption_study import run_caption_study
from tacit.study.config import AblationConfig, CaptionStudyConfig, OracleConfig, StudyConfig, SurvivalConfig
from tacit.study.oracle_study import run_oracle_study
from tacit.study.steering_study import run_steering_study
from tacit.study.survival_study import run_survival_study


def run_study(
    config: StudyConfig, out: Path, progress: EvalProgress, *, jobs: int = 1, command: str = ""
) -> dict[str, Any]:
    """Run a study, and write `study.json`, `report.md` and plots.

    Args:
        config: The study's configuration.
        out: The folder to write to, which keeps all that is done.
        progress: Takes what is reported.
        jobs: The number of variants that train at a time, and of processes that measure.
        command: How the study can be run again, for the report.

    Returns:
        The values in `study.json`.

    Raises:
        InvalidInput: No set of images can be used, or what the configuration asks for is not possible.
        PathError: A file cannot be read or written.
        UnknownModel: There are no weights of a configured name.
        MissingExtra: A library that is needed is not installed.
        TacitError: A training run failed.
    """
    start = time.monotonic()
    if isinstance(config, AblationConfig):
        ablation = run_ablation(config, out, progress, jobs=jobs, command=command)
        values = summary.of_ablation(ablation, command, time.monotonic() - start)
    elif isinstance(config, CaptionStudyConfig):
        sets = run_caption_study(config, out, progress, jobs=jobs)
        values = summary.of_captions(config, sets, command, time.monotonic() - start)
    elif isinstance(config, OracleConfig):
        oracle = run_oracle_study(config, out, progress, jobs=jobs)
        values = summary.of_oracle(config, oracle, command, time.monotonic() - start)
    elif isinstance(config, SurvivalConfig):
        survival = run_survival_study(config, out, progress, jobs=jobs)
        values = summary.of_survival(config, survival, command, time.monotonic() - start)
    else:
        steering = run_steering_study(config, out, progress, jobs=jobs)
        values = summary.of_steering(config, steering, command, time.monotonic() - start)
    report.write(values, out)
    return values
