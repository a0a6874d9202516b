"""Which items go with which, in low rank: how strangers get lists and newcomers get users.

The two-tower model is made for users it has seen much of. For a user with a handful of items, and
for items that nobody has touched, a linear autoencoder was better at every number of known items
on validation data: it shrinks what it has not seen often, and its scores carry popularity. In a
large catalog most items are not seen often: a low-pass filter of the graph, beside it, knows these,
and whom a single item speaks for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor

from recs.learning.blocks import CPU, Blocks
from recs.learning.graph import Graph
from recs.learning.interactions import Floats
from recs.learning.ranking import row_blocks
from recs.learning.subspace import leading_eigenvectors

DIMENSION = 128
RANK_FACTOR = 2  # rank of the SVD, times the dimension
TURNS = 4  # in which the diagonal is found


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


def fit_associations(
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
    projected = known.through(vectors, wanted)  # Y^T X V
    mixed = (projected / (squares + ridge)).T  # [R, I]
    inverse_diagonal = (1 - vectors.square() @ shrinkage).clamp_min(1e-6) / ridge  # P_jj
    multiplier = _diagonal(vectors, mixed) / inverse_diagonal  # m
    mixed = mixed + shrinkage[:, None] * vectors.T * (multiplier / ridge)
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


def fit_low_pass(
    weights: sp.csr_matrix,
    *,
    dimension: int = DIMENSION,
    seed: int = 0,
    device: torch.device = CPU,
) -> Associations:
    """Fit the ideal low-pass filter of the interaction graph (GF-CF, Shen et al. 2021).

    With R = D_U^-1/2 X D_I^-1/2 ~ U S V^T, the score of j after i is that of
    D_I^-1/2 V V^T D_I^1/2. With D_I^1/2 V = Q T, Q of orthonormal columns as EASE's items are, it
    is r z^T for z = Q and r = D_I^-1/2 V T^T. Every user weighs the same in it, and an item counts
    by how seldom it is seen: it knows the rare items of a large catalog, where EASE shrinks them.
    """
    graph = Graph.of(weights, device=device)
    factors = graph.leading_signals(dimension, seed=seed)[1].astype(np.float64)
    root = np.sqrt(graph.item_degrees.astype(np.float64))[:, None]
    items, triangle = np.linalg.qr(root * factors)
    history = np.divide(factors, root, out=np.zeros_like(factors), where=root > 0) @ triangle.T
    return Associations(history.astype(np.float32), items.astype(np.float32))


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


def _diagonal(left: Tensor, right: Tensor) -> Tensor:
    """Compute the diagonal of left [I, R] @ right [R, I], [I]."""
    return (left * right.T).sum(dim=1)


class _Ease:
    """The item by item matrix B = V M off the diagonal, zero or free on it, never laid out."""

    def __init__(self, vectors: Tensor, mixed: Tensor) -> None:
        self._vectors, self._mixed = vectors, mixed  # [I, R], [R, I]
        # What V M has on its diagonal more than B.
        self._surplus = _diagonal(vectors, mixed)[:, None]

    def times(self, values: Tensor) -> Tensor:
        """Compute B values, [I, K]."""
        return self._vectors @ (self._mixed @ values) - self._surplus * values

    def transposed_times(self, values: Tensor) -> Tensor:
        """Compute B^T values, [I, K]."""
        return self._mixed.T @ (self._vectors.T @ values) - self._surplus * values

    def factors(self, dimension: int, *, seed: int) -> tuple[Tensor, Tensor]:
        """Compute r and z, [I, D], of which r z^T is near B off the diagonal."""
        # The leading eigenvectors of X^T X are nearly those of B^T B.
        zero, items = self._surplus, self._vectors[:, :dimension]
        for _ in range(TURNS):
            history, items = self._approximate(dimension, items, seed=seed)
            self._surplus = zero - _diagonal(history, items.T)[:, None]
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
