"""The learning rate over a run."""

from __future__ import annotations

import pytest

from tacit.training.config import ScheduleConfig
from tacit.training.learning_rate import learning_rate_factor


@pytest.mark.parametrize(
    ("config", "points"),
    [
        (
            ScheduleConfig(kind="cosine", warmup=10, decay=0.5),
            {(0, 0.0, 0): 0.1, (9, 0.3, 0): 1, (50, 0.5, 0): 1, (75, 0.75, 0): 0.5},
        ),
        (ScheduleConfig(kind="cosine", warmup=0, decay=0.5), {(0, 0.0, 0): 1, (99, 1.0, 0): 0.01, (120, 1.2, 0): 0.01}),
        (ScheduleConfig(kind="cosine", warmup=0, decay=0.0), {(0, 0.0, 0): 1, (99, 1.0, 0): 1}),
        (
            ScheduleConfig(kind="multistep", warmup=0, decay=0.0, milestones=(45, 48)),
            {(0, 0, 44.9): 1, (1, 0, 45): 0.1, (1, 0, 48): 0.01},
        ),
    ],
)
def test_schedules(config: ScheduleConfig, points: dict[tuple[int, float, float], float]) -> None:
    for where, value in points.items():
        assert learning_rate_factor(config, *where) == pytest.approx(value)
