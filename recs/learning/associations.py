"""Which items go with which, in low rank: how strangers get lists and newcomers get users.

The two-tower model is made for users it has seen much of. For a user with a handful of items, and
for items that nobody has touched, a linear autoencoder was better at every number of known items
on validation data: it shrinks what it has not seen often, and its scores carry popularity.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.utils.extmath import randomized_svd

from recs.learning.interactions import Floats

DIMENSION = 128
RANK_FACTOR = 2  # rank of the SVD, times the dimension
RIDGE = 300.0
POWER_ITERATIONS = 4

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Associations:
    """Vectors whose inner products say how much item i speaks for item j.

    Args:
        history: r, what one interaction with an item adds to a user, [I, D].
        items: z, [I, D]; norms are free, at most 1, and grow with popularity.
    """

    history: Floats
    items: Floats


def fit_associations(
    weights: sp.csr_matrix,
    *,
    dimension: int = DIMENSION,
    rank: int | None = None,
    ridge: float = RIDGE,
    seed: int = 0,
) -> Associations:
    """Fit EASE (Steck 2019) in low rank to weights [U, I]; time and memory are linear in both.

    EASE is B_ij = -P_ij / P_jj with P = (X^T X + ridge I)^-1 and a zero diagonal. With
    X ~ U S V^T and f = S^2 / (S^2 + ridge), P = (I - V f V^T) / ridge, so off the diagonal
    B_ij = (V f V^T)_ij / (1 - h_j), where h_j = (V f V^T)_jj. The best approximation of B of rank D
    is r z^T. It generalises better than B itself where a user is known by few items.
    """
    size = min(rank or RANK_FACTOR * dimension, *weights.shape)
    _, singular, right = randomized_svd(
        weights.astype(np.float64), size, n_iter=POWER_ITERATIONS, random_state=seed
    )
    weight_of_item = _Ease(right.T, singular**2 / (singular**2 + ridge))
    found = weight_of_item.decompose(min(dimension, weights.shape[1]), seed=seed)
    # A catalog of fewer items than dimensions leaves the rest zero: the layout does not change.
    history, items = (np.pad(x, ((0, 0), (0, dimension - x.shape[1]))) for x in found)
    return Associations(history.astype(np.float32), items.astype(np.float32))


class _Ease:
    """The item by item matrix B = V f V^T diag(a) - diag(h a), never laid out."""

    def __init__(self, vectors: Matrix, shrinkage: Matrix) -> None:
        self._vectors, self._shrinkage = vectors, shrinkage  # [I, R], [R]
        leverage = np.square(vectors) @ shrinkage  # h, [I]
        self._scale = (1 / np.maximum(1 - leverage, 1e-6))[:, None]
        self._diagonal = leverage[:, None] * self._scale

    def times(self, values: Matrix) -> Matrix:
        """Compute B values, [I, K]."""
        inner = self._shrinkage[:, None] * (self._vectors.T @ (self._scale * values))
        return np.asarray(self._vectors @ inner - self._diagonal * values)

    def transposed_times(self, values: Matrix) -> Matrix:
        """Compute B^T values, [I, K]."""
        inner = self._shrinkage[:, None] * (self._vectors.T @ values)
        return np.asarray(self._scale * (self._vectors @ inner) - self._diagonal * values)

    def decompose(self, dimension: int, *, seed: int) -> tuple[Matrix, Matrix]:
        """Compute the left singular vectors times singular values, and the right ones, [I, D].

        By subspace iteration (Halko, Martinsson and Tropp 2011).
        """
        n_items = len(self._vectors)
        oversampled = min(dimension + 16, n_items)
        basis = np.random.default_rng(seed).normal(size=(n_items, oversampled))
        for _ in range(POWER_ITERATIONS):
            basis = np.linalg.qr(self.times(basis))[0]
            basis = np.linalg.qr(self.transposed_times(basis))[0]
        basis = np.linalg.qr(self.times(basis))[0]
        left, singular, right = np.linalg.svd(self.transposed_times(basis).T, full_matrices=False)
        return (basis @ left[:, :dimension]) * singular[:dimension], right[:dimension].T
