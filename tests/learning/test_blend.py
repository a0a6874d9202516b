"""The blend for newcomers."""

import math

import numpy as np
import scipy.sparse as sp

from recs.learning import Interactions
from recs.learning.associations import Associations
from recs.learning.blend import (
    POPULARITY_WEIGHT,
    BlendWeights,
    blended_scores,
    draw_users,
    fit_blend,
)
from tests.learning.planted import planted


def long_histories(*, predictability: float) -> Interactions:
    return planted(
        predictability=predictability, n_users=800, n_items=400, length=40, with_times=True
    )


def test_a_score_is_the_sum_over_known_items_plus_weighted_popularity() -> None:
    generator = np.random.default_rng(0)
    associations = Associations(*generator.normal(size=(2, 4, 3)).astype(np.float32))
    sold = np.array([1, 0.5, 0.25, 0], np.float32)
    known = sp.csr_matrix(np.array([[1.0, 0.5, 0, 0]]))
    scores = blended_scores(known, associations, sold, 0.03)[0]
    user = associations.history[0] + 0.5 * associations.history[1]
    np.testing.assert_allclose(
        scores[2:], associations.items[2:] @ user + 0.03 * sold[2:], rtol=1e-5
    )
    assert np.isneginf(scores[:2]).all()


def test_held_out_users_have_something_to_find() -> None:
    data = planted(predictability=0.5, length=6)  # 4 to 6 distinct items
    drawn = draw_users(data, share=0.5, max_users=50, seed=0)
    assert len(drawn) == 50
    assert data.lengths.min() < 6 <= data.lengths[drawn].min()


def test_popularity_weighs_less_where_tastes_are_clear() -> None:
    clear = fit_blend(long_histories(predictability=0.95), half_life_days=math.inf)
    random = fit_blend(long_histories(predictability=0.0), half_life_days=math.inf)
    assert clear.popularity_weight <= random.popularity_weight


def test_the_blend_beats_popularity_at_every_number_of_known_items() -> None:
    curve = fit_blend(long_histories(predictability=0.9), half_life_days=math.inf).curve
    assert sorted(curve) == [1, 2, 3, 5, 10, 20]
    assert all(blend > popular for blend, _, popular in curve.values())


def test_fitting_twice_gives_the_same_weight() -> None:
    data = long_histories(predictability=0.5)
    assert fit_blend(data, half_life_days=120.0) == fit_blend(data, half_life_days=120.0)


def test_too_few_users_leave_the_default() -> None:
    few = planted(predictability=0.5, n_users=20)
    assert fit_blend(few, half_life_days=math.inf) == BlendWeights(POPULARITY_WEIGHT)
