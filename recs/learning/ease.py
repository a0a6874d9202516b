"""Which items go with which by linear regression: EASE, in low rank."""

from __future__ import annotations

import math

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from recs.learning.associations import Associations
from recs.learning.blocks import CPU, Blocks
from recs.learning.subspace import leading_eigenvectors

DIMENSION = 128
RANK_FACTOR = 2  # rank of the SVD, times the dimension
TURNS = 4  # in which the diagonal is found: the fifth changes nothing


def fit_ease(
    weights: sp.csr_matrix,
    targets: sp.csr_matrix | None = None,
    *,
    dimension: int = DIMENSION,
    rank: int | None = None,
    ridge: float | None = None,
    seed: int = 0,
    device: torch.device = CPU,
) -> Associations:
    """Fit EASE (Steck 2019) in low rank to weights X [U, I]; time and memory are linear in both.

    EASE predicts X from X; here Y is predicted, `targets` [U, I], or X if left out: what is bought
    now, from everything that was. B minimises |Y - X B|^2 + ridge |B|^2 with a zero diagonal:
    B = P (X^T Y - diag(m)), P = (X^T X + ridge I)^-1, m_j = (P X^T Y)_jj / P_jj.
    With X ~ U S V^T and f = S^2 / (S^2 + ridge), P = (I - V f V^T) / ridge, so B = V M off the
    diagonal, where M = (S^2 + ridge)^-1 V^T X^T Y + f V^T diag(m) / ridge. B is approximated in
    rank D, `dimension` but at most I, by r z^T, its coordinates in the order of what they
    contribute: the first of them generalise best where a user is known by few items. What an item
    says for itself is never asked, so no rank is spent on the zeros of the diagonal: there B has
    what the approximation has, found in a few turns (the communalities of factor analysis).

    Args:
        ridge: the `noise_edge` of X if left out.
    """
    ridge = noise_edge(weights) if ridge is None else ridge
    size = min(rank or RANK_FACTOR * dimension, *weights.shape)
    known = Blocks.of(weights, device)
    wanted = known if targets is None else Blocks.of(targets, device)
    # S^2 [R] and V [I, R] from X^T X: U, which has a row for every user, is never laid out.
    squares, vectors = leading_eigenvectors(
        known.through, size, n=weights.shape[1], seed=seed, device=device
    )
    shrinkage = squares / (squares + ridge)  # f
    # M^T, changed in place: of a million items it has some gigabytes.
    mixed = known.through(vectors, wanted)  # Y^T X V, [I, R]
    mixed /= squares + ridge
    inverse_diagonal = (1 - vectors.square() @ shrinkage).clamp_min(1e-6) / ridge  # P_jj
    multiplier = _diagonal(vectors, mixed) / inverse_diagonal  # m
    mixed.addcmul_(vectors * shrinkage, (multiplier / ridge)[:, None])
    matrix = _Ease(vectors, mixed)
    history, items = matrix.factors(min(dimension, weights.shape[1]), seed=seed)
    # What nobody has speaks for nothing; in single precision it is only nearly so.
    had = np.asarray(weights.sum(axis=0)).reshape(-1, 1) > 0
    return Associations(history.cpu().numpy() * had, items.cpu().numpy())


def noise_edge(weights: sp.csr_matrix) -> float:
    """Compute the largest eigenvalue that X^T X would have if users chose at random.

    mean_i (sum_u x_ui^2) (1 + sqrt(I / U))^2, the edge of the spectrum of noise (Marchenko and
    Pastur 1967), over the U users and I items that have anything; 1 where nobody has. As a ridge it
    halves what is as strong as chance can be. The best ridge grows with how often items are chosen:
    one number for all data is a few times too much for some and too little for others.
    """
    n_items, n_users = (int(np.count_nonzero(weights.sum(axis=axis))) for axis in (0, 1))
    if not n_items:
        return 1.0
    squares = float(np.square(weights.data, dtype=np.float64).sum())
    return squares / n_items * (1 + math.sqrt(n_items / n_users)) ** 2


class _Ease:
    """The item by item matrix B = V M off the diagonal, zero or free on it, never laid out."""

    def __init__(self, vectors: Tensor, mixed: Tensor) -> None:
        self._vectors, self._mixed = vectors, mixed  # V and M^T, [I, R]
        # What V M has on its diagonal more than B.
        self._surplus = _diagonal(vectors, mixed)[:, None]

    def times(self, values: Tensor) -> Tensor:
        """Compute B values, [I, K]."""
        product = self._vectors @ (self._mixed.T @ values)
        return product.addcmul_(self._surplus, values, value=-1)

    def transposed_times(self, values: Tensor) -> Tensor:
        """Compute B^T values, [I, K]."""
        product = self._mixed @ (self._vectors.T @ values)
        return product.addcmul_(self._surplus, values, value=-1)

    def factors(self, dimension: int, *, seed: int) -> tuple[Tensor, Tensor]:
        """Compute r and z, [I, D], of which r z^T is near B off the diagonal."""
        # The leading eigenvectors of X^T X are nearly those of B^T B.
        zero, items = self._surplus, self._vectors[:, :dimension]
        for _ in range(TURNS):
            history, items = self._approximate(dimension, items, seed=seed)
            self._surplus = zero - _diagonal(history, items)[:, None]
        return self._approximate(dimension, items, seed=seed)

    def _approximate(self, dimension: int, near: Tensor, *, seed: int) -> tuple[Tensor, Tensor]:
        """Compute the best approximation (B V) V^T of rank D: B V and V, [I, D].

        V are the leading eigenvectors of B^T B; `near` are those of the turn before.
        """
        _, right = leading_eigenvectors(
            lambda values: self.transposed_times(self.times(values)),
            dimension,
            n=len(self._vectors),
            seed=seed,
            device=self._vectors.device,
            near=near,
        )
        return self.times(right), right


def _diagonal(left: Tensor, right: Tensor) -> Tensor:
    """Compute the diagonal of left [I, R] @ right^T [R, I], [I]."""
    return torch.einsum("ir,ir->i", left, right)
