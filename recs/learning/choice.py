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
    tolerance: float | NDArray[np.floating],
    least: float = 0.01,
) -> T:
    """Choose the candidate nearest to the default among those about as good as the best.

    Nearness is by how many factors of e the attributes `names` differ, summed, where less than
    `least` counts as that; of equally near ones the better.

    Args:
        verdicts: [N, H], one a candidate and kind of user, more is better. The best has the largest
            sum, and who is about as good is so for every kind.
        tolerance: share of the best one's verdicts that is noise, one or [H].
    """

    def distance(candidate: T) -> float:
        return sum(
            abs(math.log(max(getattr(candidate, name), least) / getattr(default, name)))
            for name in names
        )

    total = verdicts.sum(axis=1)
    enough = (1 - tolerance) * verdicts[total.argmax()]
    good = np.flatnonzero((verdicts >= enough).all(axis=1)).tolist()
    return candidates[min(good, key=lambda n: (distance(candidates[n]), -total[n]))]
