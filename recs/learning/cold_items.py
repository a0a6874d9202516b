"""Where an item that nobody has touched stands: among the items whose content is like its own.

This is the reference for what SQL does when an item is inserted (sql/functions/place_items.sql and
kriging_weights.sql). A linear map from content loses to it on both sets: it cannot say that two
words mean little apart and much together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recs.learning.interactions import Floats
from recs.learning.ranking import best_columns, row_blocks

NEIGHBORS = 100
SIMILARITY_POWER = 3.0
POPULARITY_POWER = 0.1
LEAST_POPULARITY = 1e-3
KRIGING_POWER = 1.5
NOISE = 0.5  # variance of what is known of an item, where what content can say has 1
SOLVED_AT_ONCE = 64  # systems of NEIGHBORS equations, and the content they are of

Doubles = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Neighbors:
    """What learned items say of new ones: weights [M, I], two of each for each.

    Args:
        mean: rows sum to one; their middle is where the neighbours are.
        kriging: rows predict what an item is from what those are that it is like.
    """

    mean: sp.csr_matrix
    kriging: sp.csr_matrix


def find_neighbors(
    content: Floats, known_content: Floats, popularity: Floats, *, neighbors: int = NEIGHBORS
) -> Neighbors:
    """Weigh the known items [I, C] that are most like each new one [M, C].

    Rows of content are unit or zero; a new item that nothing resembles gets empty rows. With
    s_jk = max(c_j . c_k, 0), over the nearest `neighbors`:

    mean_jk = s_jk ** 3 * max(popularity_k, .001) ** .1, divided by its sum over k. Without
    popularity the mean of unit vectors stands nearer the rare neighbours than the index does
    justice to: the popular ones are what is bought.

    kriging_j solves (K + .5 I) w = s_j ** 1.5 with K_kl = s_kl ** 1.5: the mean of a Gaussian
    process of mean zero, of the nearest alone (Rasmussen and Williams 2006, eq. 2.23; Vecchia
    1988). Ten neighbours that are alike count little more than one, which a mean cannot say, and
    what is like nothing is predicted to be little. Some weights are below zero.

    Args:
        popularity: [I], in units of the most popular item.
    """
    n_known = known_content.shape[0]
    popular = np.maximum(popularity.astype(np.float64), LEAST_POPULARITY) ** POPULARITY_POWER
    means, krigings = [], []
    for nearest, similarity in _nearest(content, known_content, neighbors):
        means.append(_rows(nearest, similarity**SIMILARITY_POWER * popular[nearest], n_known))
        weights = _kriging(known_content, nearest, similarity)
        krigings.append(_rows(nearest, weights, n_known))
    return Neighbors(_sum_to_one(_stack(means, n_known)), _stack(krigings, n_known))


def neighbor_weights(
    content: Floats,
    known_content: Floats,
    *,
    neighbors: int = NEIGHBORS,
    power: float = SIMILARITY_POWER,
    own: tuple[Indices, Indices] | None = None,
) -> sp.csr_matrix:
    """Weigh the known items [I, C] that are most like each other one [M, C]; rows are [M, I].

    K_jk = max(c_j . c_k, 0) ** power over the nearest `neighbors`, then divided by its sum over k.
    Rows of content are unit or zero; an item that nothing resembles gets an empty row.

    Args:
        own: numbers of the items in rows [M] and columns [I], where they are of one catalog: no
            item is its own neighbour.
    """
    n_known = known_content.shape[0]
    blocks = [
        _rows(nearest, similarity**power, n_known)
        for nearest, similarity in _nearest(content, known_content, neighbors, own)
    ]
    return _sum_to_one(_stack(blocks, n_known))


def similarity_weights(
    similarity: Floats, *, neighbors: int = NEIGHBORS, power: float = SIMILARITY_POWER
) -> sp.csr_matrix:
    """Compute the same from s_jk itself, [M, I], none of it below zero."""
    nearest, strongest = _strongest(similarity, neighbors)
    return _sum_to_one(_rows(nearest, strongest**power, similarity.shape[1]))


def place(weights: sp.csr_matrix, vectors: Floats) -> Floats:
    """Compute sum_k K_jk v_k for vectors [I, D]: [M, D], or [M] for one number an item."""
    return np.asarray(weights @ vectors, np.float32)


def _nearest(
    content: Floats,
    known: Floats,
    neighbors: int,
    own: tuple[Indices, Indices] | None = None,
) -> Iterator[tuple[Indices, Doubles]]:
    """Find the nearest known items [m, k] and s_jk of each, m rows of content at a time."""
    for block in row_blocks(len(content), len(known)):
        similarity = np.maximum(content[block] @ known.T, 0)  # [m, I]
        if own is not None:
            similarity[own[0][block][:, None] == own[1]] = 0
        yield _strongest(similarity, neighbors)


def _strongest(similarity: Floats, neighbors: int) -> tuple[Indices, Doubles]:
    """Find the columns of the largest of each row [m, I], and these, [m, k]."""
    nearest = best_columns(similarity, neighbors)
    return nearest, np.take_along_axis(similarity, nearest, axis=1).astype(np.float64)


def _kriging(known: Floats, nearest: Indices, similarity: Doubles) -> Doubles:
    """Solve the systems of the nearest [m, k], [m, k]."""
    weights = np.empty_like(similarity)
    for start in range(0, len(nearest), SOLVED_AT_ONCE):
        some = slice(start, start + SOLVED_AT_ONCE)
        near = known[nearest[some]]  # [s, k, C]
        kernel = np.maximum(near @ near.transpose(0, 2, 1), 0).astype(np.float64) ** KRIGING_POWER
        takes_part = similarity[some] > 0
        kernel *= takes_part[:, :, None] & takes_part[:, None, :]
        kernel += NOISE * np.eye(nearest.shape[1])
        right = similarity[some, :, None] ** KRIGING_POWER
        weights[some] = np.linalg.solve(kernel, right)[:, :, 0]
    return weights


def _rows(nearest: Indices, weights: Doubles, n_known: int) -> sp.csr_matrix:
    """Put the weights of the nearest [m, k] where they belong, [m, I]."""
    m, k = nearest.shape
    rows = np.repeat(np.arange(m), k)
    block = sp.csr_matrix((weights.ravel(), (rows, nearest.ravel())), shape=(m, n_known))
    block.eliminate_zeros()
    return block


def _stack(blocks: list[sp.csr_matrix], n_known: int) -> sp.csr_matrix:
    return sp.vstack(blocks, format="csr") if blocks else sp.csr_matrix((0, n_known))


def _sum_to_one(weights: sp.csr_matrix) -> sp.csr_matrix:
    sums = np.asarray(weights.sum(axis=1)).ravel()
    return sp.csr_matrix(sp.diags(1 / np.where(sums > 0, sums, 1)) @ weights)
