"""Which items go with which, in low rank: how strangers get lists and newcomers get users.

The two-tower model is made for users it has seen much of. For a user with a handful of items, and
for items that nobody has touched, a linear autoencoder was better at every number of known items
on validation data: it shrinks what it has not seen often, and its scores carry popularity. In a
large catalog most items are not seen often: a low-pass filter of the graph, beside it, knows these,
and whom a single item speaks for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recs.learning.interactions import Floats
from recs.learning.ranking import row_blocks


@dataclass(frozen=True)
class Fading:
    """What the parts of a sum of associations count by the number n of distinct items it is of.

    The first coordinates are a low-pass filter, which counts s / (n + s): it is for newcomers. The
    last ones are the detail of EASE, which counts n / (n + s): one item says too little to be read
    so closely, twenty do. Those between count 1.

    Args:
        low_pass_dimension: how many coordinates are the low-pass filter.
        detail_dimension: how many coordinates are detail.
        support: s, distinct items at which either counts half.
    """

    low_pass_dimension: int = 0
    detail_dimension: int = 0
    support: float = 1.0

    def fade(self, sums: Floats, support: NDArray[np.integer]) -> Floats:
        """Weigh sums [U, D] of users of n = `support` [U] items.

        This is the reference for sql/functions/blend_user.sql.
        """
        faded = sums.copy()
        n = support[:, None].astype(np.float32)
        faded[:, : self.low_pass_dimension] *= self.support / (n + self.support)
        detail = sums.shape[1] - self.detail_dimension
        faded[:, detail:] *= n / (n + self.support)
        return faded


@dataclass(frozen=True)
class Associations:
    """Vectors whose inner products say how much item i speaks for item j.

    Args:
        history: r, what one interaction with an item adds to a user, [I, D].
        items: z, [I, D]; norms are free, at most 1 (of two kinds side by side, the root of 2),
            and grow with popularity.
        fading: what their parts count by how many items a user is known by.
    """

    history: Floats
    items: Floats
    fading: Fading = Fading()

    def sums(self, weights: sp.csr_matrix) -> Floats:
        """Compute v of users, [U, D], from histories [U, I] of which no weight is zero."""
        sums = np.asarray(weights @ self.history, np.float32)
        return self.fading.fade(sums, np.diff(weights.indptr))


def join(
    low_pass: Associations,
    ease: Associations,
    weights: sp.csr_matrix,
    *,
    share: float,
    detail_dimension: int = 0,
    support: float,
) -> Associations:
    """Put both kinds of associations side by side, the first fading from `share` of the second.

    It has that share of the median strength over the histories `weights` [U, I] before anything
    fades. Both together are scaled to the strength of EASE there, so what is added to a score by a
    number keeps its worth. A filter of no dimensions leaves EASE as it is.
    """
    if not low_pass.items.shape[1]:
        return replace(ease, fading=Fading(0, detail_dimension, support))
    strengths = [_norms(weights, part.history) for part in (low_pass, ease)]
    both = (strengths[0] > 0) & (strengths[1] > 0)
    ratio = float(np.median(strengths[1][both] / strengths[0][both])) if both.any() else 1.0
    total = float(np.hypot(1, share))
    history = np.column_stack([share * ratio * low_pass.history, ease.history]) / total
    items = np.column_stack([low_pass.items, ease.items])
    fading = Fading(low_pass.items.shape[1], detail_dimension, support)
    return Associations(history.astype(np.float32), items.astype(np.float32), fading)


def _norms(weights: sp.csr_matrix, vectors: Floats) -> Floats:
    """Compute the norms of the rows of weights @ vectors, [U], a block of users at a time."""
    blocks = [
        np.linalg.norm(weights[block] @ vectors, axis=1)
        for block in row_blocks(weights.shape[0], vectors.shape[1])
    ]
    return np.concatenate(blocks)
