from dataclasses import replace

import numpy as np
import pytest
import torch

from recs.learning import Interactions
from recs.learning.validation import Validation, hold_out, score, split_at, split_latest
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


@pytest.mark.parametrize("with_times", [True, False])
def test_newcomers_are_unknown_to_training_and_not_among_its_users(with_times):
    data = planted(predictability=0.5, with_times=with_times)
    validation = hold_out(data, share=0.1, max_users=400, generator=np.random.default_rng(0))
    newcomers = validation.newcomers
    assert len(newcomers) == len(set(newcomers)) == 40
    assert not validation.train.lengths[newcomers].any()
    assert not set(validation.train.user) & set(newcomers)
    assert not set(validation.users) & set(newcomers)


def test_newcomers_are_a_tenth_of_the_users_with_an_item_to_know_and_five_to_find():
    data = planted(predictability=0.5, length=6)  # 4 to 6 distinct items
    validation = hold_out(data, share=0.1, max_users=50, generator=np.random.default_rng(0))
    enough = np.flatnonzero(data.lengths == 6)
    assert len(enough) < 400
    assert len(validation.newcomers) == len(enough) // 10
    assert set(validation.newcomers) <= set(enough)


def test_newcomers_are_500_at_most():
    n = 6000
    data = Interactions.from_pairs(
        np.repeat(np.arange(n), 6).astype(np.int32),
        np.tile(np.arange(6), n).astype(np.int32),
        n_users=n,
        n_items=6,
    )
    validation = hold_out(data, share=0.1, max_users=50, generator=np.random.default_rng(0))
    assert len(validation.newcomers) == 500


@pytest.mark.parametrize(("length", "n_users"), [(5, 400), (15, 9)])
def test_without_enough_items_or_users_nobody_is_a_newcomer(length, n_users):
    data = planted(predictability=0.5, length=length, n_users=n_users)
    validation = hold_out(data, share=0.1, max_users=50, generator=np.random.default_rng(0))
    assert not len(validation.newcomers)
    assert len(validation.users)


def test_but_for_newcomers_all_pairs_of_known_items_are_trained_on_or_held_out():
    data = planted(predictability=0.5, n_users=200, n_items=1600)
    validation = hold_out(data, share=0.1, max_users=400, generator=np.random.default_rng(0))
    train = validation.train
    pairs = set(zip(train.user.tolist(), train.item.tolist(), strict=True))
    for user, items in zip(validation.users.tolist(), validation.held_out, strict=True):
        pairs |= {(user, item) for item in items.tolist()}
    newcomers, known = set(validation.newcomers.tolist()), set(train.item.tolist())
    assert len(known) < len(set(data.item.tolist()))
    assert pairs == {
        (user, item)
        for user, item in zip(data.user.tolist(), data.item.tolist(), strict=True)
        if user not in newcomers and item in known
    }


def test_sorting_a_matrix_leaves_the_interactions_as_they_are() -> None:
    data = Interactions.from_pairs(
        np.int32([0, 0, 0]),
        np.int32([2, 0, 1]),
        n_users=1,
        n_items=3,
        last_occurred_at=np.array([1.0, 3.0, 2.0]),
    )
    items = data.item.tolist()
    assert items != sorted(items)
    weights = data.history_weights(1.0)
    matrix = data.matrix(weights)
    matrix.sort_indices()
    assert data.item.tolist() == items
    assert weights.tolist() == data.history_weights(1.0).tolist()


def visits(n_users: int, days_between: float, *, length: int = 10) -> Interactions:
    """Users who come at any time of two years, for items that follow each other by so many days."""
    generator = np.random.default_rng(0)
    items = np.stack([generator.permutation(60)[:length] for _ in range(n_users)])
    days = generator.uniform(0, 730, n_users)[:, None] + days_between * np.arange(length)
    return Interactions.from_pairs(
        np.repeat(np.arange(n_users), length).astype(np.int32),
        items.ravel().astype(np.int32),
        n_users=n_users,
        n_items=60,
        first_occurred_at=days.ravel(),
    )


def test_users_who_act_within_an_hour_act_in_sittings_and_those_who_come_back_do_not():
    assert visits(100, 0.004).in_sittings
    assert not visits(100, 30.0).in_sittings
    assert not visits(100, 0.0, length=1).select(np.zeros(100, np.bool_)).in_sittings


def latest_of(data: Interactions) -> Validation | None:
    return split_latest(data, share=0.1, max_users=200, generator=np.random.default_rng(0))


