"""The space fitted to interactions: everything that held-out data say, in the order it is asked."""

from __future__ import annotations

from dataclasses import replace

from recs.learning.adjustments import (
    STRENGTHS,
    draw_of,
    drawn,
    faded,
    fit_draw_strength,
    fit_popularity_half_life,
    resolved,
)
from recs.learning.blend import Blend
from recs.learning.fitted_blend import fit_blend
from recs.learning.interactions import Floats, Interactions
from recs.learning.new_item_bias import fit_new_item_bias
from recs.learning.signals import Signals, signals_of
from recs.learning.space import Space, compose
from recs.learning.validation import Validation


def fit_space(
    interactions: Interactions,
    signals: Signals,
    validation: Validation | None,
    *,
    content: Floats | None = None,
) -> tuple[Space, Space | None]:
    """Join a two-tower model with associations and popularity, in a blend chosen on held-out data.

    Args:
        signals: of all interactions, see signals_of.
        content: [I, C], unit or zero rows.

    Returns:
        the space of everything, and that of the slice's training part, for a gate to judge; None
        where nothing was held out. Deterministic with the seed of the model's configuration.
    """
    trial, strength, days = None, STRENGTHS[0], None
    blend = Blend.of_catalog(interactions.n_items, in_sittings=interactions.in_sittings)
    if validation is not None and signals.tower.trial is not None and len(validation.users):
        tried = resolved(validation, signals_of(validation.train, signals.tower.trial))
        if tried.resolution != signals.resolution:
            signals = signals_of(interactions, signals.tower, tried.resolution)
        days = fit_popularity_half_life(validation, tried)
        tried = faded(tried, validation.train, days)
        if content is not None:
            draw = draw_of(tried, validation.train, content)
            strength = fit_draw_strength(validation, tried, draw)
            tried = drawn(tried, draw, strength)
        blend = fit_blend(
            interactions, validation, tried, content=content, momentary=days is not None
        )
        trial = replace(compose(tried, blend), popularity_half_life_days=days)
        if content is not None:
            bias = fit_new_item_bias(trial, tried, validation, content)
            blend = replace(blend, new_item_bias=bias)
    signals = faded(signals, interactions, days)
    if content is not None:
        signals = drawn(signals, draw_of(signals, interactions, content), strength)
    space = compose(signals, blend)
    return replace(
        space,
        popularity_half_life_days=days,
        draw_strength=0.0 if content is None else strength,
    ), trial
