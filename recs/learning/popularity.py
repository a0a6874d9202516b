"""What sells: the only signal for somebody of whom nothing is known."""

from __future__ import annotations

import numpy as np

from recs.learning.interactions import Floats, Interactions, decay
from recs.learning.seasonality import AHEAD, in_season_ahead


def popularity(interactions: Interactions, *, half_life_days: float) -> Floats:
    """Compute sum_u weight_ui d(age_ui) of each item over its largest, [I].

    d(age) = 0.5 ** (age / half_life), and 1 in the season ahead a year ago, unless what is sold
    lasts less than a season; sql/functions/refresh_popularity.sql says the same. A user counts once
    an item, at the last time; the best seller has 1.
    """
    ages = interactions.ages()
    factors = decay(ages, half_life_days)
    if half_life_days >= AHEAD[1] - AHEAD[0]:
        factors = np.where(in_season_ahead(ages), 1.0, factors)
    sums = np.bincount(
        interactions.item, weights=interactions.weight * factors, minlength=interactions.n_items
    )
    return np.asarray(sums / max(float(sums.max(initial=0.0)), 1e-12), np.float32)
