"""Where an item that nobody has touched stands: among the items whose content is like its own.

This is the reference for what SQL does when an item is inserted (sql/functions/place_items.sql).
A linear map from content loses to it on both sets: it cannot say that two words mean little apart
and much together.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recs.learning.interactions import Floats

NEIGHBORS = 100
SIMILARITY_POWER = 3.0
BLOCK = 1024

Indices = NDArray[np.int64]


def neighbor_weights(
    content: Floats | sp.csr_matrix,
    known_content: Floats | sp.csr_matrix,
    *,
    neighbors: int = NEIGHBORS,
    power: float = SIMILARITY_POWER,
    popularity: Floats | None = None,
    popularity_power: float = 0.0,
    own: tuple[Indices, Indices] | None = None,
) -> sp.csr_matrix:
    """Weigh the known items [I, C] that are most like each new one [M, C]; rows are [M, I].

    K_jk = max(c_j . c_k, 0) ** power * popularity_k ** popularity_power over the nearest
    `neighbors`, then divided by its sum over k. Rows of content are unit or zero; a new item that
    nothing resembles gets an empty row. Without popularity_power the mean of unit vectors stands
    nearer the rare neighbours than the index does justice to: the popular ones are what is bought.

    Args:
        own: numbers of the items in rows [M] and columns [I], where they are of one catalog: no
            item is its own neighbour.
    """
    blocks = [
        _block(
            content[start : start + BLOCK],
            known_content,
            neighbors,
            power,
            own and (own[0][start : start + BLOCK], own[1]),
        )
        for start in range(0, content.shape[0], BLOCK)
    ]
    empty = sp.csr_matrix((0, known_content.shape[0]))
    weights = sp.vstack(blocks, format="csr") if blocks else empty
    if popularity is not None and popularity_power:
        weights = weights @ sp.diags(popularity.astype(np.float64) ** popularity_power)
    return _sum_to_one(weights)


def place(weights: sp.csr_matrix, vectors: Floats) -> Floats:
    """Compute sum_k K_jk v_k for vectors [I, D]: [M, D], or [M] for one number an item."""
    return np.asarray(weights @ vectors, np.float32)


def _block(
    content: Floats | sp.csr_matrix,
    known: Floats | sp.csr_matrix,
    neighbors: int,
    power: float,
    own: tuple[Indices, Indices] | None,
) -> sp.csr_matrix:
    product = content @ known.T
    dense = product.toarray() if isinstance(product, sp.csr_matrix) else product
    similarity = np.maximum(dense, 0).astype(np.float64)  # [m, I]
    if own is not None:
        similarity[own[0][:, None] == own[1]] = 0
    k = min(neighbors, known.shape[0])
    nearest = np.argpartition(-similarity, k - 1, axis=1)[:, :k]
    values = np.take_along_axis(similarity, nearest, axis=1) ** power
    rows = np.repeat(np.arange(len(nearest)), k)
    block = sp.csr_matrix((values.ravel(), (rows, nearest.ravel())), shape=similarity.shape)
    block.eliminate_zeros()
    return block


def _sum_to_one(weights: sp.csr_matrix) -> sp.csr_matrix:
    sums = np.asarray(weights.sum(axis=1)).ravel()
    return sp.csr_matrix(sp.diags(1 / np.where(sums > 0, sums, 1)) @ weights)
