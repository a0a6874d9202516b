"""What sells: the only signal for somebody of whom nothing is known."""

from __future__ import annotations

import numpy as np

from recs.learning.interactions import Floats, Interactions, decay


def popularity(interactions: Interactions, *, half_life_days: float) -> Floats:
    """Compute sum_u weight_ui * 0.5 ** (age_ui / half_life) of each item over its largest, [I].

    A user counts once an item, at the last time; the best seller has 1.
    """
    weights = interactions.weight * decay(interactions.ages(), half_life_days)
    sums = np.bincount(interactions.item, weights=weights, minlength=interactions.n_items)
    return np.asarray(sums / max(float(sums.max(initial=0.0)), 1e-12), np.float32)
