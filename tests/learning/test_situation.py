"""Newcomers replayed: what is known of them, and what they are asked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from recs.learning import Interactions
from recs.learning.fitted_blend import KNOWN_ITEMS
from recs.learning.situation import regulars, replay
from recs.learning.validation import Validation, hold_out
from tests.learning.planted import planted


@pytest.mark.parametrize("n", KNOWN_ITEMS)
@pytest.mark.parametrize("with_times", [True, False])
@pytest.mark.parametrize("length", [25, 60])  # items drawn a user, some of them twice
def test_a_replay_knows_the_first_items_and_looks_for_late_ones_of_the_training_part(
    n: int, with_times: bool, length: int
) -> None:
    whole = planted(
        predictability=0.5, n_users=200, n_items=800, length=length, with_times=with_times
    )
    weight = np.random.default_rng(0).uniform(0.5, 2, len(whole)).astype(np.float32)
    data = replace(whole, weight=weight)
    validation = hold_out(data, share=0.4, max_users=60, generator=np.random.default_rng(0))
    trained = set(validation.train.item.tolist())
    situation = replay(data, validation, n)
    assert situation.between is not None
    replayed = 0
    for user in validation.newcomers:
        rows = range(data.offsets[user], data.offsets[user + 1])
        moments = {int(data.item[row]): float(data.first_occurred_at[row]) for row in rows}
        weights = {int(data.item[row]): float(data.weight[row]) for row in rows}
        given = min(20, len(moments) - 5)
        if n > given or replayed == len(situation.relevant):
            continue
        row = situation.known[replayed]
        known = dict(zip(row.indices.tolist(), row.data.tolist(), strict=True))
        between = set(situation.between[replayed].indices.tolist())
        asked = set(situation.relevant[replayed].tolist())
        if not set(known) | between | asked <= set(moments):
            continue  # nothing of this user is left to find
        assert known == {item: weights[item] for item in known}
        assert len(known) == n
        assert len(between) == given - n
        assert asked == (set(moments) - set(known) - between) & trained
        assert max(moments[item] for item in known) <= min(moments[item] for item in asked)
        for item in between:
            assert max(moments[one] for one in known) <= moments[item]
            assert moments[item] <= min(moments[one] for one in asked)
        assert set(situation.barred[replayed].indices.tolist()) == set(known) | between
        replayed += 1
    assert replayed == len(situation.relevant)
    assert replayed > 0 or (n, length) == (20, 25)
    assert situation.support.tolist() == [n] * replayed


def test_what_is_undated_is_replayed_in_an_order_that_ids_do_not_tell() -> None:
    data = planted(predictability=0.5, n_users=400, n_items=800, length=25)
    validation = hold_out(data, share=0.1, max_users=60, generator=np.random.default_rng(0))
    shares = []
    for row, later in zip(*_replayed(data, validation, 10), strict=True):
        shares.append(np.mean(np.asarray(row)[:, None] < np.asarray(later)[None, :]))
    assert 0.4 < np.mean(shares) < 0.6


def test_a_replay_of_more_items_begins_with_that_of_fewer() -> None:
    data = planted(predictability=0.5, n_users=200, length=25)
    validation = hold_out(data, share=0.1, max_users=60, generator=np.random.default_rng(0))
    few, more = (_replayed(data, validation, n)[0] for n in (3, 5))
    assert all(set(a) < set(b) for a, b in zip(few, more, strict=True))


def _replayed(
    data: Interactions, validation: Validation, n: int
) -> tuple[list[list[int]], list[list[int]]]:
    situation = replay(data, validation, n)
    known = [row.indices.tolist() for row in situation.known]
    return known, [items.tolist() for items in situation.relevant]


def test_who_has_nothing_left_to_find_is_not_replayed() -> None:
    data = planted(predictability=0.9, n_users=400, n_items=200, length=60)
    validation = hold_out(data, share=0.1, max_users=60, generator=np.random.default_rng(0))
    longest = int(data.lengths[validation.newcomers].max())
    situation = replay(data, validation, longest)
    assert situation.known.shape == (0, data.n_items)
    assert not situation.relevant


@pytest.mark.parametrize(("most", "step"), [(1000, 1), (60, 1), (59, 2), (31, 2), (20, 3), (7, 9)])
def test_regulars_are_some_of_the_slices_users_from_the_first_to_the_last(
    most: int, step: int
) -> None:
    data = planted(predictability=0.5, n_users=200, with_times=True)
    weight = np.random.default_rng(0).uniform(0.5, 2, len(data)).astype(np.float32)
    data = replace(data, weight=weight)
    validation = hold_out(data, share=0.4, max_users=60, generator=np.random.default_rng(0))
    assert len(validation.users) == 60
    train = validation.train
    situation = regulars(validation, 30.0, most=most)
    chosen = range(0, 60, step)
    assert len(situation.relevant) == situation.known.shape[0] == len(chosen) <= most
    for row, place in enumerate(chosen):
        user = validation.users[place]
        expected = {
            int(train.item[n]): train.weight[n]
            * 0.5 ** (max(0.0, train.trained_until - train.last_occurred_at[n]) / 30)
            for n in range(train.offsets[user], train.offsets[user + 1])
        }
        known = situation.known[row]
        found = dict(zip(known.indices.tolist(), known.data.tolist(), strict=True))
        assert found == pytest.approx(expected, rel=1e-5)
        assert situation.relevant[row] is validation.held_out[place]
    assert (situation.barred != situation.known).nnz == 0