def sittings(n_users: int, n_back: int) -> Interactions:
    """Users who do everything within an hour, but for some who do ten of it in the year after."""
    generator = np.random.default_rng(0)
    data = visits(n_users, 0.004, length=40)
    days = data.first_occurred_at.copy()
    for user in range(n_back):
        begun = generator.uniform(0, 365)
        later = np.concatenate([np.zeros(30), generator.uniform(0, 365, 10)])
        days[data.offsets[user] : data.offsets[user + 1]] = begun + later
    return replace(data, first_occurred_at=days, last_occurred_at=days)


@pytest.mark.parametrize(("n_back", "share"), [(280, 0.1), (150, 0.2), (90, 0.3)])
def test_the_latest_slice_of_sittings_is_wider_where_few_users_span_the_latest_share(n_back, share):
    data = sittings(600, n_back)
    assert data.in_sittings
    latest = latest_of(data)
    assert latest is not None
    cut = latest.train.trained_until
    assert np.mean(data.first_occurred_at > cut) == pytest.approx(share, abs=0.02)
    assert latest.train.first_occurred_at.max() <= cut
    assert 50 <= len(latest.users) < 200


def test_the_latest_slice_of_what_is_no_sitting_is_never_wider():
    assert latest_of(visits(300, 60.0)) is not None
    assert latest_of(visits(240, 60.0)) is None  # a wider one would be spanned by a hundred


def test_there_is_no_latest_slice_where_hardly_anybody_spans_a_moment():
    data = visits(120, 0.004)
    assert data.in_sittings
    assert latest_of(data) is None


def test_each_users_last_items_are_held_out_where_hardly_anybody_spans_a_moment():
    data = visits(120, 0.004)
    validation = hold_out(data, share=0.1, max_users=200, generator=np.random.default_rng(0))
    assert validation.train.trained_until == data.trained_until
    assert len(validation.users) > 100


def test_what_is_dated_after_the_moment_has_no_age_and_takes_nothing_from_the_rest():
    def weights(last):
        data = Interactions.from_pairs(
            ints(0, 0), ints(0, 1), n_users=1, n_items=2,
            last_occurred_at=np.array([0.0, last]), trained_until=10.0,
        )  # fmt: skip
        return data.history_weights(10.0)

    np.testing.assert_allclose(weights(10.0), [0.5, 1.0])
    np.testing.assert_allclose(weights(4000.0), [0.5, 1.0])


def test_days_may_lie_before_their_origin():
    data = Interactions.from_pairs(
        ints(0), ints(0), n_users=1, n_items=1, last_occurred_at=np.array([-5.0])
    )
    assert data.trained_until == -5.0


def test_rows_of_some_users_are_those_of_all_in_their_order():
    data = planted(predictability=0.5, with_times=True)
    users = np.array([7, 0, 311, 7])
    some = data.of_users(users)
    np.testing.assert_array_equal(
        some.histories(30.0).toarray(), data.histories(30.0)[users].toarray()
    )
    assert some.lengths.tolist() == data.lengths[users].tolist()
    assert some.trained_until == data.trained_until
    assert len(data.of_users(np.zeros(0, np.int64))) == 0


def test_what_cannot_be_served_stands_in_no_list_that_is_judged():
    data = planted(predictability=0.5)
    validation = hold_out(data, share=0.1, max_users=50, generator=np.random.default_rng(0))
    # Item 0 is nearest to everybody, the item held out first is next.
    items = np.zeros((data.n_items, 1), np.float32)
    items[0] = 2
    users = torch.ones(len(validation.users), 1)
    learned = np.arange(data.n_items) != 0
    scored = [
        score(users, torch.from_numpy(items), replace(validation, held_out=held), learned=learned)
        for held in ([np.array([0]) for _ in validation.users], validation.held_out)
    ]
    assert scored[0] == (0, 0)
    assert scored[1][0] > 0


def test_pairs_of_a_large_catalog_are_told_apart() -> None:
    # 42949 * 100000 + 67296 is 2 ** 32.
    data = Interactions.from_pairs(ints(0, 42949), ints(0, 67296), n_users=50_000, n_items=100_000)
    assert len(data) == 2


def test_nothing_has_no_times_no_age_and_weighs_one() -> None:
    nothing = visits(3, 30.0).select(np.zeros(30, np.bool_))
    assert not nothing.has_times
    assert nothing.median_age == 0
    assert nothing.mean_weight == 1


def repeated(first: list[float], last: list[float], **more: float) -> Interactions:
    """One item each of so many users, taken first and last on these days."""
    users = np.arange(len(first), dtype=np.int32)
    return Interactions.from_pairs(
        users, 0 * users, n_users=len(first), n_items=1,
        first_occurred_at=np.array(first), last_occurred_at=np.array(last), **more,
    )  # fmt: skip


