"""The space that is served: one vector an item, one a user, whatever a score is made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recs.learning.adjustments import (
    STRENGTHS,
    draw_of,
    drawn,
    faded,
    fit_draw_strength,
    fit_popularity_half_life,
    resolved,
)
from recs.learning.associations import Fading
from recs.learning.blend import Blend, fit_blend
from recs.learning.cold_items import Neighbors, find_neighbors
from recs.learning.interactions import Floats, Interactions
from recs.learning.ranking import best_columns, row_blocks
from recs.learning.signals import USUAL, Resolution, Signals, signals_of
from recs.learning.trained import unit_rows
from recs.learning.validation import K, Validation, seen_pairs
from recs.metrics import recall_at_k

TOWER_LENGTH = 0.5
TAIL = 2  # popularity, newness
PRETENDED_NEW = 0.05
MOST_NEW = 5000  # pretended: each is compared with the whole catalog
BIASES = tuple(np.linspace(0, 0.6, 25))
COST = 0.003  # of recall on old items, that new ones may take
USERS = 1000


@dataclass(frozen=True)
class PooledUsers:
    """Users as SQL makes them.

    history [U, F] = sum_i w_ui h_i; embeddings [U, F] are unit rows; support [U] counts distinct
    items.
    """

    history: Floats
    embeddings: Floats
    support: NDArray[np.int32]


@dataclass(frozen=True)
class Space:
    """Vectors of a catalog, in which an inner product orders items as the blend does.

        item     (l q, z, pop, bias of a new item) / scale
        history  (p, r, 0, 0)
        user     (tower_weight s t / l, v / |v|, popularity_weight f / |v|, 1), then unit

    with (t, v) = sum_i w_i (p_i, r_i), t scaled to norm 1, v with its parts as they count at that
    many items; see Blend and Fading. The norm of an item grows with how often it is chosen, and
    the index is a graph over these inner products as they are (ip-NSW, Morozov and Babenko 2018):
    every item is linked to some of the longest, and what is nearest to a user is among these. A
    coordinate that filled all items up to norm 1 made most look alike where most are seldom chosen,
    and the graph led nowhere. The first part is the same for all items in length, l, so that norms
    differ by a factor of three at most: long, it would link rare items by what is chance in them;
    without any, the graph would fall apart.

    Args:
        item_embeddings: [I, F], rows of norm 1 at most; F = T + A + 2.
        history_embeddings: [I, F].
        tower_dimension: T.
        scale: norm of the longest item before it was divided by it.
        half_life_days: of an interaction in a history.
        learned: [I], false where nobody has interacted with an item.
        blend: None where vectors are compared as they are, made by somebody else.
        tower_length: norm of the first part of an item, before the scale.
        fading: what the parts of associations count by how many items a user is known by.
        seasonality: [I], how much more of an item is wanted in the season ahead than of late, which
            new items are multiplied by as far as they are like it; ones if left out.
        draw_strength: how far content drew learned items, of as far as the catalog shows chance.
        popularity_half_life_days: of an interaction in popularity; None: as in a history.
        resolution: how closely associations are read.
    """

    item_embeddings: Floats
    history_embeddings: Floats
    tower_dimension: int
    scale: float
    half_life_days: float
    learned: NDArray[np.bool_]
    blend: Blend | None
    tower_length: float = 1.0
    fading: Fading = field(default_factory=Fading)
    seasonality: Floats | None = None
    draw_strength: float = 0.0
    popularity_half_life_days: float | None = None
    resolution: Resolution = USUAL

    def pool(
        self, interactions: Interactions, users: NDArray[np.int64] | None = None
    ) -> PooledUsers:
        """Compute the vectors of `users`, or of all, from their distinct items.

        w_ui = weight * 0.5 ** (max(0, trained_until - last_occurred_at) / half_life).
        """
        weights, support = self._weights(interactions), interactions.lengths.astype(np.int32)
        if users is not None:
            weights, support = weights[users], support[users]
        history = np.asarray(weights @ self.history_embeddings, np.float32)
        return PooledUsers(history, self.users(history, support), support)

    def stream_histories(self, interactions: Interactions) -> Iterator[Floats]:
        """Compute the history [F] of every user as in `pool`, a block of users in memory."""
        weights = self._weights(interactions)
        for block in row_blocks(weights.shape[0], self.history_embeddings.shape[1]):
            yield from np.asarray(weights[block] @ self.history_embeddings, np.float32)

    def _weights(self, interactions: Interactions) -> sp.csr_matrix:
        return interactions.matrix(interactions.history_weights(self.half_life_days))

    def users(self, history: Floats, support: NDArray[np.integer]) -> Floats:
        """Compute user vectors from sums [U, F] of `support` [U] items, unit rows [U, F]."""
        if self.blend is None:
            return unit_rows(history)
        towers = history[:, : self.tower_dimension]
        sums = self.fading.fade(history[:, self.tower_dimension : -TAIL], support)
        tower, prior = self.blend.weights(support)
        tower = tower / np.float32(self.tower_length)
        strength = np.maximum(np.linalg.norm(sums, axis=1), 1e-6)
        tail = np.zeros((len(history), TAIL), np.float32)
        tail[:, 0], tail[:, 1] = prior / strength, 1
        return unit_rows(
            np.concatenate([tower[:, None] * unit_rows(towers), unit_rows(sums), tail], axis=1)
        )

    def place(self, neighbors: Neighbors) -> Floats:
        """Compute the vectors of new items from those of learned ones, [M, F].

        The two-tower part is in the direction of their mean; associations are what they predict,
        times the season that they predict. An item without neighbours gets a zero row. This is the
        reference for sql/functions/place_items.sql.
        """
        mean = np.asarray(neighbors.mean @ self.item_embeddings, np.float32)
        if self.blend is None:
            return unit_rows(mean)
        placed = np.diff(neighbors.mean.indptr) > 0
        length = self.blend.new_item_tower * self.tower_length / self.scale
        tower = unit_rows(mean[:, : self.tower_dimension]) * length
        bias = np.full(len(mean), self.blend.new_item_bias / self.scale)
        rest = neighbors.kriging @ self.item_embeddings[:, self.tower_dimension : -TAIL]
        if self.seasonality is not None:
            rest = rest * np.exp(neighbors.kriging @ np.log(self.seasonality))[:, None]
        known = np.column_stack([tower, rest, np.zeros(len(mean)), bias]) * placed[:, None]
        return limit_norm(known.astype(np.float32))


def fit_space(
    interactions: Interactions,
    signals: Signals,
    validation: Validation | None,
    *,
    content: Floats | None = None,
) -> tuple[Space, Space | None]:
    """Join a two-tower model with associations and popularity, in a blend chosen on held-out data.

    Args:
        signals: of all interactions, see signals_of.
        content: [I, C], unit or zero rows.

    Returns:
        the space of everything, and that of the slice's training part, for a gate to judge; None
        where nothing was held out. Deterministic with the seed of the model's configuration.
    """
    trial, strength, days = None, STRENGTHS[0], None
    blend = Blend.of_catalog(interactions.n_items)
    if validation is not None and signals.tower.trial is not None and len(validation.users):
        tried = resolved(validation, signals_of(validation.train, signals.tower.trial))
        if tried.resolution != signals.resolution:
            signals = signals_of(interactions, signals.tower, tried.resolution)
        days = fit_popularity_half_life(validation, tried)
        tried = faded(tried, validation.train, days)
        if content is not None:
            draw = draw_of(tried, validation.train, content)
            strength = fit_draw_strength(validation, tried, draw)
            tried = drawn(tried, draw, strength)
        blend = fit_blend(
            interactions, validation, tried, content=content, momentary=days is not None
        )
        trial = replace(compose(tried, blend), popularity_half_life_days=days)
        if content is not None:
            bias = fit_new_item_bias(trial, tried, validation, content)
            blend = replace(blend, new_item_bias=bias)
    signals = faded(signals, interactions, days)
    if content is not None:
        signals = drawn(signals, draw_of(signals, interactions, content), strength)
    space = compose(signals, blend)
    return replace(
        space,
        popularity_half_life_days=days,
        draw_strength=0.0 if content is None else strength,
    ), trial


def compose(signals: Signals, blend: Blend) -> Space:
    """Lay signals out as a space."""
    tower, associations = signals.tower, signals.associations
    n_items = len(tower.item_embeddings)
    known = np.column_stack(
        [
            TOWER_LENGTH * tower.item_embeddings,
            associations.items,
            signals.popularity,
            np.zeros(n_items),
        ]
    ).astype(np.float32)
    scale = float(np.linalg.norm(known, axis=1).max())
    tail = np.zeros((n_items, TAIL), np.float32)
    return Space(
        item_embeddings=known / np.float32(scale),
        history_embeddings=np.column_stack([tower.history_embeddings, associations.history, tail]),
        tower_dimension=tower.item_embeddings.shape[1],
        scale=scale,
        half_life_days=tower.half_life_days,
        learned=tower.learned,
        blend=blend,
        tower_length=TOWER_LENGTH,
        fading=associations.fading,
        seasonality=signals.seasonality,
        resolution=signals.resolution,
    )


def limit_norm(rows: Floats) -> Floats:
    """Shorten rows of a norm above 1 to 1, [I, F]; the reference for sql/functions/limit_norm.sql.

    No item placed by its content may outshine those that are learned.
    """
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    shortened: Floats = (rows / np.maximum(norms, 1)).astype(np.float32)
    return shortened


def fit_new_item_bias(
    space: Space, signals: Signals, validation: Validation, content: Floats
) -> float:
    """Choose how far new items are put forward: as far as old ones lose .3 % of recall@20.

    A twentieth of the learned items, 5,000 at most, are placed by their content as if nobody had
    touched them, and compete for the lists of the validation slice's users.
    """
    assert space.blend is not None  # noqa: S101 - composed so
    known = np.flatnonzero(space.learned & content.any(axis=1))
    drawn = np.random.default_rng(0).permutation(known)
    new = np.sort(drawn[: min(MOST_NEW, int(PRETENDED_NEW * len(drawn)))])
    rest = np.setdiff1d(drawn, new)
    if not len(new):
        return space.blend.new_item_bias
    neighbors = find_neighbors(content[new], content[rest], signals.popularity[rest])
    neutral = replace(
        space,
        blend=replace(space.blend, new_item_bias=0.0),
        item_embeddings=space.item_embeddings[rest],
        seasonality=signals.seasonality[rest],
    )
    placed = neutral.place(neighbors)  # [N, F]
    old = _old_lists(space, validation, new)
    relevant = [items[~np.isin(items, new)] for items in old.relevant]
    before = recall_at_k(old.items, relevant, k=old.items.shape[1])
    fresh = old.users @ placed.T  # [V, N]
    fresh[old.seen_new] = -np.inf
    allowed = 0.0
    for bias in BIASES:
        scores = fresh + old.users[:, [-1]] * np.float32(bias / space.scale)
        items = _merge(old, new, scores)
        if recall_at_k(items, relevant, k=items.shape[1]) < (1 - COST) * before:
            break
        allowed = float(bias)
    return allowed


@dataclass(frozen=True)
class _OldLists:
    users: Floats  # [V, F]
    items: NDArray[np.int64]  # [V, K]
    scores: Floats  # [V, K]
    seen_new: tuple[NDArray[np.int64], NDArray[np.int64]]  # rows and columns of the new items
    relevant: list[NDArray[np.int64]]


def _old_lists(space: Space, validation: Validation, new: NDArray[np.int64]) -> _OldLists:
    """List the K best items that are not `new` for some of the slice's users."""
    chosen = np.arange(len(validation.users))[:USERS]
    users = space.pool(validation.train, validation.users[chosen]).embeddings
    rows, items = seen_pairs(validation.train, validation.users[chosen])
    lists, values = [], []
    for block in row_blocks(len(users), len(space.item_embeddings)):
        scores = users[block] @ space.item_embeddings.T  # [v, I]
        own = (rows >= block.start) & (rows < block.stop)
        scores[rows[own] - block.start, items[own]] = -np.inf
        scores[:, new] = -np.inf
        lists.append(best_columns(scores, K))
        values.append(np.take_along_axis(scores, lists[-1], axis=1))
    position = np.full(validation.train.n_items, -1)
    position[new] = np.arange(len(new))
    among = position[items] >= 0
    return _OldLists(
        users=users,
        items=np.concatenate(lists),
        scores=np.concatenate(values),
        seen_new=(rows[among], position[items[among]]),
        relevant=[validation.held_out[row] for row in chosen],
    )


def _merge(old: _OldLists, new: NDArray[np.int64], scores: Floats) -> NDArray[np.int64]:
    """Merge the scores [V, N] of new items into the lists of old ones, [V, K]."""
    both = np.concatenate([old.scores, scores], axis=1)
    items = np.concatenate([old.items, np.broadcast_to(new, scores.shape)], axis=1)
    return np.take_along_axis(items, best_columns(both, old.items.shape[1]), axis=1)
