"""What makes items like an item sell."""

import math

import numpy as np
import pytest

from recs.learning import Interactions
from recs.learning.appeal import appeal, launch, season
from tests.learning.planted import planted

NOW = 1000.0


def sold(*days_ago: float, weight: float = 1.0, n_items: int | None = None) -> Interactions:
    """Make items that 20 users each took so many days ago, besides one they all took just now."""
    ages = np.array([*days_ago, 0.0])
    count = len(ages)
    return Interactions.from_pairs(
        np.repeat(np.arange(20), count).astype(np.int32),
        np.tile(np.arange(count), 20).astype(np.int32),
        n_users=20,
        n_items=n_items or count,
        weight=np.full(20 * count, weight, np.float32),
        last_occurred_at=np.tile(NOW - ages, 20),
        trained_until=NOW,
    )


def taken(*items: list[float]) -> Interactions:
    """Make items, each taken at these days, once a user."""
    days = np.concatenate([np.array(one) for one in items])
    return Interactions.from_pairs(
        np.concatenate([np.arange(len(one)) for one in items]).astype(np.int32),
        np.repeat(np.arange(len(items)), [len(one) for one in items]).astype(np.int32),
        n_users=max(map(len, items)),
        n_items=len(items),
        first_occurred_at=days,
    )


def test_what_sold_in_the_season_ahead_a_year_ago_is_wanted_more() -> None:
    spring, autumn, older, now = season(sold(180, 300, 450), half_life_days=120)
    assert autumn > 3
    assert (spring, older, now) == (1, 1, 1)


def test_season_equals_a_slow_reference() -> None:
    ages = [3.0, 244.0, 246.0, 384.0, 386.0]
    expected = []
    for age in [*ages, 0.0]:
        late = 0.5 ** (age / 60)
        ahead = max(late, 2.0) if 245 <= age <= 385 else late
        expected.append((20 * ahead + 3) / (20 * late + 3))
    np.testing.assert_allclose(season(sold(*ages), half_life_days=60), expected, rtol=1e-5)


def test_the_unit_of_weights_is_nothing_to_the_season() -> None:
    one = season(sold(10, 300), half_life_days=60)
    heavy = season(sold(10, 300, weight=7), half_life_days=60)
    np.testing.assert_allclose(heavy, one, rtol=1e-5)


def test_where_time_carries_nothing_there_is_no_season() -> None:
    assert season(sold(10, 300), half_life_days=math.inf).tolist() == [1, 1, 1]


def test_a_launch_counts_the_users_of_the_first_hundred_days_in_quiet_times_and_busy_ones() -> None:
    # Ten take the first item early and one late. The second shares its days with the third.
    data = taken([0.0] * 10 + [500.0], [1000.0 + n for n in range(5)], [1050.0] * 5)
    share = np.array([10 / 10, 5 / 10, 5 / 5])
    np.testing.assert_allclose(launch(data), share * (10 + 10 + 5) / 3)


def test_an_item_launched_a_moment_ago_is_judged_by_that_moment() -> None:
    busy = taken([0.0] * 8, [0.0] * 2, [400.0] * 4)
    np.testing.assert_allclose(launch(busy), np.array([8 / 10, 2 / 10, 4 / 4]) * (10 + 10 + 4) / 3)


def test_appeal_equals_a_slow_reference_and_its_mean_over_known_items_is_zero() -> None:
    data = planted(predictability=0.5, n_users=100, with_times=True)
    found = appeal(data, half_life_days=60)
    known = np.unique(data.item)
    parts = launch(data), season(data, half_life_days=60)
    logs = [math.log(parts[0][i] + 30) + 1.5 * math.log(parts[1][i]) for i in known]
    np.testing.assert_allclose(found[known], np.array(logs) - np.mean(logs), atol=1e-5)
    assert np.ptp(found[known]) > 0.1
    assert found[known].mean() == pytest.approx(0, abs=1e-6)


def test_an_item_that_nobody_has_has_none() -> None:
    assert appeal(sold(10, 300, n_items=5), half_life_days=120)[3:].tolist() == [0, 0]


def test_without_times_there_is_none() -> None:
    assert not appeal(planted(predictability=0.5, n_users=50), half_life_days=math.inf).any()
