"""The interaction graph, as products that never hold more than a block of users."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor

from recs.learning.blocks import CPU, Blocks
from recs.learning.interactions import Floats
from recs.learning.subspace import leading_eigenvectors
from recs.learning.vectors import unit_rows


@dataclass(frozen=True)
class Graph:
    """The symmetrically normalised adjacency R = D_U^-1/2 W D_I^-1/2, [U, I].

    Args:
        adjacency: R.
        item_degrees: [I], sums of W.
    """

    adjacency: Blocks
    item_degrees: Floats

    @staticmethod
    def of(weights: sp.csr_matrix, *, device: torch.device = CPU) -> Graph:
        """Normalise weights [U, I] by the square roots of both degrees."""
        users = np.asarray(weights.sum(axis=1)).ravel()
        items = np.asarray(weights.sum(axis=0)).ravel()
        scaled = sp.diags(_inverse_sqrt(users)) @ weights @ sp.diags(_inverse_sqrt(items))
        return Graph(Blocks.of(sp.csr_matrix(scaled), device), items.astype(np.float32))

    def smooth(self, vectors: Tensor) -> Tensor:
        """Compute S x = R^T R x for x [I, D]: every item takes from the items it is seen with."""
        return self.adjacency.through(vectors)

    def leading_signals(self, dimension: int, *, seed: int) -> tuple[Floats, Floats]:
        """Find the largest eigenvalues of R^T R, [D], and their vectors, [I, D].

        Beyond its rank both are zero. No dense array has a row a user.
        """
        rank = min(dimension, *self.adjacency.shape)
        values, vectors = leading_eigenvectors(
            self.smooth,
            rank,
            n=len(self.item_degrees),
            seed=seed,
            device=self.adjacency.device,
        )
        missing = (0, dimension - rank)
        return (
            np.pad(values.cpu().numpy(), missing),
            np.pad(vectors.cpu().numpy(), ((0, 0), missing)),
        )


def initial_embeddings(
    graph: Graph, dimension: int, *, seed: int, power: float
) -> tuple[Floats, Floats]:
    """Start P and Q [I, D] at a low-pass filter of the graph.

    With R = U S V^T and F = V S^(2 power): P = D_I^-1/2 F scaled to a root mean square norm of 1,
    Q = rows of F scaled to norm 1. With power 0, u . q is the projection of the history onto the
    smoothest D signals of the graph (the ideal filter of GF-CF, Shen et al. 2021); with more of it
    the smoother ones count more. Training starts from there.
    """
    values, vectors = graph.leading_signals(dimension, seed=seed)
    factors = vectors * (values**power).astype(np.float32)
    degrees = graph.item_degrees
    history = factors * _inverse_sqrt(degrees)[:, None]
    history /= max(float(np.sqrt((history**2).sum(axis=1).mean())), 1e-12)
    return history.astype(np.float32), _unit_rows(factors, seed=seed)


def _unit_rows(vectors: Floats, *, seed: int) -> Floats:
    # An item outside the subspace has a zero row, which has no direction: draw one.
    outside = np.flatnonzero(np.linalg.norm(vectors, axis=1) <= 1e-12)
    filled = vectors.copy()
    filled[outside] = np.random.default_rng(seed).standard_normal(
        (len(outside), vectors.shape[1]), np.float32
    )
    return unit_rows(filled)


def _inverse_sqrt(degrees: NDArray[np.floating]) -> Floats:
    positive = degrees > 0
    return np.where(positive, 1 / np.sqrt(np.where(positive, degrees, 1)), 0).astype(np.float32)
