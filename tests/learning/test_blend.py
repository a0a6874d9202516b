"""The blend: what a score is made of."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recs.learning.blend import NEVER, Blend


@given(
    support=st.integers(0, 1000),
    more=st.integers(1, 1000),
    tower_support=st.floats(1, 1000),
    tower_fading=st.floats(3, NEVER),
)
def test_the_towers_share_grows_with_what_is_known_until_it_fades_and_popularitys_fades(
    support: int, more: int, tower_support: float, tower_fading: float
) -> None:
    blend = Blend(tower_support=tower_support, tower_fading=tower_fading)
    tower, prior = blend.weights(np.array([support, support + more]))
    most = math.sqrt(tower_support * tower_fading)  # items at which it counts most
    if support + more <= most / 2:
        assert tower[0] < tower[1]
    if support >= 2 * most:
        assert tower[0] > tower[1]
    assert tower.max() < blend.tower_weight * (1 + 1e-6)
    assert prior[0] > prior[1] > 0


@given(support=st.integers(0, 300), more=st.integers(1, 200), tower_support=st.floats(1, 1000))
def test_by_default_the_towers_share_grows_up_to_five_hundred_items(
    support: int, more: int, tower_support: float
) -> None:
    tower, _ = Blend(tower_support=tower_support).weights(np.array([support, support + more]))
    assert tower[0] < tower[1] < Blend().tower_weight * (1 + 1e-6)


@pytest.mark.parametrize(("fading", "at_support"), [(1e6, 0.4), (50, 0.2), (25, 0.4 / 3)])
def test_a_stranger_has_popularity_alone_and_each_weight_is_halved_at_its_support(
    fading: float, at_support: float
) -> None:
    blend = Blend(tower_weight=0.8, tower_support=50, tower_fading=fading, popularity_weight=0.02)
    tower, prior = blend.weights(np.array([0, 10, 50]))
    np.testing.assert_allclose(tower[[0, 2]], [0, at_support], rtol=1e-4)
    np.testing.assert_allclose(prior[:2], [0.02, 0.01], rtol=1e-6)


def test_in_sittings_the_two_tower_fades_unless_users_say_otherwise() -> None:
    assert Blend.of_catalog(100, in_sittings=True).tower_fading == 30
    assert Blend.of_catalog(100).tower_fading == 1e6


def test_in_a_large_catalog_the_two_tower_counts_from_the_first_items_on() -> None:
    few = np.array([1, 3], np.int32)
    large, small = (Blend.of_catalog(n).weights(few)[0] for n in (20_000, 19_999))
    assert (large > 10 * small).all()
