"""The best of a row of scores, some rows at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

CELLS = 1 << 24  # scores held at once


def row_blocks(rows: int, columns: int) -> Iterator[slice]:
    """Cut rows of so many columns into blocks of 2^24 numbers at most, of a row at least."""
    step = max(1, CELLS // max(columns, 1))
    return (slice(start, start + step) for start in range(0, rows, step))


def best_columns(scores: NDArray[np.floating], k: int) -> NDArray[np.int64]:
    """Return the columns of the k largest of each row [V, I], largest first, [V, min(k, I)].

    Several times faster than a partition by NumPy.
    """
    k = min(k, scores.shape[1])
    best: NDArray[np.int64] = torch.topk(torch.from_numpy(scores), k, dim=1).indices.numpy()
    return best
