"""What is computed from interactions before anything is weighed."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from recs.learning import Interactions, Timescale, TrainedModel, TrainingConfig, signals_of
from recs.learning.associations import Fading
from recs.learning.ease import fit_ease, noise_edge
from recs.learning.popularity import popularity
from recs.learning.seasonality import seasonality
from recs.learning.signals import FINE, USUAL, Resolution
from tests.learning.planted import planted
from tests.learning.reference import noise


def few_users(*, n_items: int = 240) -> Interactions:
    """Return 60 users with interactions, too few for a low-pass filter, and 140 without."""
    data = planted(predictability=0.8, n_users=60, n_items=n_items, with_times=True)
    generator = np.random.default_rng(0)
    return Interactions.from_pairs(
        data.user,
        data.item,
        n_users=200,
        n_items=n_items,
        weight=generator.uniform(1, 5, len(data)).astype(np.float32),
        first_occurred_at=data.first_occurred_at,
        last_occurred_at=data.first_occurred_at + generator.choice([0, 90], len(data)),
    )


def tower(timescale: Timescale, *, unit: int = 8, n_items: int = 240) -> TrainedModel:
    made = noise(0, n_items=n_items).tower
    return replace(made, timescale=timescale, config=TrainingConfig(association_dimension=unit))


@pytest.mark.parametrize(("resolution", "dimension", "edges"), [(USUAL, 32, 2.0), (FINE, 64, 1.0)])
def test_associations_predict_what_fades_twice_as_fast_as_what_they_predict_it_from(
    resolution: Resolution, dimension: int, edges: float
) -> None:
    data = few_users()
    fading = Timescale(90.0, 30.0, association_factor=2.0)
    found = signals_of(data, tower(fading), resolution)
    known, wanted = data.histories(180.0), data.histories(90.0)
    expected = fit_ease(known, wanted, dimension=dimension, ridge=edges * noise_edge(known))
    np.testing.assert_allclose(found.associations.items, expected.items, atol=1e-6)
    np.testing.assert_allclose(found.associations.history, expected.history, atol=1e-6)
    assert found.associations.fading == Fading(0, dimension - 2, 5.0)
    assert found.resolution == resolution
    np.testing.assert_array_equal(found.popularity, popularity(data, half_life_days=90.0))
    np.testing.assert_array_equal(found.seasonality, seasonality(data, half_life_days=90.0))
    assert found.mean_weight == pytest.approx(np.mean(data.weight))


def test_where_nothing_fades_associations_predict_what_they_predict_from() -> None:
    data = few_users()
    found = signals_of(data, tower(Timescale()))
    known = data.histories(math.inf)
    expected = fit_ease(known, dimension=32, ridge=noise_edge(known))
    np.testing.assert_allclose(found.associations.items, expected.items, atol=1e-6)
    np.testing.assert_allclose(found.associations.history, expected.history, atol=1e-6)
    np.testing.assert_array_equal(found.seasonality, np.ones(240))


def test_a_catalog_of_fewer_items_than_are_read_coarsely_has_no_detail() -> None:
    found = signals_of(few_users(n_items=8), tower(Timescale(), unit=128, n_items=8))
    assert found.associations.items.shape == (8, 8)
    assert found.associations.fading.detail_dimension == 0
