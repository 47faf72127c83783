"""KID in closed form."""

from __future__ import annotations

import numpy as np
import pytest

from tacit.evaluation.metrics.kid import kernel_distance


def test_the_kernel_distance_in_closed_form() -> None:
    x, y = np.array([[1.0, 0], [0, 2], [1, 1]]), np.array([[2.0, 1], [0, 0]])

    def k(a: np.ndarray, b: np.ndarray) -> float:
        return float((a @ b / 2 + 1) ** 3)

    within_x = sum(k(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j) / 6
    across = sum(k(a, b) for a in x for b in y) / 6
    assert kernel_distance(x, y) == pytest.approx(within_x + k(y[0], y[1]) - 2 * across)
    rng = np.random.default_rng(0)
    same = [kernel_distance(*rng.standard_normal((2, 50, 4))) for _ in range(40)]
    assert abs(np.mean(same)) < 0.05  # unbiased: some below 0
    assert min(same) < 0 < max(same)
