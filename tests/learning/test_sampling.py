from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from recs.learning import TIMELESS, Interactions, Timescale, TrainingConfig
from recs.learning.sampling import Sampler, target_chances
from tests.learning.planted import planted

BY_TIME = Timescale(30.0, 60.0, later_from_earlier=True)


def sampler(interactions, timescale=TIMELESS, *, seed=0, **settings):
    config = TrainingConfig(**settings)
    return Sampler(interactions, timescale, config=config, generator=np.random.default_rng(seed))


def test_every_user_is_split_into_input_and_targets_that_share_nothing():
    data = planted(predictability=0.5)
    for batch in sampler(data).epoch():
        n_users = len(batch.history_offsets)
        owners = (
            np.searchsorted(batch.history_offsets, np.arange(len(batch.history_items)), "right") - 1
        )
        assert set(owners) == set(batch.target_rows) == set(range(n_users))
        inputs = set(zip(owners, batch.history_items, strict=True))
        targets = set(zip(batch.target_rows, batch.candidates[batch.target_columns], strict=True))
        assert not inputs & targets


def test_an_epoch_holds_every_interaction_once():
    data = planted(predictability=0.5)
    seen = sum(len(b.history_items) + len(b.target_rows) for b in sampler(data).epoch())
    assert seen == len(data)


def test_input_items_are_masked():
    data = planted(predictability=0.5)
    batch = next(sampler(data, n_negatives=50).epoch())
    assert len(batch.masked_rows) > 0
    owners = (
        np.searchsorted(batch.history_offsets, np.arange(len(batch.history_items)), "right") - 1
    )
    masked = set(zip(batch.masked_rows, batch.candidates[batch.masked_columns], strict=True))
    expected = {
        (user, item)
        for user, item in zip(owners, batch.history_items, strict=True)
        if item in set(batch.candidates)
    }
    assert masked == expected


def test_with_times_targets_come_after_inputs():
    data = planted(predictability=0.5, with_times=True)
    first = {
        (int(u), int(i)): t
        for u, i, t in zip(data.user, data.item, data.first_occurred_at, strict=True)
    }
    users_of = {
        tuple(sorted(data.item[a:b])): u
        for u, (a, b) in enumerate(zip(data.offsets[:-1], data.offsets[1:], strict=True))
    }
    for batch in sampler(data, BY_TIME).epoch():
        ends = [*batch.history_offsets[1:], len(batch.history_items)]
        for row, (start, end) in enumerate(zip(batch.history_offsets, ends, strict=True)):
            inputs = batch.history_items[start:end]
            targets = batch.candidates[batch.target_columns[batch.target_rows == row]]
            user = users_of[tuple(sorted([*inputs, *targets]))]
            assert max(first[user, i] for i in inputs) < min(first[user, i] for i in targets)


@pytest.mark.parametrize("timescale", [TIMELESS, BY_TIME])
def test_the_inclusion_probability_is_the_frequency_among_candidates(timescale):
    data = planted(predictability=0.5, n_users=300, with_times=True)
    draws = sampler(data, timescale, n_negatives=40)
    counts, chances, batches = np.zeros(240), np.zeros(240), 0
    for _ in range(40):
        for batch in draws.epoch():
            counts[batch.candidates] += 1
            chances[batch.candidates] += np.exp(batch.log_inclusion)
            batches += 1
    frequency, predicted = counts / batches, chances / np.maximum(counts, 1)
    assert np.abs(frequency - predicted).max() < 0.12
    assert np.abs(frequency - predicted).mean() < 0.03


def test_the_same_seed_draws_the_same_batches():
    data = planted(predictability=0.5)
    one, other = (next(sampler(data, seed=3).epoch()) for _ in range(2))
    np.testing.assert_array_equal(one.history_items, other.history_items)
    np.testing.assert_array_equal(one.candidates, other.candidates)


LENGTH = 6


def own_items(*, n_users=60):
    """Users who have six items each that nobody else has; some they took again later."""
    generator = np.random.default_rng(0)
    n = n_users * LENGTH
    first = generator.uniform(0, 300, n)
    return Interactions.from_pairs(
        np.repeat(np.arange(n_users), LENGTH).astype(np.int32),
        np.arange(n, dtype=np.int32),
        n_users=n_users,
        n_items=n,
        weight=generator.uniform(0.2, 3, n).astype(np.float32),
        first_occurred_at=first,
        last_occurred_at=first + generator.choice([0.0, 50.0], n),
        trained_until=365.0,
    )


def histories_of(batch):
    ends = [*batch.history_offsets[1:], len(batch.history_items)]
    for start, end in zip(batch.history_offsets, ends, strict=True):
        yield batch.history_items[start:end].tolist(), batch.history_weights[start:end].tolist()


@pytest.mark.parametrize("timescale", [BY_TIME, Timescale(30.0, 60.0), TIMELESS])
def test_a_history_weighs_what_it_did_when_the_targets_were_still_to_come(timescale):
    data = own_items()
    row_of = {int(item): row for row, item in enumerate(data.item)}

    def weight(row, moment):
        age = max(0.0, moment - data.last_occurred_at[row])
        return data.weight[row] * 0.5 ** (age / timescale.half_life_days)

    unit = np.mean([weight(row, 365.0) for row in range(len(data))])
    for batch in sampler(data, timescale).epoch():
        for items, weights in histories_of(batch):
            rows = [row_of[item] for item in items]
            moment = max(data.first_occurred_at[row] for row in rows)
            moment = moment if timescale.later_from_earlier else 365.0
            np.testing.assert_allclose(weights, [weight(r, moment) / unit for r in rows], rtol=1e-4)


