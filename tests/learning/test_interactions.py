import numpy as np
import pytest

from recs.learning import Interactions
from recs.learning.validation import hold_out, split_at
from tests.learning.planted import planted


def ints(*values):
    return np.array(values, np.int32)


def test_pairs_are_sorted_by_user_and_first_occurrence():
    data = Interactions.from_pairs(
        ints(1, 0, 1),
        ints(5, 6, 7),
        n_users=3,
        n_items=8,
        first_occurred_at=np.array([2.0, 0.0, 1.0]),
    )
    assert data.item.tolist() == [6, 7, 5]
    assert data.offsets.tolist() == [0, 1, 3, 3]
    assert data.trained_until == 2.0


def test_weights_halve_with_every_half_life():
    data = Interactions.from_pairs(
        ints(0, 0, 0),
        ints(0, 1, 2),
        n_users=1,
        n_items=3,
        weight=np.array([1, 1, 3], np.float32),
        last_occurred_at=np.array([0.0, 10.0, 20.0]),
    )
    np.testing.assert_allclose(data.history_weights(10.0), [0.25, 0.5, 3.0])
    np.testing.assert_allclose(data.history_weights(np.inf), [1, 1, 3])


@pytest.mark.parametrize(
    ("user", "item", "message"),
    [
        (ints(0, 3), ints(0, 1), "user has 0..3, expected 0..1"),
        (ints(0, 1), ints(0, -1), "item has -1..0, expected 0..1"),
        (ints(0, 0), ints(1, 1), "given twice"),
        (ints(0), ints(1, 1), "lengths"),
    ],
)
def test_bad_pairs_are_refused(user, item, message):
    with pytest.raises(ValueError, match=message):
        Interactions.from_pairs(user, item, n_users=2, n_items=2)


@pytest.mark.parametrize("with_times", [True, False])
def test_held_out_items_are_not_in_training(with_times):
    data = planted(predictability=0.5, with_times=with_times)
    validation = hold_out(data, share=0.1, max_users=50, generator=np.random.default_rng(0))
    train = validation.train
    assert 0 < len(validation.users) <= 50
    for user, held_out in zip(validation.users, validation.held_out, strict=True):
        history = train.item[train.offsets[user] : train.offsets[user + 1]]
        assert len(history) > 0
        assert not set(history) & set(held_out)


def test_a_split_in_time_knows_nothing_of_what_came_later():
    data = planted(predictability=0.5, with_times=True)
    train = split_at(data, cut=365.0, max_users=50, generator=np.random.default_rng(0)).train
    assert train.first_occurred_at.max() <= 365.0
    assert train.last_occurred_at.max() <= 365.0
    assert train.trained_until == 365.0
