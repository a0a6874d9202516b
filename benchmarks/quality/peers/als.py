"""Implicit ALS (Hu, Koren, Volinsky, ICDM 2008) by the `implicit` library."""

from dataclasses import dataclass

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from scipy.sparse import csr_array, csr_matrix

from benchmarks.quality.datasets import IntArray
from benchmarks.quality.method import Params, Scores, Scoring, threads, weights
from benchmarks.quality.protocols import Split


@dataclass(frozen=True)
class Factors:
    """A factorisation that answers for strangers by solving for them."""

    model: AlternatingLeastSquares
    trained: frozenset[int]

    def users(self, users: IntArray, history: csr_array) -> Scores:
        """Return the trained factors, or new ones where the training did not know the user."""
        if self.trained.issuperset(users.tolist()):
            return np.asarray(self.model.user_factors[users])
        return np.asarray(self.model.recalculate_user(users, csr_matrix(history)))

    @property
    def items(self) -> Scores:
        """Item factors, [n_items, F]."""
        return np.asarray(self.model.item_factors)


def factorise(split: Split, params: Params, seed: int) -> Factors:
    """Train on weights decayed by `half_life`.

    The library takes alpha * weight for the confidence, and 1 where there was nothing.
    """
    model = AlternatingLeastSquares(
        factors=params["factors"],
        regularization=params["regularization"],
        alpha=params["alpha"],
        random_state=seed,
        num_threads=threads(),
    )
    matrix = csr_matrix(weights(split, half_life=params.get("half_life")))
    model.fit(matrix, show_progress=False)
    return Factors(model, frozenset(np.unique(split.train.users).tolist()))


def fit(split: Split, params: Params, seed: int) -> Scoring:
    """Score by the inner product of the factors."""
    factors = factorise(split, params, seed)

    def score(users: IntArray, history: csr_array) -> Scores:
        return factors.users(users, history) @ factors.items.T

    return Scoring(split, score, params.get("half_life"))
