"""What of the signals is adjusted before they are blended, chosen on the slice's regular users.

How closely associations are read, how far content draws learned items, and how fast popularity
fades: what is sold in a shop lasts a season, what is talked of in a week of new films a week.
Newcomers have no say: they are replayed from all times, so they do not know what sells now.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from recs.learning.blend import Blend
from recs.learning.catalog_defaults import catalog_defaults
from recs.learning.fitted_blend import (
    WARM_USERS,
    best_value,
    noise,
    popularity_blends,
    tower_blends,
)
from recs.learning.interactions import Floats, Interactions
from recs.learning.popularity import popularity
from recs.learning.shrinkage import Draw, fit_draw
from recs.learning.signals import FINE, Signals, signals_of
from recs.learning.validation import Validation

STRENGTHS = (1.0, 0.5, 0.25, 0.0)  # of the draw to content; the first is the default
HALF_LIVES = (64.0, 16.0, 4.0, 1.0)  # of popularity in days, where the model's own is longer
LITTLE = 0.02
# What is gained in the next weeks by less is lost in the months after.
CLEARLY = 0.05

Option = TypeVar("Option")


def fit_draw_strength(validation: Validation, signals: Signals, draw: Draw) -> float:
    """Choose how far content draws learned items: as far as the slice's users are best served.

    The greatest of STRENGTHS that is within 2 % of the best one; too few users leave it at 1. The
    signals are of the slice's training part.
    """
    towers = tower_blends(Blend.of_catalog(len(signals.popularity)))
    return _first_good(
        STRENGTHS,
        lambda strength: best_value(validation, drawn(signals, draw, strength), towers),
        tolerance=LITTLE,
    )


def resolved(validation: Validation, signals: Signals) -> Signals:
    """Read associations more finely where the slice's users are clearly better served by it.

    Asked only where nothing is dated, of a shop. What is held out at random goes with the rest as
    the rest does; what comes in the months after a dated slice follows no such detail.

    Args:
        signals: of the slice's training part, at the usual resolution.

    Returns:
        those, or finer ones of the same interactions. They take some four times as long to make.
    """
    train = validation.train
    if train.has_times or not catalog_defaults(train.n_items).fine:
        return signals
    towers = tower_blends(Blend.of_catalog(train.n_items))
    usual = best_value(validation, signals, towers, users=WARM_USERS)
    if usual is None:
        return signals
    finer = signals_of(train, signals.tower, FINE)
    gained = best_value(validation, finer, towers, users=WARM_USERS)
    assert gained is not None  # noqa: S101 - of the same users
    clearly = 1 + noise(len(validation.users), dated=False)
    return finer if gained > clearly * usual else signals


def fit_popularity_half_life(validation: Validation, signals: Signals) -> float | None:
    """Choose how fast popularity fades, in days; None leaves it at what histories fade by.

    The slowest that is within 5 % of the best one; too few users leave it. The signals are of the
    slice's training part.
    """
    half_life = signals.tower.half_life_days
    if not validation.train.has_times:
        return None
    priors = popularity_blends(Blend.of_catalog(len(signals.popularity)))

    def value(days: float | None) -> float | None:
        return best_value(validation, faded(signals, validation.train, days), priors)

    options = (None, *(days for days in HALF_LIVES if days < half_life))
    return _first_good(options, value, tolerance=CLEARLY)


def _first_good(
    options: Sequence[Option], value: Callable[[Option], float | None], *, tolerance: float
) -> Option:
    """Return the first option about as good as the best; the very first where one has no value."""
    values = []
    for option in options:
        found = value(option)
        if found is None:
            return options[0]
        values.append(found)
    good = (1 - tolerance) * max(values)
    return next(o for o, found in zip(options, values, strict=True) if found >= good)


def draw_of(signals: Signals, interactions: Interactions, content: Floats) -> Draw:
    """Find where the content [I, C] of the items of these signals would have them."""
    support = np.bincount(interactions.item, minlength=interactions.n_items)
    return fit_draw(signals.tower.item_embeddings, content, support)


def drawn(signals: Signals, draw: Draw, strength: float) -> Signals:
    """Draw the two-tower model's items."""
    tower = signals.tower
    items = draw.apply(tower.item_embeddings, strength)
    return replace(signals, tower=replace(tower, item_embeddings=items))


def faded(signals: Signals, interactions: Interactions, half_life_days: float | None) -> Signals:
    """Let popularity fade by a half-life of its own, or leave it."""
    if half_life_days is None:
        return signals
    return replace(signals, popularity=popularity(interactions, half_life_days=half_life_days))
