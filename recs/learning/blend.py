"""How much popularity to mix into what is known of a newcomer: learned from simulated ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recs.learning.associations import Associations, fit_associations
from recs.learning.interactions import Floats, Interactions
from recs.learning.popularity import popularity
from recs.metrics import ndcg_at_k, recall_at_k

POPULARITY_WEIGHT = 0.03
CANDIDATES = (0.003, 0.01, 0.03, 0.1, 0.3)
KNOWN_ITEMS = (1, 2, 3, 5, 10, 20)
TO_FIND = 5  # a newcomer needs so many items beyond the known ones to be scored
ENOUGH_USERS = 30
K = 20

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class BlendWeights:
    """What a cold-start user's score is made of.

    score(u, j) = sum_i w_ui r_i . z_j + popularity_weight * popularity_j

    The sum grows with the number n of known items and popularity stays, so its share falls like
    kappa / (n + kappa): a prior, worth a fixed number of interactions.

    Args:
        popularity_weight: popularity is of the best seller's, in [0, 1].
        curve: recall@20 by known items n: (blend, associations alone, popularity alone).
    """

    popularity_weight: float = POPULARITY_WEIGHT
    curve: Mapping[int, tuple[float, float, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Newcomers:
    """Users of whom the first n items are known: weights [V, I], and what they did later."""

    known: sp.csr_matrix
    later: list[Indices]


def fit_blend(
    interactions: Interactions,
    *,
    half_life_days: float,
    share: float = 0.1,
    max_users: int = 500,
    seed: int = 0,
) -> BlendWeights:
    """Choose the popularity weight with the best recall@20 + ndcg@20, mean over n.

    A tenth of the users, drawn at random, are held out, associations and popularity fitted without
    them, and each is replayed with its first n items. With under 30 users the default stays.
    Deterministic with a seed.
    """
    held_out = draw_users(interactions, share=share, max_users=max_users, seed=seed)
    newcomers = {n: _replay(interactions, held_out, n) for n in KNOWN_ITEMS}
    newcomers = {n: users for n, users in newcomers.items() if len(users.later) >= ENOUGH_USERS}
    if not newcomers:
        return BlendWeights()
    rest = interactions.select(~np.isin(interactions.user, held_out))
    sold = popularity(rest, half_life_days=half_life_days)
    associations = fit_associations(rest.matrix(rest.history_weights(half_life_days)), seed=seed)
    return _choose(newcomers, associations, sold)


def draw_users(interactions: Interactions, *, share: float, max_users: int, seed: int) -> Indices:
    """Draw users with enough items to be scored.

    At random: the newest ones have seen the newest items, which popularity knows least, and choose
    a weight that is too small for everybody else.
    """
    enough = np.flatnonzero(interactions.lengths >= KNOWN_ITEMS[0] + TO_FIND)
    count = min(max_users, int(share * len(enough)))
    return np.sort(np.random.default_rng(seed).permutation(enough)[:count])


def blended_scores(
    known: sp.csr_matrix, associations: Associations, sold: Floats, weight: float
) -> Floats:
    """Compute score(u, j) [V, I] as SQL does, -inf where j is known of u."""
    scores = associations.scores(known) + np.float32(weight) * sold
    rows, columns = known.nonzero()
    scores[rows, columns] = -np.inf
    return scores


def _replay(interactions: Interactions, users: Indices, n: int) -> _Newcomers:
    users = users[interactions.lengths[users] >= n + TO_FIND]
    starts, ends = interactions.offsets[users], interactions.offsets[users + 1]
    items = interactions.item.astype(np.int64)
    first = [items[start : start + n] for start in starts]
    known = sp.csr_matrix(
        (np.ones(len(users) * n), np.concatenate([*first, []]), np.arange(len(users) + 1) * n),
        shape=(len(users), interactions.n_items),
    )
    later = [items[start + n : end] for start, end in zip(starts, ends, strict=True)]
    return _Newcomers(known, later)


def _choose(
    newcomers: Mapping[int, _Newcomers], associations: Associations, sold: Floats
) -> BlendWeights:
    quality = {
        weight: {n: _quality(users, associations, sold, weight) for n, users in newcomers.items()}
        for weight in (0.0, *CANDIDATES)
    }
    best = max(CANDIDATES, key=lambda weight: sum(map(sum, quality[weight].values())))
    nothing = Associations(associations.history * 0, associations.items)
    curve = {
        n: (quality[best][n][0], quality[0.0][n][0], _quality(users, nothing, sold, 1.0)[0])
        for n, users in newcomers.items()
    }
    return BlendWeights(best, curve)


def _quality(
    users: _Newcomers, associations: Associations, sold: Floats, weight: float
) -> tuple[float, float]:
    scores = blended_scores(users.known, associations, sold, weight)
    k = min(K, scores.shape[1])
    lists = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return recall_at_k(lists, users.later, k=k), ndcg_at_k(lists, users.later, k=k)
