"""Choosing settings on held-out data without chasing its noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")


def nearest_good(
    candidates: Sequence[T],
    verdicts: NDArray[np.floating],
    default: T,
    names: Sequence[str],
    *,
    tolerance: float,
    least: float = 0.01,
) -> T:
    """Choose the candidate nearest to the default among those about as good as the best.

    Nearness is by how many factors of e the attributes `names` differ, summed, where less than
    `least` counts as that; of equally near ones the better.

    Args:
        verdicts: [N], one a candidate, more is better.
        tolerance: share of the best verdict that is noise.
    """

    def distance(candidate: T) -> float:
        return sum(
            abs(math.log(max(getattr(candidate, name), least) / getattr(default, name)))
            for name in names
        )

    good = np.flatnonzero(verdicts >= (1 - tolerance) * verdicts.max()).tolist()
    return candidates[min(good, key=lambda n: (distance(candidates[n]), -verdicts[n]))]
