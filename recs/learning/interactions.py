"""Interactions in memory: one row for a (user, item) pair, 28 bytes each."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

Ints = NDArray[np.int32]
Offsets = NDArray[np.int64]
Floats = NDArray[np.float32]
Days = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Interactions:
    """Distinct (user, item) pairs sorted by user, then by first occurrence.

    Make one with `from_pairs`, which sorts. Times are days since any origin; without times, all are
    equal. Rows are [N]; user u has the rows offsets[u] to offsets[u + 1].

    Args:
        user: in [0, n_users).
        item: in [0, n_items).
        weight: of the pair, by the types of its interactions and not by their number.
        first_occurred_at: what comes later is learned from what came earlier by this.
        last_occurred_at: the pair's weight in a history decays from here.
        trained_until: the moment that ages are counted from, in days.
    """

    user: Ints
    item: Ints
    weight: Floats
    first_occurred_at: Days
    last_occurred_at: Days
    n_users: int
    n_items: int
    trained_until: float
    offsets: Offsets = field(repr=False)

    @staticmethod
    def from_pairs(
        user: Ints,
        item: Ints,
        *,
        n_users: int,
        n_items: int,
        weight: Floats | None = None,
        first_occurred_at: Days | None = None,
        last_occurred_at: Days | None = None,
        trained_until: float | None = None,
    ) -> Interactions:
        """Sort distinct pairs by user and first occurrence.

        One time given stands for both. `trained_until` defaults to the newest last occurrence; what
        is later has no age.

        Raises:
            ValueError: arrays of unequal length, an index out of range, a pair given twice.
        """
        n = len(user)
        last = _first_given(last_occurred_at, first_occurred_at, np.zeros(n))
        first = _first_given(first_occurred_at, last)
        weight = np.ones(n, np.float32) if weight is None else weight
        _check(user, item, weight, first, last, n_users=n_users, n_items=n_items)
        order = np.lexsort((item, first, user))
        return Interactions(
            user=user[order].astype(np.int32),
            item=item[order].astype(np.int32),
            weight=weight[order].astype(np.float32),
            first_occurred_at=first[order].astype(np.float64),
            last_occurred_at=last[order].astype(np.float64),
            n_users=n_users,
            n_items=n_items,
            trained_until=trained_until
            if trained_until is not None
            else float(last.max() if n else 0.0),
            offsets=_offsets(user, n_users),
        )

    def __len__(self) -> int:
        return len(self.user)

    @property
    def has_times(self) -> bool:
        """Whether anything came before anything else."""
        return bool(len(self) and np.ptp(self.first_occurred_at) > 0)

    @property
    def median_age(self) -> float:
        """Compute the median of trained_until - first_occurred_at, in days; 0 of nothing."""
        if not len(self):
            return 0.0
        return max(0.0, float(np.median(self.trained_until - self.first_occurred_at)))

    @property
    def in_sittings(self) -> bool:
        """Whether users act in one sitting and are gone, as on a site to rate films at.

        So it is where half of the interactions lie closer to the last one of their user than a
        tenth of the median age: what an interaction's age says is then who did it, not when.
        """
        last = np.full(self.n_users, -np.inf)
        np.maximum.at(last, self.user, self.first_occurred_at)
        before_last = last[self.user] - self.first_occurred_at
        return bool(len(self)) and float(np.median(before_last)) < 0.1 * self.median_age

    @property
    def lengths(self) -> Offsets:
        """Count the distinct items of each user, [U]."""
        return np.diff(self.offsets)

    def ages(self) -> Days:
        """Compute max(0, trained_until - last_occurred_at) in days, [N]."""
        return np.maximum(self.trained_until - self.last_occurred_at, 0.0)

    @property
    def mean_weight(self) -> float:
        """Compute the mean weight of a pair; 1 of nothing."""
        return float(self.weight.mean(dtype=np.float64)) if len(self) else 1.0

    def history_weights(self, half_life_days: float) -> Floats:
        """Compute w_ui = weight * 0.5 ** (age / half_life), [N]; no decay if it is inf."""
        return (self.weight * decay(self.ages(), half_life_days)).astype(np.float32)

    def histories(self, half_life_days: float) -> sp.csr_matrix:
        """Lay w_ui of every user out, [U, I]."""
        return self.matrix(self.history_weights(half_life_days))

    def matrix(self, values: Floats) -> sp.csr_matrix:
        """Lay values [N] out as a sparse [U, I] matrix of its own.

        SciPy sorts the indices of a matrix in place when it likes; on ours, an item would come
        to stand beside the time of another.
        """
        parts = (values, self.item, self.offsets)
        return sp.csr_matrix(parts, shape=(self.n_users, self.n_items), copy=True)

    def of_users(self, users: NDArray[np.int64]) -> Interactions:
        """Keep the rows of some users, in this order, numbered from 0."""
        lengths = self.lengths[users]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        rows = np.repeat(self.offsets[users] - offsets[:-1], lengths) + np.arange(offsets[-1])
        return replace(
            self,
            user=np.repeat(np.arange(len(users), dtype=np.int32), lengths),
            item=self.item[rows],
            weight=self.weight[rows],
            first_occurred_at=self.first_occurred_at[rows],
            last_occurred_at=self.last_occurred_at[rows],
            n_users=len(users),
            offsets=offsets,
        )

    def select(self, rows: Mask, *, until: float | None = None) -> Interactions:
        """Keep some rows, as they were known at `until`: a later last occurrence is cut to it."""
        moment = self.trained_until if until is None else until
        return Interactions(
            user=self.user[rows],
            item=self.item[rows],
            weight=self.weight[rows],
            first_occurred_at=self.first_occurred_at[rows],
            last_occurred_at=np.minimum(self.last_occurred_at[rows], moment),
            n_users=self.n_users,
            n_items=self.n_items,
            trained_until=moment,
            offsets=_offsets(self.user[rows], self.n_users),
        )


def decay(ages: Days, half_life_days: float) -> Days:
    """Compute 0.5 ** (age / half_life); ones where the half-life is infinite."""
    if np.isinf(half_life_days):
        return np.ones_like(ages)
    return np.exp2(-ages / half_life_days)


def _first_given(*arrays: Days | None) -> Days:
    return next(array for array in arrays if array is not None)


def _offsets(user: Ints, n_users: int) -> Offsets:
    return np.concatenate([[0], np.cumsum(np.bincount(user, minlength=n_users))]).astype(np.int64)


def _check(
    user: Ints, item: Ints, *columns: NDArray[np.floating], n_users: int, n_items: int
) -> None:
    lengths = {len(user), len(item), *(len(column) for column in columns)}
    if len(lengths) > 1:
        raise ValueError(f"columns have lengths {sorted(lengths)}, expected one length")
    for name, index, size in (("user", user, n_users), ("item", item, n_items)):
        if len(index) and (index.min() < 0 or index.max() >= size):
            raise ValueError(f"{name} has {index.min()}..{index.max()}, expected 0..{size - 1}")
    pairs = user.astype(np.int64) * n_items + item
    if len(np.unique(pairs)) < len(pairs):
        raise ValueError("a (user, item) pair is given twice, expected distinct pairs")
