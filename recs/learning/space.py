"""The space that is served: one vector an item, one a user, whatever a score is made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from recs.learning.associations import Fading
from recs.learning.blend import Blend
from recs.learning.cold_items import Neighbors
from recs.learning.interactions import Floats, Interactions
from recs.learning.ranking import row_blocks
from recs.learning.signals import USUAL, Resolution, Signals
from recs.learning.vectors import limit_norm, unit_rows

TOWER_LENGTH = 0.5
TAIL = 2  # popularity, newness


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
        known = interactions if users is None else interactions.of_users(users)
        support = known.lengths.astype(np.int32)
        weights = known.histories(self.half_life_days)
        history = np.asarray(weights @ self.history_embeddings, np.float32)
        return PooledUsers(history, self.users(history, support), support)

    def stream_histories(self, interactions: Interactions) -> Iterator[Floats]:
        """Compute the history [F] of every user as in `pool`, a block of users in memory."""
        weights = interactions.histories(self.half_life_days)
        for block in row_blocks(weights.shape[0], self.history_embeddings.shape[1]):
            yield from np.asarray(weights[block] @ self.history_embeddings, np.float32)

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


def compose(signals: Signals, blend: Blend) -> Space:
    """Lay signals out as a space.

    Args:
        blend: its popularity_weight is of interactions that weigh 1 in the mean; the space's is of
            those that the signals are of, for |v| grows with their weights.
    """
    tower, associations = signals.tower, signals.associations
    tail = np.zeros((len(tower.item_embeddings), TAIL), np.float32)
    items = np.column_stack(
        [np.float32(TOWER_LENGTH) * tower.item_embeddings, associations.items, tail]
    )
    items[:, -TAIL] = signals.popularity
    scale = float(np.linalg.norm(items, axis=1).max())
    items /= np.float32(scale)
    return Space(
        item_embeddings=items,
        history_embeddings=np.column_stack([tower.history_embeddings, associations.history, tail]),
        tower_dimension=tower.item_embeddings.shape[1],
        scale=scale,
        half_life_days=tower.half_life_days,
        learned=tower.learned,
        blend=replace(blend, popularity_weight=blend.popularity_weight * signals.mean_weight),
        tower_length=TOWER_LENGTH,
        fading=associations.fading,
        seasonality=signals.seasonality,
        resolution=signals.resolution,
    )