def test_times_and_ages_are_those_of_the_first_occurrence() -> None:
    assert not repeated([3, 3, 3], [3, 4, 5]).has_times
    assert repeated([3, 3, 4], [5, 5, 5]).has_times
    assert repeated([1, 4, 9], [9, 9, 9], trained_until=10).median_age == 6
    assert repeated([14, 15, 9], [14, 15, 9], trained_until=10).median_age == 0


def test_who_buys_the_same_again_much_later_acts_in_sittings_all_the_same() -> None:
    data = visits(100, 0.004)
    later = np.random.default_rng(0).uniform(0, 365, len(data))
    assert replace(data, last_occurred_at=data.first_occurred_at + later).in_sittings


def test_what_is_undated_is_no_sitting() -> None:
    assert not visits(1, 0.0).in_sittings
    assert not planted(predictability=0.5).in_sittings


def test_what_came_first_by_the_cut_is_trained_on_as_it_was_known_then() -> None:
    # Days of the first and the last time; the last pair alone is new after day 5.
    first, last = np.array([1.0, 2.0, 5.0, 5.1]), np.array([1.0, 9.0, 5.0, 9.0])
    data = Interactions.from_pairs(
        ints(0, 0, 0, 0, 1), ints(0, 1, 2, 3, 3), n_users=2, n_items=4,
        first_occurred_at=np.array([*first, 0.0]), last_occurred_at=np.array([*last, 0.0]),
    )  # fmt: skip
    validation = split_at(data, cut=5.0, max_users=9, generator=np.random.default_rng(0))
    train = validation.train
    assert train.item[train.user == 0].tolist() == [0, 1, 2]
    assert train.last_occurred_at[train.user == 0].tolist() == [1, 5, 5]
    assert train.ages()[train.user == 0].tolist() == [4, 0, 0]
    assert [items.tolist() for items in validation.held_out] == [[3]]


def test_users_of_the_slice_and_newcomers_are_drawn_and_not_the_oldest_accounts() -> None:
    data = planted(predictability=0.5)
    drawn = hold_out(data, share=0.1, max_users=50, generator=np.random.default_rng(0))
    for users in (drawn.users, drawn.newcomers):
        assert 100 < np.mean(users) < 300
        assert (np.diff(users) > 0).all()


@pytest.mark.parametrize(("n_users", "spans"), [(100, True), (99, False)])
def test_a_hundred_users_who_span_the_cut_are_enough(n_users: int, spans: bool) -> None:
    user, turn = np.divmod(np.arange(10 * n_users), 10)
    data = Interactions.from_pairs(
        user.astype(np.int32), ((user + turn) % 10).astype(np.int32), n_users=n_users, n_items=10,
        first_occurred_at=np.where(turn < 9, turn + user / 1000, 100 + user / 1000),
    )  # fmt: skip
    latest = latest_of(data)
    assert (latest is not None) == spans
    if latest is not None:
        assert len(latest.users) == 100


def test_of_each_user_the_last_tenth_is_held_out_and_one_item_at_least() -> None:
    data = visits(120, 0.004, length=10)
    # What was taken first was taken again last.
    data = replace(data, last_occurred_at=2 * data.first_occurred_at.max() - data.first_occurred_at)
    for share, count in ((0.1, 1), (0.34, 3), (0.01, 1)):
        validation = hold_out(data, share=share, max_users=200, generator=np.random.default_rng(0))
        for user, items in zip(validation.users, validation.held_out, strict=True):
            rows = range(data.offsets[user], data.offsets[user + 1])
            assert sorted(items) == sorted(data.item[rows[-count:]])


def test_who_has_one_item_keeps_it_and_who_has_two_keeps_one() -> None:
    user = np.repeat(np.arange(60), np.where(np.arange(60) < 20, 1, 2))
    item = np.concatenate([np.zeros(20), np.tile([1, 2], 40)])
    data = Interactions.from_pairs(
        user.astype(np.int32), item.astype(np.int32), n_users=60, n_items=3
    )
    for share in (0.1, 0.6, 0.9):
        validation = hold_out(data, share=share, max_users=99, generator=np.random.default_rng(0))
        assert validation.train.lengths.tolist() == [1] * 60
        assert validation.users.tolist() == list(range(20, 60))


def test_of_what_is_undated_an_item_is_held_out_whatever_its_number() -> None:
    data = planted(predictability=0.0)
    validation = hold_out(data, share=0.2, max_users=400, generator=np.random.default_rng(0))
    assert 110 < np.concatenate(validation.held_out).mean() < 130
