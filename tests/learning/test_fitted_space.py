"""The space fitted to planted tastes: what goes into it, and whom it serves."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from recs.learning import (
    TIMELESS,
    Interactions,
    Space,
    Timescale,
    fit_space,
    fitted_space,
    signals_of,
    train,
)
from recs.learning.adjustments import fit_draw_strength
from recs.learning.blend import Blend
from recs.learning.cold_items import find_neighbors
from recs.learning.popularity import popularity
from recs.learning.shrinkage import fit_draw
from recs.learning.signals import Signals
from recs.learning.space import TAIL, compose
from recs.learning.trained import TrainedModel
from recs.learning.validation import Validation
from recs.learning.vectors import unit_rows
from tests.learning.planted import N_GROUPS, SIZE, SMALL, content_of, held, planted
from tests.learning.reference import slow_scores, user_of, weighted_sum

Planted = tuple[Interactions, TrainedModel, Validation]


@pytest.fixture(scope="module")
def tastes() -> Planted:
    data = planted(predictability=0.9, n_users=320)
    return data, train(data, config=SMALL), held(data)


@pytest.fixture(scope="module")
def space(tastes: Planted) -> Space:
    return fit_space(*signalled(*tastes), content=content_of())[0]


def signalled(
    data: Interactions, model: TrainedModel, validation: Validation | None
) -> tuple[Interactions, Signals, Validation | None]:
    return data, signals_of(data, model), validation


def share_of_group(space: Space, known: list[int], group: int) -> float:
    products = space.item_embeddings @ user_of(space, dict.fromkeys(known, 1.0))
    products[known] = -np.inf
    return float(np.mean(np.argsort(-products)[:20] // SIZE == group))


def test_pooling_equals_a_slow_reference() -> None:
    data = planted(predictability=0.8, n_users=60, with_times=True)
    tower = train(data, config=replace(SMALL, epochs=1, timescales=(Timescale(90.0),)))
    signals = signals_of(data, tower)
    space = compose(signals, Blend())
    users = space.pool(data)
    chosen = np.array([5, 2, 40])
    some = space.pool(data, chosen)
    np.testing.assert_allclose(some.embeddings, users.embeddings[chosen], atol=1e-6)
    np.testing.assert_array_equal(some.support, users.support[chosen])
    for user in (0, 17, 59):
        known = {}
        for row in range(data.offsets[user], data.offsets[user + 1]):
            age = data.trained_until - data.last_occurred_at[row]
            known[int(data.item[row])] = data.weight[row] * 0.5 ** (age / 90)
        total = weighted_sum(space.history_embeddings, known)
        np.testing.assert_allclose(users.history[user], total, atol=1e-4)
        assert users.support[user] == len(known)
        scores = np.array(slow_scores(Blend(), signals, known))
        products = space.item_embeddings @ users.embeddings[user]
        factor = (scores @ products) / (products @ products)
        assert factor > 0
        np.testing.assert_allclose(factor * products, scores, atol=1e-5 * np.abs(scores).max())


def test_histories_come_block_by_block_as_they_are_pooled(
    space: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = planted(predictability=0.8, n_users=60, with_times=True)
    fading = replace(space, half_life_days=30.0)
    monkeypatch.setattr("recs.learning.ranking.CELLS", 7 * space.history_embeddings.shape[1])
    streamed = np.stack(list(fading.stream_histories(data)))
    np.testing.assert_allclose(streamed, fading.pool(data).history, atol=1e-6)


@pytest.mark.parametrize("n", [1, 3, 10])
def test_a_user_nobody_trained_on_is_folded_in(space: Space, n: int) -> None:
    for group in range(N_GROUPS):
        known = list(range(group * SIZE, group * SIZE + n))
        assert share_of_group(space, known, group) > 0.8


def test_a_new_item_is_found_by_users_of_what_it_is_like(space: Space) -> None:
    content = content_of()
    new = unit_rows(np.eye(N_GROUPS, dtype=np.float32))
    placed = space.place(find_neighbors(new, content, np.ones(len(content), np.float32)))
    users = np.stack(
        [
            user_of(space, dict.fromkeys(range(group * SIZE, group * SIZE + 10), 1.0))
            for group in range(N_GROUPS)
        ]
    )
    assert (users @ placed.T).argmax(axis=0).tolist() == list(range(N_GROUPS))


def test_a_stranger_gets_what_sells_now_where_fashion_changes() -> None:
    # Old users bought the first half of the catalog, recent users the second.
    generator = np.random.default_rng(0)
    user = np.repeat(np.arange(400), 10).astype(np.int32)
    recent = user % 2 == 1
    item = np.concatenate([generator.permutation(60)[:10] for _ in range(400)]) + 60 * recent
    day = np.where(recent, 700.0, 0.0) + np.tile(np.arange(10), 400)
    data = Interactions.from_pairs(
        user, item.astype(np.int32), n_users=400, n_items=120, last_occurred_at=day
    )
    fashion = Timescale(240.0, 30.0, later_from_earlier=True)
    model = train(data, config=replace(SMALL, epochs=1, timescales=(fashion,)))
    space, _ = fit_space(*signalled(data, model, None))
    top = np.argsort(-(space.item_embeddings @ user_of(space, {})))[:20]
    assert np.mean(top >= 60) > 0.9


def test_the_same_seed_gives_the_same_space(tastes: Planted, space: Space) -> None:
    again, _ = fit_space(*signalled(*tastes), content=content_of())
    np.testing.assert_array_equal(again.item_embeddings, space.item_embeddings)
    np.testing.assert_array_equal(again.history_embeddings, space.history_embeddings)
    assert again.blend == space.blend
    assert again.scale == space.scale


def test_a_few_rows_at_a_time_give_the_same_space(
    tastes: Planted, space: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recs.learning.ranking.CELLS", 240 * 7)
    again, _ = fit_space(*signalled(*tastes), content=content_of())
    assert again.blend == space.blend
    np.testing.assert_allclose(again.item_embeddings, space.item_embeddings, atol=1e-5)


def test_without_content_the_bias_of_new_items_is_the_default(tastes: Planted) -> None:
    space, trial = fit_space(*signalled(*tastes))
    assert trial is not None
    assert space.blend is not None
    assert space.blend.curve
    assert space.blend.new_item_bias == Blend().new_item_bias
    assert space.draw_strength == 0
    assert all("content" not in recall for recall in space.blend.curve.values())
    assert share_of_group(space, [0, 1, 2], 0) > 0.8


def test_the_trial_is_made_of_the_training_part_alone(tastes: Planted) -> None:
    _, model, validation = tastes
    space, trial = fit_space(*signalled(*tastes), content=content_of())
    assert trial is not None
    assert trial.blend is not None
    assert model.trial is not None
    signals = signals_of(validation.train, model.trial)
    support = np.bincount(validation.train.item, minlength=validation.train.n_items)
    draw = fit_draw(signals.tower.item_embeddings, content_of(), support)
    strength = fit_draw_strength(validation, signals, draw)
    assert space.draw_strength == strength
    drawn = draw.apply(signals.tower.item_embeddings, strength)
    signals = replace(signals, tower=replace(signals.tower, item_embeddings=drawn))
    expected = compose(signals, trial.blend)
    np.testing.assert_allclose(trial.item_embeddings, expected.item_embeddings, atol=1e-6)
    np.testing.assert_allclose(trial.history_embeddings, expected.history_embeddings, atol=1e-6)


@pytest.mark.parametrize("strength", [1.0, 0.25])
def test_what_is_served_is_made_of_everything_and_drawn_as_far_as_was_chosen(
    strength: float, tastes: Planted, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, model, _ = tastes
    monkeypatch.setattr(fitted_space, "fit_draw_strength", lambda *_: strength)
    monkeypatch.setattr(fitted_space, "fit_blend", lambda *_, **__: Blend())
    space, _ = fit_space(*signalled(*tastes), content=content_of())
    assert space.blend is not None
    assert space.draw_strength == strength
    signals, support = signals_of(data, model), np.bincount(data.item, minlength=data.n_items)
    draw = fit_draw(model.item_embeddings, content_of(), support)
    drawn = draw.apply(model.item_embeddings, strength)
    expected = compose(replace(signals, tower=replace(model, item_embeddings=drawn)), space.blend)
    np.testing.assert_allclose(space.item_embeddings, expected.item_embeddings, atol=1e-6)
    assert (
        np.abs(compose(signals, space.blend).item_embeddings - space.item_embeddings).max() > 0.01
    )


@pytest.mark.parametrize("days", [None, 7.0])
def test_what_is_chosen_on_the_slice_is_shown_signals_of_what_came_before_it(
    days: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = planted(predictability=0.8, n_users=200, with_times=True)
    fading = Timescale(90.0, 90.0)
    model, validation = (
        train(data, config=replace(SMALL, epochs=1, timescales=(fading,))),
        held(data),
    )
    shown: list[Signals] = []

    def blend(_: Interactions, __: Validation, signals: Signals, **options: object) -> Blend:
        shown.append(signals)
        assert options["momentary"] == (days is not None)  # else newcomers have a say too
        return Blend()

    def bias(_: Space, signals: Signals, *__: object) -> float:
        shown.append(signals)
        return 0.25

    monkeypatch.setattr(fitted_space, "fit_popularity_half_life", lambda *_: days)
    monkeypatch.setattr(fitted_space, "fit_blend", blend)
    monkeypatch.setattr(fitted_space, "fit_new_item_bias", bias)
    space, _ = fit_space(*signalled(data, model, validation), content=content_of())
    assert space.blend == Blend(new_item_bias=0.25)
    before = popularity(validation.train, half_life_days=days or 90.0)
    assert not np.array_equal(before, popularity(data, half_life_days=days or 90.0))
    assert len(shown) == 2
    for signals in shown:
        np.testing.assert_array_equal(signals.popularity, before)


@pytest.mark.parametrize("n_users", [3, 20])
def test_too_few_users_leave_the_default_blend(n_users: int) -> None:
    data = planted(predictability=0.8, n_users=n_users)
    space, _ = fit_space(*signalled(data, train(data, config=SMALL), held(data)))
    assert space.blend == Blend()
    assert np.linalg.norm(space.item_embeddings, axis=1).max() == pytest.approx(1, abs=1e-6)


def test_a_given_number_of_epochs_is_judged_and_blended_as_one_that_was_found() -> None:
    data = planted(predictability=0.8)
    model = train(data, config=replace(SMALL, epochs=1, timescales=(TIMELESS,)))
    assert model.course.epochs == 1
    space, trial = fit_space(*signalled(data, model, held(data)))
    assert trial is not None
    assert space.blend is not None
    assert space.blend.curve


def test_without_anything_held_out_there_is_no_trial_and_the_blend_is_the_default() -> None:
    data = planted(predictability=0.8, n_users=100)
    # Nobody has an item of anybody else: what is held out would be unknown.
    apart = Interactions.from_pairs(
        np.repeat(np.arange(60, dtype=np.int32), 2),
        np.arange(120, dtype=np.int32),
        n_users=100,
        n_items=120,
    )
    assert train(apart, config=SMALL).trial is None
    model = replace(train(data, config=replace(SMALL, epochs=1)), trial=None)
    for validation in (None, held(data)):
        space, trial = fit_space(*signalled(data, model, validation), content=content_of())
        assert trial is None
        assert space.blend == Blend()


def test_the_unit_of_weights_changes_no_list() -> None:
    lists = []
    for unit in (1.0, 1e6):
        data = planted(predictability=0.8, n_users=320)
        data = replace(data, weight=np.full(len(data), unit, np.float32))
        space, _ = fit_space(*signalled(data, train(data, config=SMALL), held(data)))
        assert space.blend is not None
        assert space.blend.popularity_weight > 0
        lists.append(space.pool(data).embeddings @ space.item_embeddings.T)
    np.testing.assert_allclose(lists[0], lists[1], atol=2e-4)


def test_fewer_items_than_dimensions_are_fine() -> None:
    data = planted(predictability=0.8, n_users=100, n_items=8, length=6)
    space, _ = fit_space(
        *signalled(data, train(data, config=SMALL), held(data)), content=content_of(8)
    )
    assert space.item_embeddings.shape == (8, 16 + 1 + 8 + TAIL)  # 100 users: one signal
    assert np.isfinite(space.history_embeddings).all()
    assert np.linalg.norm(space.item_embeddings, axis=1).max() == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(np.linalg.norm(space.pool(data).embeddings, axis=1), 1, atol=1e-6)


def test_an_item_without_interactions_is_not_learned_and_says_nothing_of_a_user() -> None:
    data = planted(predictability=0.9)
    shown = data.select(data.item % SIZE != 0)  # one item of each group is never seen
    space, _ = fit_space(*signalled(shown, train(shown, config=replace(SMALL, epochs=1)), None))
    cold = np.arange(0, 240, SIZE)
    np.testing.assert_array_equal(np.flatnonzero(~space.learned), cold)
    assert not space.history_embeddings[cold].any()


@pytest.mark.parametrize(
    ("n_users", "large", "n_signals", "dimension", "detail", "share"),
    [
        (63, False, 0, 128, 120, 0.0),
        (200, False, 3, 128, 120, 0.7),
        (1200, False, 16, 128, 120, 0.7),
        (1200, True, 18, 64, 0, 2.0),
    ],
)
def test_a_low_pass_filter_of_as_many_signals_as_the_users_can_tell_stands_beside_ease(
    n_users: int,
    large: bool,
    n_signals: int,
    dimension: int,
    detail: int,
    share: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = planted(predictability=0.8, n_users=n_users)
    tower = train(data, config=replace(SMALL, epochs=1, timescales=(TIMELESS,)))
    monkeypatch.setattr("recs.learning.catalog_defaults.LARGE_CATALOG", 240 if large else 241)
    signals = signals_of(data, tower)
    items = signals.associations.items
    assert items.shape == signals.associations.history.shape == (240, n_signals + dimension)
    fading = signals.associations.fading
    assert (fading.low_pass_dimension, fading.detail_dimension) == (n_signals, detail)
    one, hundred = fading.fade(np.ones((2, items.shape[1]), np.float32), np.array([1, 100]))
    # In a shop the filter is for newcomers, in a large catalog for everybody.
    np.testing.assert_array_equal(hundred[:n_signals] > 0.99 * one[:n_signals], large)
    filtered = items[:, :n_signals]
    np.testing.assert_allclose(filtered.T @ filtered, np.eye(n_signals), atol=1e-4)
    weights = data.matrix(data.history_weights(math.inf))
    parts = np.split(np.asarray(weights @ signals.associations.history), [n_signals], axis=1)
    strengths = [np.linalg.norm(part, axis=1) for part in parts]
    assert np.isclose(np.median(strengths[0] / strengths[1]), share, rtol=1e-3)
    blend, known = Blend(), {3: 1.0, 40: 0.5, 90: 2.0}
    space = compose(signals, blend)
    expected = slow_scores(blend, signals, known)
    scores = space.item_embeddings @ user_of(space, known)
    assert np.corrcoef(expected, scores)[0, 1] > 0.999999
