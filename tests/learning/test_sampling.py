import numpy as np
import pytest

from recs.learning import TIMELESS, Timescale, TrainingConfig
from recs.learning.sampling import Sampler
from tests.learning.planted import planted

BY_TIME = Timescale(30.0, 60.0, later_from_earlier=True)


def sampler(interactions, timescale=TIMELESS, *, n_negatives=1024, seed=0):
    config = TrainingConfig(n_negatives=n_negatives)
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