@pytest.mark.parametrize("timescale", [BY_TIME, Timescale(30.0, 60.0), TIMELESS])
def test_targets_weigh_less_the_older_they_are_and_one_a_user_in_the_mean(timescale):
    data = own_items()
    row_of = {int(item): row for row, item in enumerate(data.item)}
    sums, batches = 0.0, sampler(data, timescale)
    for _ in range(100):
        for batch in batches.epoch():
            items = batch.candidates[batch.target_columns]
            rows = [row_of[item] for item in items.tolist()]
            expected = [
                data.weight[row]
                * 0.5 ** ((365.0 - data.first_occurred_at[row]) / timescale.target_half_life_days)
                for row in rows
            ]
            factor = batch.target_weights[0] / expected[0]
            np.testing.assert_allclose(batch.target_weights, factor * np.array(expected), rtol=1e-4)
            sums += float(batch.target_weights.sum()) * len(batch.history_offsets)
    assert sums / (100 * 60) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(("timescale", "by_time"), [(BY_TIME, True), (TIMELESS, False)])
def test_the_chance_to_be_a_target_is_how_often_it_is_one(timescale, by_time):
    data, epochs = own_items(), 300
    draws, counts = sampler(data, timescale), Counter()
    for _ in range(epochs):
        for batch in draws.epoch():
            counts.update(batch.candidates[batch.target_columns].tolist())
    frequency = np.array([counts[item] / epochs for item in data.item.tolist()])
    chance = target_chances(data, (0.3, 0.9), by_time=by_time)
    places = np.arange(len(data)) % LENGTH  # of all users together
    for place in range(LENGTH):
        here = places == place
        assert frequency[here].mean() == pytest.approx(chance[here].mean(), abs=0.02)


def test_who_has_one_item_is_not_learned_from():
    data = own_items()
    lone = data.select((data.user < 30) | (np.arange(len(data)) % LENGTH == 0))
    seen = Counter()
    for batch in sampler(lone).epoch():
        seen.update(batch.history_items.tolist())
        seen.update(batch.candidates[batch.target_columns].tolist())
    assert seen == Counter(lone.item[lone.user < 30].tolist())
    chances = target_chances(lone, (0.3, 0.9), by_time=True)
    assert not chances[lone.user >= 30].any()


def test_of_two_items_one_is_known_and_one_is_asked_for():
    data = planted(predictability=0.5, length=2)
    for _ in range(3):
        for batch in sampler(data, history_share=(0.0, 1.0)).epoch():
            n_users = len(batch.history_offsets)
            assert batch.history_offsets.tolist() == list(range(n_users))
            assert batch.target_rows.tolist() == list(range(n_users))


@pytest.mark.parametrize(
    ("n_users", "batch_size", "sizes"),
    [
        (400, 512, [40] * 10),
        (405, 512, [40] * 10 + [5]),
        (100, 512, [16] * 6 + [4]),
        (400, 32, [32] * 12 + [16]),
    ],
)
def test_an_epoch_has_ten_batches_of_sixteen_users_or_more_and_none_too_large(
    n_users, batch_size, sizes
):
    batches = sampler(own_items(n_users=n_users), batch_size=batch_size)
    assert [len(batch.history_offsets) for batch in batches.epoch()] == sizes
    assert len(batches) == len(sizes)


def test_where_earlier_and_later_are_not_told_apart_any_item_may_be_asked_for():
    data, first = own_items(), 0
    when = dict(zip(data.item.tolist(), data.first_occurred_at.tolist(), strict=True))
    for batch in sampler(data, Timescale(30.0, 60.0)).epoch():
        for row, (items, _) in enumerate(histories_of(batch)):
            asked = batch.candidates[batch.target_columns[batch.target_rows == row]].tolist()
            first += min(map(when.get, asked)) < min(map(when.get, items))
    assert 10 < first < 50  # of 60 users


def test_of_what_came_at_one_moment_any_may_be_asked_for_whenever_it_came_again():
    data, asked = own_items(), Counter()
    data = replace(data, first_occurred_at=data.user.astype(np.float64))
    place_of = {int(item): row % LENGTH for row, item in enumerate(data.item)}
    for _ in range(10):
        for batch in sampler(data, BY_TIME).epoch():
            targets = batch.candidates[batch.target_columns].tolist()
            asked.update(place_of[item] for item in targets)
    assert max(asked.values()) < 1.4 * min(asked.values())
    assert len(asked) == LENGTH


@pytest.mark.parametrize(("n_negatives", "all_compete"), [(120, True), (119, False)])
def test_where_half_of_the_catalog_would_be_drawn_all_of_it_competes(n_negatives, all_compete):
    batch = next(sampler(planted(predictability=0.5), n_negatives=n_negatives).epoch())
    assert (batch.log_inclusion is None) == (len(batch.candidates) == 240) == all_compete
