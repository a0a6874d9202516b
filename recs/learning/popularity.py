"""What sells: the only signal for somebody of whom nothing is known."""

from __future__ import annotations

import math

import numpy as np

from recs.learning.interactions import Floats, Interactions, decay

HALF_LIFE_DAYS = 120.0
RETURNS_AFTER_DAYS = 7.0
ENOUGH_ITEMS = 5


def popularity(interactions: Interactions, *, half_life_days: float) -> Floats:
    """Compute sum_u weight_ui * 0.5 ** (age_ui / half_life) of each item over its largest, [I].

    A user counts once an item, at the last time; the best seller has 1.
    """
    weights = interactions.weight * decay(interactions.ages(), half_life_days)
    sums = np.bincount(interactions.item, weights=weights, minlength=interactions.n_items)
    return np.asarray(sums / max(float(sums.max(initial=0.0)), 1e-12), np.float32)


def automatic_half_life(interactions: Interactions) -> float:
    """Choose a half-life in days: 120 where users come back, inf where they come once.

    Half of the users with 5 items or more must be active for a week or longer. Where a whole
    history is one sitting (ratings given at sign-up), an interaction's age tells when its user
    came, not how stale the interest is.
    """
    spans = _active_days(interactions)
    if not len(spans) or np.median(spans) < RETURNS_AFTER_DAYS:
        return math.inf
    return HALF_LIFE_DAYS


def _active_days(interactions: Interactions) -> Floats:
    """Compute the days between first and last interaction of users with enough items."""
    enough = interactions.lengths >= ENOUGH_ITEMS
    if not enough.any():
        return np.zeros(0, np.float32)
    rows = enough[interactions.user]
    begins = np.cumsum(interactions.lengths[enough]) - interactions.lengths[enough]
    first = np.minimum.reduceat(interactions.first_occurred_at[rows], begins)
    last = np.maximum.reduceat(interactions.last_occurred_at[rows], begins)
    return np.asarray(last - first, np.float32)
