"""Quality of recommendations and of the index, in numpy alone.

Everywhere below, for user u with recommendations l_u = (l_u1, .., l_uK) and relevant items R_u,
h_uj = 1 if l_uj is in R_u and j is the first position of that item in the list, else 0.
A list may be padded with PADDING; a padded position is never a hit. Every quality metric is the
mean over the users with |R_u| >= 1, and nan when there is no such user.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.integer]
FloatArray = NDArray[np.float64]

PADDING = -1


def recall_at_k(recommended: IntArray, relevant: Sequence[IntArray], *, k: int) -> float:
    """Compute |top-k ∩ R_u| / |R_u|, mean over users.

    recommended is [U, K] with K >= k or padded; relevant holds U arrays of item ids.
    """
    return recall_of_hits(*hits_at_k(recommended, relevant, k=k))


def ndcg_at_k(recommended: IntArray, relevant: Sequence[IntArray], *, k: int) -> float:
    """Compute binary nDCG, mean over users.

    DCG_u = sum_{j=1..k} h_uj / log2(j + 1); the ideal is sum_{j=1..min(k, |R_u|)} 1 / log2(j + 1).
    """
    return ndcg_of_hits(*hits_at_k(recommended, relevant, k=k), k=k)


def recall_of_hits(hits: NDArray[np.bool_], sizes: NDArray[np.int64]) -> float:
    """Compute recall@k of h [U, k] and |R_u| [U]."""
    return _mean(hits.sum(axis=1), sizes)


def ndcg_of_hits(hits: NDArray[np.bool_], sizes: NDArray[np.int64], *, k: int) -> float:
    """Compute ndcg@k of h [U, min(k, K)] and |R_u| [U]."""
    discounts = 1.0 / np.log2(np.arange(2, k + 2))
    ideals = np.concatenate([[0.0], np.cumsum(discounts)])
    gains = hits @ discounts[: hits.shape[1]]
    return _mean(gains, ideals[np.minimum(sizes, k)])


def hit_rate_at_k(recommended: IntArray, relevant: Sequence[IntArray], *, k: int) -> float:
    """Compute the share of users with at least one relevant item in the top k."""
    hits, sizes = hits_at_k(recommended, relevant, k=k)
    return _mean(np.minimum(hits.sum(axis=1), 1), np.minimum(sizes, 1))


def catalog_coverage(recommended: IntArray, *, n_items: int, k: int) -> float:
    """Compute the share of the catalog that at least one user sees: |∪_u top-k of u| / n_items."""
    shown = recommended[:, :k]
    return float(np.unique(shown[shown != PADDING]).size / n_items)


def ann_recall_at_k(found: IntArray, exact: IntArray, *, k: int) -> FloatArray:
    """Compute |found top-k ∩ exact top-k| / |exact top-k| for every query, [Q].

    A value per query and not their mean, because a mean of .86 hides queries at 0: look at the
    minimum and the first percentile too. A query whose exact list is empty gets 1.
    """
    truth = [row[row != PADDING] for row in exact[:, :k]]
    hits, sizes = hits_at_k(found, truth, k=k)
    return np.where(sizes > 0, hits.sum(axis=1) / np.maximum(sizes, 1), 1.0)


def hits_at_k(
    recommended: IntArray, relevant: Sequence[IntArray], *, k: int
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Return h [U, min(k, K)] and |R_u|, the number of distinct relevant items, [U]."""
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    if recommended.ndim != 2 or len(recommended) != len(relevant):
        raise ValueError(
            f"expected recommendations [{len(relevant)}, K], one row per entry of relevant, "
            f"got shape {recommended.shape}"
        )
    top = recommended[:, :k].astype(np.int64)
    users, items = _pairs(relevant)
    stride = int(max(top.max(initial=0), items.max(initial=0))) + 1
    wanted = np.unique(users * stride + items)
    keys = np.arange(len(top))[:, None] * stride + top
    hits = np.isin(keys, wanted) & (top != PADDING) & _first_occurrences(top)
    sizes = np.bincount(wanted // stride, minlength=len(relevant)).astype(np.int64)
    return hits, sizes


def _pairs(relevant: Sequence[IntArray]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the row and the item of every relevant pair."""
    lengths = [len(items) for items in relevant]
    rows = np.repeat(np.arange(len(relevant), dtype=np.int64), lengths)
    items = np.concatenate([np.asarray(r, np.int64) for r in relevant]) if lengths else rows
    return rows, items


def _first_occurrences(top: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Mark the positions whose item did not appear earlier in the same list."""
    order = np.argsort(top, axis=1, kind="stable")
    ordered = np.take_along_axis(top, order, axis=1)
    fresh = np.ones_like(ordered, dtype=np.bool_)
    fresh[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    first = np.empty_like(fresh)
    np.put_along_axis(first, order, fresh, axis=1)
    return first


def _mean(gains: NDArray[np.number], ideals: NDArray[np.number]) -> float:
    """Return the mean of gain / ideal over the users whose ideal is above 0."""
    judged = ideals > 0
    return float(np.mean(gains[judged] / ideals[judged])) if judged.any() else float("nan")
