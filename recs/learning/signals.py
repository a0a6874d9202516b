"""What a score is made of before anything is weighed, computed from interactions."""

from __future__ import annotations

import math
from dataclasses import dataclass

from recs.learning.associations import Associations, join
from recs.learning.catalog_defaults import catalog_defaults
from recs.learning.config import TrainingConfig
from recs.learning.ease import fit_ease, noise_edge
from recs.learning.interactions import Floats, Interactions
from recs.learning.low_pass import fit_low_pass
from recs.learning.popularity import popularity
from recs.learning.seasonality import seasonality
from recs.learning.trained import TrainedModel

USERS_PER_SIGNAL = 64  # it takes so many users to tell a signal of the graph from noise
# Where interest fades, what comes next differs from what was seen by more than chance.
RIDGE_OF_FADING = 2.0  # edges of the noise; else one


@dataclass(frozen=True)
class Resolution:
    """How closely EASE reads what goes with what.

    Args:
        dimensions: in units of what suits a catalog of that size.
        ridge: in units of the edge of noise, or of twice that where interest fades.
    """

    dimensions: float = 1.0
    ridge: float = 1.0


USUAL = Resolution()
FINE = Resolution(dimensions=2.0, ridge=0.5)


@dataclass(frozen=True)
class Signals:
    """What is blended: vectors of a two-tower model, associations [I, A] and popularity [I].

    seasonality [I] is for new items: see recs.learning.seasonality. mean_weight is that of an
    interaction, which the length of a sum of associations is proportional to.
    """

    tower: TrainedModel
    associations: Associations
    popularity: Floats
    seasonality: Floats
    resolution: Resolution = USUAL
    mean_weight: float = 1.0


def signals_of(
    interactions: Interactions, tower: TrainedModel, resolution: Resolution = USUAL
) -> Signals:
    """Compute what goes with a two-tower model: associations and popularity, as fast in fading.

    What associations predict fades twice as fast as what they predict it from: a fashion passes,
    a taste stays. EASE and the low-pass filter of the graph stand side by side: in a shop the
    filter is for newcomers and fades, in a large catalog it is the greater part. EASE's ridge is
    the edge of what chance would be, or twice that where interest fades.

    Args:
        tower: trained on these interactions, with its half-life.
        resolution: how closely EASE reads, kept with the signals.
    """
    half_life, config = tower.timescale.association_half_life_days, tower.config
    device = config.torch_device
    weights = interactions.histories(half_life)
    targets = None if math.isinf(half_life) else interactions.histories(half_life / 2)
    suited, unit = catalog_defaults(interactions.n_items), config.association_dimension
    dimension, n_signals = association_dimensions(interactions, config, resolution)
    ridge = resolution.ridge * noise_edge(weights)
    ridge *= 1.0 if math.isinf(half_life) else RIDGE_OF_FADING
    associations = join(
        fit_low_pass(weights, dimension=n_signals, seed=config.seed, device=device),
        fit_ease(
            weights,
            targets,
            dimension=dimension,
            ridge=ridge,
            seed=config.seed,
            device=device,
        ),
        weights,
        share=suited.low_pass_share,
        detail_dimension=max(0, dimension - int(unit * suited.coarse_factor)),
        support=suited.association_support,
    )
    return Signals(
        tower=tower,
        associations=associations,
        popularity=popularity(interactions, half_life_days=tower.half_life_days),
        # Over what associations predict, so that their length comes to mean the season ahead.
        seasonality=seasonality(interactions, half_life_days=half_life / 2),
        resolution=resolution,
        mean_weight=interactions.mean_weight,
    )


def association_dimensions(
    interactions: Interactions, config: TrainingConfig, resolution: Resolution = USUAL
) -> tuple[int, int]:
    """Compute how many dimensions EASE has, and how many the low-pass filter."""
    suited, unit = catalog_defaults(interactions.n_items), config.association_dimension
    ease = min(int(unit * suited.ease_factor * resolution.dimensions), interactions.n_items)
    n_users = int((interactions.lengths > 0).sum())
    return ease, min(int(unit * suited.low_pass_factor), n_users // USERS_PER_SIGNAL)
