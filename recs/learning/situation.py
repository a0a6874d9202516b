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

GIVEN = 20  # items of a newcomer that are not asked for
ASKED = 5  # at least, that are


@dataclass(frozen=True)
class Situation:
    """Users as far as they are known, and what they did next.

    known [V, I] are weights; relevant is a list of V arrays of items. `between` [V, I] is not zero
    where an item is neither: it is not asked for, and not listed. None: there is no such.
    """

    known: sp.csr_matrix
    relevant: Sequence[Indices]
    between: sp.csr_matrix | None = None

    @property
    def barred(self) -> sp.csr_matrix:
        """Return what is not zero where an item is not to be listed, [V, I]."""
        return self.known if self.between is None else sp.csr_matrix(self.known + self.between)

    @property
    def support(self) -> NDArray[np.int32]:
        """Count the distinct items known of each user, [V]."""
        return np.asarray(np.diff(self.known.indptr), np.int32)


def replay(interactions: Interactions, validation: Validation, n: int) -> Situation:
    """Return the newcomers with their first n items known, as if these had just happened.

    They are asked for what came after their first 20 items, or for their last 5 where they have
    fewer than 25, at every n. What is chosen in one sitting is near what was shown together: the
    next items say how well a page is guessed, later ones what somebody likes. Who has no n items
    before that is not replayed. What happened at one moment is in a random order, the same at every
    call.
    """
    known_items = np.bincount(validation.train.item, minlength=interactions.n_items) > 0
    items = interactions.item.astype(np.int64)
    first, between, later = [], [], []
    for rows in _timelines(interactions, validation.newcomers):
        given = min(GIVEN, len(rows) - ASKED)
        asked = items[rows[given:]]
        asked = asked[known_items[asked]]
        if n <= given and len(asked):
            first.append(rows[:n])
            between.append(rows[n:given])
            later.append(asked)
    return Situation(_rows(interactions, first), later, _rows(interactions, between))


def _rows(interactions: Interactions, rows: Sequence[Indices]) -> sp.csr_matrix:
    """Put the weights of some interactions of each user into rows, [V, I]."""
    ends = np.cumsum([0, *map(len, rows)])
    joined = np.concatenate(rows) if rows else np.zeros(0, np.int64)
    return sp.csr_matrix(
        (interactions.weight[joined], interactions.item[joined].astype(np.int64), ends),
        shape=(len(rows), interactions.n_items),
    )


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
