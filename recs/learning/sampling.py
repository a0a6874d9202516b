"""Batches: histories, what to predict from them, and the candidates that targets compete with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recs.learning.config import Timescale, TrainingConfig
from recs.learning.interactions import Days, Floats, Interactions, Mask, Offsets, decay

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Batch:
    """B users; H items of their histories, T targets, N candidates, M pairs left out of Z.

    history_items [H], history_weights [H] and history_offsets [B] make the users; target t is the
    candidate target_columns[t] for the user target_rows[t]; log_inclusion [N] is the logarithm of
    each candidate's chance to be one, None when the candidates are the whole catalog.
    """

    history_items: Indices
    history_weights: Floats
    history_offsets: Indices
    candidates: Indices
    log_inclusion: Floats | None
    target_rows: Indices
    target_columns: Indices
    target_weights: Floats
    masked_rows: Indices
    masked_columns: Indices


@dataclass(frozen=True)
class _Rows:
    # The interactions of a batch's users, end to end, each with the user's place in the batch.
    index: Indices  # [R], into the interactions
    user: Indices  # [R], in [0, B), ascending
    start: Indices  # [B], where each user starts
    length: Indices  # [B]


class Sampler:
    """Draw the batches of an epoch from interactions; the same generator, the same batches."""

    def __init__(
        self,
        interactions: Interactions,
        timescale: Timescale,
        *,
        config: TrainingConfig,
        generator: np.random.Generator,
    ) -> None:
        self._interactions = interactions
        self._timescale = timescale
        self._config = config
        self._generator = generator
        self._users = np.flatnonzero(interactions.lengths >= 2)
        self._by_time = timescale.later_from_earlier and interactions.has_times
        self._moments = _moments(interactions, by_time=self._by_time)
        self._batch_size = max(16, min(config.batch_size, len(self._users) // 10))
        self._target_weights = target_weights(interactions, timescale)
        self._history_scale = 1 / max(
            float(interactions.history_weights(timescale.half_life_days).mean()), 1e-12
        )
        chances = target_chances(interactions, config.history_share, by_time=self._by_time)
        self._target_rates = np.bincount(
            interactions.item, weights=chances, minlength=interactions.n_items
        ) / max(len(self._users), 1)
        self._loss_scale = max(
            float((chances * self._target_weights).sum()) / max(len(self._users), 1), 1e-12
        )

    def __len__(self) -> int:
        return -(-len(self._users) // self._batch_size)

    def epoch(self) -> Iterator[Batch]:
        """Yield every user with two items or more once, in batches of random users."""
        users = self._generator.permutation(self._users)
        for start in range(0, len(users), self._batch_size):
            yield self._batch(users[start : start + self._batch_size])

    def _batch(self, users: Indices) -> Batch:
        rows = _rows_of(self._interactions, users)
        is_input = self._split(rows)
        history, targets = rows.index[is_input], rows.index[~is_input]
        items = self._interactions.item
        history_items, target_items = (
            items[history].astype(np.int64),
            items[targets].astype(np.int64),
        )
        candidates, log_inclusion = self._candidates(target_items, len(users))
        masked_columns, found = _positions(candidates, history_items)
        weights = self._target_weights[targets] / (self._loss_scale * len(users))
        return Batch(
            history_items=history_items,
            history_weights=self._history_weights(rows, is_input),
            history_offsets=np.searchsorted(rows.user[is_input], np.arange(len(users))),
            candidates=candidates,
            log_inclusion=log_inclusion,
            target_rows=rows.user[~is_input],
            target_columns=np.searchsorted(candidates, target_items),
            target_weights=weights.astype(np.float32),
            masked_rows=rows.user[is_input][found],
            masked_columns=masked_columns[found],
        )

    def _split(self, rows: _Rows) -> Mask:
        """Draw which rows are input: a share of each user's, at least one and not all."""
        # Rows stand in the order of time. Within one moment it is drawn anew, else a basket would
        # always part in one place; where time says nothing, within each user.
        moments = self._moments[rows.index]
        begins = np.diff(moments, prepend=-1) != 0
        order = np.argsort(np.cumsum(begins) + self._generator.random(len(moments)))
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order)) - np.repeat(rows.start, rows.length)
        share = self._generator.uniform(*self._config.history_share, len(rows.length))
        kept = np.clip(np.rint(share * rows.length), 1, rows.length - 1)
        mask: Mask = rank < kept[rows.user]
        return mask

    def _history_weights(self, rows: _Rows, is_input: Mask) -> Floats:
        """Weigh the input as it stood at the moment of the split."""
        data, index, user = self._interactions, rows.index[is_input], rows.user[is_input]
        moment = np.full(len(rows.length), data.trained_until)
        if self._by_time:
            moment = np.full(len(rows.length), -np.inf)
            np.maximum.at(moment, user, data.first_occurred_at[index])
        ages = np.maximum(moment[user] - data.last_occurred_at[index], 0.0)
        weights = data.weight[index] * decay(ages, self._timescale.half_life_days)
        return (weights * self._history_scale).astype(np.float32)

    def _candidates(self, targets: Indices, n_users: int) -> tuple[Indices, Floats | None]:
        """Join the batch's targets with uniform negatives, [N] ascending, and log pi [N]."""
        n_items, n_negatives = self._interactions.n_items, self._config.n_negatives
        if n_items <= 2 * n_negatives:
            return np.arange(n_items), None
        negatives = self._generator.choice(n_items, n_negatives, replace=False)
        candidates = np.union1d(targets, negatives).astype(np.int64)
        absent = np.exp(-self._target_rates[candidates] * n_users)
        inclusion = 1 - (1 - n_negatives / n_items) * absent
        return candidates, np.log(inclusion).astype(np.float32)


