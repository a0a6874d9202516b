"""What the slice's regular users decide before signals are blended."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from recs.learning import (
    Interactions,
    Space,
    Timescale,
    TrainingConfig,
    adjustments,
    fit_space,
    signals_of,
    train,
)
from recs.learning.adjustments import (
    fit_draw_strength,
    fit_popularity_half_life,
    resolved,
)
from recs.learning.blend import Blend
from recs.learning.catalog_defaults import LARGE, SHOP
from recs.learning.interactions import decay
from recs.learning.popularity import popularity
from recs.learning.shrinkage import Draw
from recs.learning.signals import FINE, Signals
from recs.learning.space import TAIL, compose
from recs.learning.trained import TrainedModel
from recs.learning.validation import Validation
from recs.learning.vectors import unit_rows
from tests.learning.planted import SIZE, SMALL, held, planted

N_USERS, N_ITEMS, VISITS, DAYS = 400, 200, 8, 100.0
SLOW = replace(SMALL, timescales=(Timescale(240.0, 240.0),))


def shop(*, lasting: bool) -> Interactions:
    """Everybody takes at random what sells that day: always the same, or for some days each."""
    random = np.random.default_rng(3)
    user = np.repeat(np.arange(N_USERS), VISITS)
    day = random.uniform(0, DAYS, len(user))
    hit = random.exponential(20, len(user)) if lasting else random.normal(day / DAYS * N_ITEMS, 8)
    item = np.clip(hit, 0, N_ITEMS - 1).astype(np.int64)
    keys, first = np.unique(user * N_ITEMS + item, return_index=True)
    return Interactions.from_pairs(
        (keys // N_ITEMS).astype(np.int32),
        (keys % N_ITEMS).astype(np.int32),
        n_users=N_USERS,
        n_items=N_ITEMS,
        first_occurred_at=day[first],
        last_occurred_at=day[first],
    )


def test_what_associations_are_learned_from_fades_slower_where_interest_drifts() -> None:
    data = shop(lasting=False)
    quick = train(data, config=replace(SMALL, timescales=(Timescale(10.0, 10.0),)))

    def with_timescale(timescale: Timescale) -> Signals:
        return signals_of(data, replace(quick, timescale=timescale))

    drifting = with_timescale(Timescale(10.0, 10.0, association_factor=4.0))
    slow, fast = with_timescale(Timescale(40.0, 40.0)), with_timescale(Timescale(10.0, 10.0))
    np.testing.assert_array_equal(drifting.associations.history, slow.associations.history)
    np.testing.assert_array_equal(drifting.popularity, fast.popularity)
    assert not np.array_equal(fast.associations.history, slow.associations.history)


def tried(
    data: Interactions, config: TrainingConfig = SLOW
) -> tuple[TrainedModel, Validation, Signals]:
    model, validation = train(data, config=config), held(data)
    assert model.trial is not None
    return model, validation, signals_of(validation.train, model.trial)


def test_popularity_of_what_lasts_fades_as_histories_do() -> None:
    _, validation, signals = tried(shop(lasting=True))
    assert fit_popularity_half_life(validation, signals) is None


def test_popularity_of_what_passes_in_days_fades_in_days_and_serves_who_comes_next() -> None:
    data = shop(lasting=False)
    model, validation, signals = tried(data)
    days = fit_popularity_half_life(validation, signals)
    assert days in {16.0, 4.0, 1.0}
    space, trial = fit_space(data, signals_of(data, model), validation)
    assert trial is not None
    assert space.popularity_half_life_days == trial.popularity_half_life_days == days
    # The trial knows nothing of what it is judged by: what sells in the slice is not popular yet.
    for made, known in ((trial, validation.train), (space, data)):
        sold = np.bincount(known.item, decay(known.ages(), days), minlength=N_ITEMS)
        pop = made.item_embeddings[:, -TAIL] * made.scale
        np.testing.assert_allclose(pop, sold / sold.max(), atol=1e-4)
    # The next visitors take what sells at the end of the catalog.
    top = np.argsort(-pop)[:20]
    assert top.min() > 0.8 * N_ITEMS
    slow = np.argsort(-popularity(data, half_life_days=240.0))[:20]
    assert slow.min() < 0.8 * N_ITEMS


def test_popularity_of_undated_interactions_does_not_fade() -> None:
    data = planted(predictability=0.8, n_users=320)
    model, validation = train(data, config=SMALL), held(data)
    assert model.trial is not None
    assert fit_popularity_half_life(validation, signals_of(validation.train, model.trial)) is None


def test_too_few_regulars_leave_popularity_as_it_is() -> None:
    _, validation, signals = tried(shop(lasting=False))
    few = replace(validation, users=validation.users[:29], held_out=validation.held_out[:29])
    assert fit_popularity_half_life(few, signals) is None


@pytest.mark.parametrize(("half_life", "faster"), [(240.0, [64, 16, 4, 1]), (10.0, [4, 1])])
def test_popularity_never_fades_slower_than_histories(
    half_life: float, faster: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, validation, signals = tried(shop(lasting=True))
    timescale = Timescale(half_life, half_life)
    signals = replace(signals, tower=replace(signals.tower, timescale=timescale))
    asked: list[float | None] = []

    def fade(signals: Signals, _: Interactions, days: float | None) -> Signals:
        asked.append(days)
        return signals

    monkeypatch.setattr(adjustments, "faded", fade)
    assert fit_popularity_half_life(validation, signals) is None  # all are alike
    assert asked == [None, *faster]


def pairs(*, n_pairs: int = 120, dated: bool = False) -> Interactions:
    """Items go in twos, and whoever takes one takes the other: more detail than dimensions."""
    random = np.random.default_rng(5)
    drawn = random.random((N_USERS, n_pairs)).argsort(axis=1)[:, :6]
    item = np.concatenate([2 * drawn, 2 * drawn + 1], axis=1)
    item = random.permuted(item, axis=1)
    days = np.tile(np.arange(12.0), N_USERS) + random.uniform(0, 100, N_USERS).repeat(12)
    return Interactions.from_pairs(
        np.arange(N_USERS, dtype=np.int32).repeat(12),
        item.ravel().astype(np.int32),
        n_users=N_USERS,
        n_items=2 * n_pairs,
        last_occurred_at=days if dated else None,
    )


COARSE = replace(SMALL, association_dimension=8)  # of EASE 32


def test_what_goes_in_twos_is_read_more_finely_and_served_so() -> None:
    data = pairs()
    model, validation, signals = tried(data, COARSE)
    finer = resolved(validation, signals)
    assert finer.resolution == FINE
    usual = signals_of(data, model)
    width, wider = (s.associations.items.shape[1] for s in (usual, finer))
    assert wider - width == 32
    space, trial = fit_space(data, usual, validation)
    assert trial is not None
    tower = model.item_embeddings.shape[1]
    assert space.item_embeddings.shape[1] == trial.item_embeddings.shape[1] == tower + wider + TAIL
    assert space.fading.detail_dimension == 64 - 2
    assert space.resolution == FINE
    assert partners_found(space, data) > 1.2 * partners_found(compose(usual, Blend()), data)


def partners_found(space: Space, data: Interactions) -> float:
    """Return the share of users of one item whose best other item is the one that goes with it."""
    items = np.arange(data.n_items)
    ones = np.ones(len(items), np.int32)
    scores = space.users(space.history_embeddings, ones) @ space.item_embeddings.T
    np.fill_diagonal(scores, -np.inf)
    return float((scores.argmax(axis=1) == items ^ 1).mean())


def test_detail_is_not_looked_for_where_it_is_dated_or_the_catalog_large(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, validation, signals = tried(pairs(dated=True), COARSE)
    assert resolved(validation, signals) is signals
    _, validation, signals = tried(pairs(), COARSE)
    assert not LARGE.fine
    monkeypatch.setattr(adjustments, "catalog_defaults", lambda _: replace(SHOP, fine=False))
    assert resolved(validation, signals) is signals


def test_detail_that_serves_nobody_better_is_left_out() -> None:
    _, validation, signals = tried(planted(predictability=0.9, n_users=320), COARSE)
    assert resolved(validation, signals) is signals


def test_too_few_regulars_leave_the_resolution_as_it_is() -> None:
    _, validation, signals = tried(pairs(), COARSE)
    few = replace(validation, users=validation.users[:29], held_out=validation.held_out[:29])
    assert resolved(few, signals) is signals


@cache
def tastes() -> tuple[Interactions, TrainedModel, Validation]:
    data = planted(predictability=0.9, n_users=320)
    return data, train(data, config=SMALL), held(data)


def _draw_to(signals: Signals, means: np.ndarray) -> Draw:
    n_items = len(signals.tower.item_embeddings)
    return Draw(unit_rows(means.astype(np.float32)), np.full(n_items, 0.9, np.float32))


def test_content_draws_with_full_strength_where_it_harms_nobody() -> None:
    data, model, validation = tastes()
    assert model.trial is not None
    signals = signals_of(validation.train, model.trial)
    group = np.arange(data.n_items) // SIZE
    means = np.array([signals.tower.item_embeddings[group == one].mean(axis=0) for one in group])
    assert fit_draw_strength(validation, signals, _draw_to(signals, means)) == 1.0


def test_content_that_leads_astray_is_not_followed() -> None:
    _, model, validation = tastes()
    assert model.trial is not None
    signals = signals_of(validation.train, model.trial)
    # Without associations the two-tower model alone makes the lists.
    silent = replace(signals.associations, history=0 * signals.associations.history)
    signals = replace(signals, associations=silent)
    astray = np.random.default_rng(0).normal(size=signals.tower.item_embeddings.shape)
    draw = _draw_to(signals, astray)
    assert fit_draw_strength(validation, signals, draw) < 1.0
    few = replace(validation, users=validation.users[:29], held_out=validation.held_out[:29])
    assert fit_draw_strength(few, signals, draw) == 1.0
