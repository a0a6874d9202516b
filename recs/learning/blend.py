"""What a score is made of, by how much is known of a user: learned on held-out data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray

from recs.learning.catalog_defaults import SHOP, catalog_defaults
from recs.learning.choice import nearest_good
from recs.learning.interactions import Floats, Interactions
from recs.learning.ranking import best_columns, best_unseen, row_blocks
from recs.learning.signals import Signals
from recs.learning.trained import unit_rows
from recs.learning.validation import Validation
from recs.metrics import hits_at_k, ndcg_of_hits, recall_at_k, recall_of_hits

TOWER_WEIGHTS = (0.1, 0.2, 0.4, 0.6, 0.8, 1.2, 1.6, 3.2)  # and none
TOWER_SUPPORTS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
POPULARITY_SUPPORT = 10.0  # sql/functions/blend_user.sql says so too
POPULARITY_WEIGHTS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
KNOWN_ITEMS = (1, 2, 3, 5, 10, 20)
ENOUGH_USERS = 30
WARM_USERS = 5000  # who judge a blend
FEW_USERS = 1000  # who judge signals that are made anew for every setting
K = 20
POOL = 100  # candidates taken from each signal
# Weights that win by less of the verdict on the slice lose in the months after it.
TOLERANCE = 0.05
# Where nothing is dated, what is asked for later is like the slice. Weights that win by less of the
# verdict than this, over the root of the number of users, win by who is in it.
NOISE = 0.35

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Blend:
    """What the score of item j for a user of n distinct items is made of, up to a factor.

        score = tower_weight s t_u . q_j  +  v_u . z_j  +  popularity_weight f / |v| pop_j

    with s = n / (n + tower_support) and f = 10 / (n + 10): t is the unit vector of the two-tower
    model, v the sum of what the known items say by association, its parts as they count at n items
    (see Fading of the associations), and v_u its direction, pop_j popularity of the best seller's.
    What needs many interactions grows with n, what needs none fades with it, and by 1 / |v| it is a
    prior that is worth a fixed number of interactions.

    A new item has no interactions: its place in the two-tower space is a guess, and counts
    new_item_tower of a learned one; new_item_bias is added to its score, for it has no popularity.

    Args:
        curve: recall@20 by known items n, of the blend and of what it is made of.
    """

    tower_weight: float = SHOP.tower_weight
    tower_support: float = SHOP.tower_support
    popularity_weight: float = 0.03
    new_item_tower: float = 0.15
    new_item_bias: float = 0.05
    curve: Mapping[int, Mapping[str, float]] = field(default_factory=dict)

    @staticmethod
    def of_catalog(n_items: int) -> Blend:
        """Return the default for a catalog of that size."""
        suited = catalog_defaults(n_items)
        return Blend(tower_weight=suited.tower_weight, tower_support=suited.tower_support)

    def weights(self, support: NDArray[np.integer]) -> tuple[Floats, Floats]:
        """Compute tower_weight s and popularity_weight f for users of n items, each [U]."""
        share = support / (support + self.tower_support)
        fading = POPULARITY_SUPPORT / (support + POPULARITY_SUPPORT)
        tower, prior = self.tower_weight * share, self.popularity_weight * fading
        return np.asarray(tower, np.float32), np.asarray(prior, np.float32)


@dataclass(frozen=True)
class Situation:
    """Users as far as they are known, and what they did next.

    known [V, I] are weights; relevant is a list of V arrays of items.
    """

    known: sp.csr_matrix
    relevant: Sequence[Indices]

    @property
    def support(self) -> NDArray[np.int32]:
        """Count the distinct items known of each user, [V]."""
        return np.asarray(np.diff(self.known.indptr), np.int32)


def fit_blend(
    interactions: Interactions,
    validation: Validation,
    signals: Signals,
    *,
    content: Floats | None = None,
    momentary: bool = False,
) -> Blend:
    """Choose the weights with the best recall@20 + ndcg@20 on users that the signals have not seen.

    Of the weights within 5 % of the best ones those nearest to the defaults are taken; where
    nothing is dated within less, .5 % if 5,000 users judge. Half of the verdict is that of the
    validation slice's users, half that of its newcomers, who are replayed with their first 1, 2, 3,
    5, 10 and 20 items. The signals are of the slice's training part.
    Where one half has under 30 users, the other decides; else the defaults stay.

    Args:
        content: [I, C], for the curve.
        momentary: popularity is of the moment. The default weight is of another popularity, and
            newcomers, who are replayed from all times, have no say on it: of popularity, chosen
            last, the regulars' best weight is taken.
    """
    default = Blend.of_catalog(interactions.n_items)
    half_life = signals.tower.half_life_days
    situations = {n: replay(interactions, validation, n) for n in KNOWN_ITEMS}
    situations[0] = _slice(validation, half_life, WARM_USERS)  # 0 stands for the regular users here
    pools = {
        n: _Pool.of(situation, signals)
        for n, situation in situations.items()
        if len(situation.relevant) >= ENOUGH_USERS
    }
    if not pools:
        return default
    tolerance = noise(len(pools[min(pools)].sizes), dated=interactions.has_times)
    if momentary and 0 in pools:
        towers = _choose(tower_blends(default), pools, default, tolerance)
        best = max(popularity_blends(towers), key=pools[0].value)
    else:
        best = _choose(_blends(default), pools, default, tolerance)
    curve = {
        n: {
            "blend": pool.recall(best),
            **_alone(situations[n], signals, content),
        }
        for n, pool in pools.items()
        if n
    }
    return replace(best, curve=curve)


def noise(judges: int, *, dated: bool) -> float:
    """Return what share of the verdict of so many users says nothing of what is asked for later."""
    return TOLERANCE if dated else min(TOLERANCE, NOISE / math.sqrt(judges))


def best_value(
    validation: Validation, signals: Signals, blends: Sequence[Blend], *, users: int = FEW_USERS
) -> float | None:
    """Compute recall@20 + ndcg@20 of the slice's regular users, by the blend best for them.

    None where these users are under 30; of more than `users`, some judge.
    """
    situation = _slice(validation, signals.tower.half_life_days, users)
    if len(situation.relevant) < ENOUGH_USERS:
        return None
    pool = _Pool.of(situation, signals)
    return max(pool.value(blend) for blend in blends)


def popularity_blends(blend: Blend) -> list[Blend]:
    """Return it with each weight that popularity may have."""
    return [replace(blend, popularity_weight=weight) for weight in POPULARITY_WEIGHTS]


def tower_blends(default: Blend) -> list[Blend]:
    """Return it with each weight and support that the two-tower model may have."""
    silent = replace(default, tower_weight=0.0)
    return [
        silent,
        *(
            replace(default, tower_weight=weight, tower_support=support)
            for weight, support in product(TOWER_WEIGHTS, TOWER_SUPPORTS)
        ),
    ]


def _blends(default: Blend) -> list[Blend]:
    """Return it with each combination of weights and support.

    One after the other would not do: the best weight of the two-tower model is another one where
    popularity weighs too much.
    """
    return [blend for towers in tower_blends(default) for blend in popularity_blends(towers)]


def _choose(
    blends: Sequence[Blend], pools: Mapping[int, _Pool], default: Blend, tolerance: float
) -> Blend:
    """Choose the blend nearest to the default among those that are about as good as the best.

    Values count as shares of the best one in their situation: a percent of the regulars' is worth
    a percent of the newcomers', however far from either the default is.
    """
    shares = {}
    for n, pool in pools.items():
        values = np.array([pool.value(blend) for blend in blends])
        shares[n] = values / max(values.max(), 1e-12)
    newcomers = [share for n, share in shares.items() if n]
    verdicts = shares.get(0, 0.0) + (np.mean(newcomers, axis=0) if newcomers else 0.0)
    return nearest_good(
        blends,
        np.asarray(verdicts),
        default,
        ("tower_weight", "tower_support", "popularity_weight"),
        tolerance=tolerance,
    )


def replay(interactions: Interactions, validation: Validation, n: int) -> Situation:
    """Return the newcomers with their first n items known, as if these had just happened.

    What happened at one moment is in a random order, the same at every call.
    """
    known_items = np.bincount(validation.train.item, minlength=interactions.n_items) > 0
    items = interactions.item.astype(np.int64)
    first, later = [], []
    for rows in _timelines(interactions, validation.newcomers):
        rest = items[rows[n:]]
        rest = rest[known_items[rest]]
        if len(rest):
            first.append(rows[:n])
            later.append(rest)
    rows = np.concatenate(first) if first else np.zeros(0, np.int64)
    known = sp.csr_matrix(
        (interactions.weight[rows], items[rows], np.arange(len(first) + 1) * n),
        shape=(len(first), interactions.n_items),
    )
    return Situation(known, later)


def _timelines(interactions: Interactions, users: Indices) -> list[Indices]:
    """Return the rows of each user in time order, ties at random."""
    rows = np.flatnonzero(np.isin(interactions.user, users))
    draws = np.random.default_rng(0).random(len(rows))
    moments = interactions.first_occurred_at[rows]
    order = np.lexsort((draws, moments, interactions.user[rows]))
    return np.split(rows[order], np.cumsum(interactions.lengths[users])[:-1])


def _slice(validation: Validation, half_life_days: float, most: int) -> Situation:
    """Return the slice's users, as many as `most` at most."""
    train = validation.train
    users = validation.users[:: -(-len(validation.users) // most) or 1]
    relevant = dict(zip(validation.users.tolist(), validation.held_out, strict=True))
    known = train.matrix(train.history_weights(half_life_days))[users]
    return Situation(sp.csr_matrix(known), [relevant[user] for user in users.tolist()])


@dataclass(frozen=True)
class _Pool:
    """The best items of a situation by each signal, [V, C], and each signal's score of them."""

    tower: Floats
    associations: Floats
    popularity: Floats
    strength: Floats  # |v|, [V]
    support: NDArray[np.int32]
    hits: NDArray[np.bool_]  # [V, C], which of the items belong in the list
    sizes: NDArray[np.int64]  # [V], of all that belong there

    @staticmethod
    def of(situation: Situation, signals: Signals) -> _Pool:
        known = situation.known
        towers = unit_rows(np.asarray(known @ signals.tower.history_embeddings, np.float32))
        sums = signals.associations.sums(known)
        directions = unit_rows(sums)
        blocks = [
            _best(
                known[block],
                towers[block] @ signals.tower.item_embeddings.T,
                directions[block] @ signals.associations.items.T,
                signals.popularity,
            )
            for block in row_blocks(*known.shape)
        ]
        items, tower, associations, popularity = (
            np.concatenate(parts) for parts in zip(*blocks, strict=True)
        )
        hits, sizes = hits_at_k(items, situation.relevant, k=items.shape[1])
        return _Pool(
            tower=tower,
            associations=associations,
            popularity=popularity,
            strength=np.linalg.norm(sums, axis=1).astype(np.float32),
            support=situation.support,
            hits=hits,
            sizes=sizes,
        )

    def hits_of(self, blend: Blend) -> NDArray[np.bool_]:
        """Return which of the K best items by a blend are hits, [V, K]."""
        tower, prior = blend.weights(self.support)
        prior = np.asarray(prior / np.maximum(self.strength, 1e-6), np.float32)
        scores = (
            tower[:, None] * self.tower + self.associations + prior[:, None] * self.popularity
        )  # [V, C]
        return np.take_along_axis(self.hits, best_columns(scores, K), axis=1)

    def recall(self, blend: Blend) -> float:
        """Compute recall@20."""
        return recall_of_hits(self.hits_of(blend), self.sizes)

    def value(self, blend: Blend) -> float:
        """Compute recall@20 + ndcg@20."""
        hits = self.hits_of(blend)
        return recall_of_hits(hits, self.sizes) + ndcg_of_hits(hits, self.sizes, k=hits.shape[1])


def _best(
    known: sp.csr_matrix, tower: Floats, associations: Floats, popularity: Floats
) -> tuple[Indices, Floats, Floats, Floats]:
    """Find the POOL best unseen items of each signal, and drop what another signal found too."""
    seen = known.nonzero()
    sold = np.tile(popularity, (known.shape[0], 1))
    for scores in (tower, associations, sold):
        scores[seen] = -np.inf
    found_by = [best_columns(scores, POOL) for scores in (tower, associations, sold)]
    items = np.sort(np.concatenate(found_by, axis=1), axis=1)
    barred = np.zeros(items.shape, np.bool_)
    barred[:, 1:] = items[:, 1:] == items[:, :-1]
    found = [np.take_along_axis(scores, items, axis=1) for scores in (tower, associations, sold)]
    barred |= np.isneginf(found[1])
    found[0][barred], found[1][barred], found[2][barred] = 0, -np.inf, 0
    return items, found[0], found[1], found[2]


def _alone(situation: Situation, signals: Signals, content: Floats | None) -> Mapping[str, float]:
    """Compute the recall@20 of popularity and of content for the curve."""
    ones = np.ones((situation.known.shape[0], 1), np.float32)
    alone = {"popularity": (ones, signals.popularity[:, None])}
    if content is not None:
        profiles = unit_rows(np.asarray(situation.known @ content, np.float32))
        alone["content"] = (profiles, content)
    result = {}
    for name, (users, items) in alone.items():
        lists, _ = best_unseen(torch.from_numpy(users), torch.from_numpy(items), situation.known, K)
        result[name] = recall_at_k(lists, situation.relevant, k=lists.shape[1])
    return result
