"""What the season ahead asks for more of than of late."""

import math

import numpy as np
import pytest

from recs.learning import Interactions
from recs.learning.seasonality import seasonality

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


def test_what_sold_in_the_season_ahead_a_year_ago_is_wanted_more() -> None:
    spring, autumn, older, _ = seasonality(sold(180, 300, 450), half_life_days=120)
    assert autumn > 3 * spring
    assert spring == pytest.approx(older)


def test_the_geometric_mean_is_one() -> None:
    wanted = seasonality(sold(30, 250, 300, 380, 400), half_life_days=120)
    assert np.log(wanted).mean() == pytest.approx(0, abs=1e-6)


def test_it_equals_a_slow_reference() -> None:
    ages = [3.0, 244.0, 245.0, 246.0, 384.0, 385.0, 386.0]
    logs = []
    for age in [*ages, 0.0]:
        late = 0.5 ** (age / 60)
        ahead = max(late, 2.0) if 245 <= age <= 385 else late
        logs.append(math.log((20 * ahead + 3) / (20 * late + 3)))
    expected = np.exp(np.array(logs) - np.mean(logs))
    np.testing.assert_allclose(seasonality(sold(*ages), half_life_days=60), expected, rtol=1e-5)


def test_the_unit_of_weights_is_nothing_to_it() -> None:
    one = seasonality(sold(10, 300), half_life_days=60)
    heavy = seasonality(sold(10, 300, weight=7), half_life_days=60)
    np.testing.assert_allclose(heavy, one, rtol=1e-5)


@pytest.mark.parametrize("half_life", [120.0, math.inf])
def test_every_item_counts_the_same_where_no_season_is_known(half_life: float) -> None:
    recent = sold(10, 100, 200, n_items=6)  # nothing is as old as the season ahead a year ago
    np.testing.assert_allclose(seasonality(recent, half_life_days=half_life), np.ones(6))


def test_time_that_carries_nothing_makes_no_season() -> None:
    np.testing.assert_array_equal(seasonality(sold(10, 300), half_life_days=math.inf), np.ones(3))


def test_an_item_that_nobody_has_is_of_all_seasons() -> None:
    assert seasonality(sold(10, 300, n_items=5), half_life_days=120)[3:].tolist() == [1, 1]


def test_items_that_nobody_has_change_nothing_for_the_others() -> None:
    alone = seasonality(sold(10, 300), half_life_days=120)
    among = seasonality(sold(10, 300, n_items=50), half_life_days=120)
    np.testing.assert_allclose(among[:3], alone, rtol=1e-6)


def test_an_interaction_counts_by_its_share_of_the_mean_weight_from_its_last_time_on() -> None:
    # Item 0 sold of late, item 1 in the season ahead, item 2 in both, by several users each.
    taken = [(0, 8.0, 1.0), (0, 3.0, 4.0), (1, 300.0, 0.5), (2, 300.0, 2.0), (2, 0.0, 0.1)]
    item, age, weight = (np.array(column) for column in zip(*taken, strict=True))
    data = Interactions.from_pairs(
        np.arange(5, dtype=np.int32),
        item.astype(np.int32),
        n_users=5,
        n_items=3,
        weight=weight.astype(np.float32),
        first_occurred_at=NOW - age - 150,
        last_occurred_at=NOW - age,
        trained_until=NOW,
    )
    logs = []
    for one in range(3):
        late = ahead = 3.0
        for other, days, counts in taken:
            if other == one:
                faded = 0.5 ** (days / 60)
                late += counts / weight.mean() * faded
                ahead += counts / weight.mean() * (2.0 if days == 300 else faded)
        logs.append(math.log(ahead / late))
    expected = np.exp(np.array(logs) - np.mean(logs))
    np.testing.assert_allclose(seasonality(data, half_life_days=60), expected, rtol=1e-5)