def target_weights(interactions: Interactions, timescale: Timescale) -> Floats:
    """Compute weight * 0.5 ** ((trained_until - first_occurred_at) / target half-life), [N]."""
    ages: Days = np.maximum(interactions.trained_until - interactions.first_occurred_at, 0.0)
    weights = interactions.weight * decay(ages, timescale.target_half_life_days)
    return weights.astype(np.float32)


def target_chances(
    interactions: Interactions, history_share: tuple[float, float], *, by_time: bool
) -> Floats:
    """Compute the chance of each interaction to be a target rather than input, [N].

    The share of input s is uniform in [low, high]: the chance is E[1 - s] where the split is
    random, and P(s < x) for an item at the relative position x where it follows time.
    """
    low, high = history_share
    eligible = interactions.lengths[interactions.user] >= 2
    if not by_time:
        return (eligible * (1 - (low + high) / 2)).astype(np.float32)
    rank = np.arange(len(interactions)) - interactions.offsets[:-1][interactions.user]
    position = (rank + 0.5) / np.maximum(interactions.lengths[interactions.user], 1)
    chance = np.clip((position - low) / max(high - low, 1e-12), 0, 1)
    return (eligible * chance).astype(np.float32)


def _moments(interactions: Interactions, *, by_time: bool) -> Indices:
    """Number the moments at which somebody did something, or else the users, [N]."""
    begins = np.diff(interactions.user, prepend=-1) != 0
    if by_time:
        begins |= np.diff(interactions.first_occurred_at, prepend=-np.inf) != 0
    return np.cumsum(begins)


def _rows_of(interactions: Interactions, users: Indices) -> _Rows:
    length = interactions.lengths[users]
    start: Offsets = np.cumsum(length) - length
    first = np.repeat(interactions.offsets[users] - start, length)
    return _Rows(
        index=first + np.arange(int(length.sum())),
        user=np.repeat(np.arange(len(users)), length),
        start=start,
        length=length,
    )


def _positions(ascending: Indices, values: Indices) -> tuple[Indices, Mask]:
    """Find each value's place in an ascending array, and whether it is there."""
    places = np.searchsorted(ascending, values).clip(max=len(ascending) - 1)
    return places, ascending[places] == values
