"""Held-out users as far as they are known: regulars of the slice, and newcomers replayed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recs.learning.interactions import Interactions
from recs.learning.validation import Validation

Indices = NDArray[np.int64]


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


def regulars(validation: Validation, half_life_days: float, *, most: int) -> Situation:
    """Return the slice's users, `most` of them at most, by what they had before it."""
    chosen = slice(None, None, -(-len(validation.users) // most) or 1)
    known = validation.train.of_users(validation.users[chosen])
    return Situation(known.histories(half_life_days), validation.held_out[chosen])
