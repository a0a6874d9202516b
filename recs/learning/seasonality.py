"""What the season ahead will ask for more of than of late: what sold then, a year ago.

The vector of a learned item says by its length what sells of late. A new one, which nobody has
bought yet, will be wanted in the season ahead: its neighbours of that season say more of it. On
validation data of a gift shop that was worth 7 % of its new items' recall in autumn, and cost
nothing in spring. Popularity counts what sold then as if it had been sold now. For histories and
what associations say of learned items it was of no use.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from recs.learning.interactions import Days, Floats, Interactions, decay

AHEAD = (245.0, 385.0)  # days ago: a year ago, from 20 days before to 120 days after
STRENGTH = 2.0  # of what happened then, where the newest interaction has 1
PRIOR = 3.0  # users, in both: few say little


def seasonality(interactions: Interactions, *, half_life_days: float) -> Floats:
    """Compute how much more of each item is wanted in the season ahead than of late, [I].

    s_i = (A_i + 3) / (L_i + 3), where L_i = sum_u weight_ui d(age_ui), A_i is the same with
    max(d, 2) for what happened in the season ahead a year ago, in units of the mean weight;
    d(age) = 0.5 ** (age / half_life). Then over its geometric mean: 1 is an item of all seasons.
    Ones where time carries nothing (half_life inf), nothing is as old, and for items that nobody
    has.
    """
    if math.isinf(half_life_days) or not len(interactions):
        return np.ones(interactions.n_items, np.float32)
    ages = interactions.ages()
    late = decay(ages, half_life_days)
    ahead = np.where(in_season_ahead(ages), np.maximum(late, STRENGTH), late)
    sums = [_sums(interactions, factor) + PRIOR for factor in (ahead, late)]
    logs = np.log(sums[0] / sums[1])
    known = np.bincount(interactions.item, minlength=interactions.n_items) > 0
    return np.where(known, np.exp(logs - logs[known].mean()), 1).astype(np.float32)


def in_season_ahead(ages: Days) -> NDArray[np.bool_]:
    """Find what happened in the season ahead a year ago, [N]; ages in days."""
    return (ages >= AHEAD[0]) & (ages <= AHEAD[1])


def _sums(interactions: Interactions, factors: np.ndarray) -> np.ndarray:
    weights = interactions.weight / max(float(interactions.weight.mean()), 1e-12) * factors
    return np.bincount(interactions.item, weights=weights, minlength=interactions.n_items)
