"""The blend fitted to held-out users: its weights, its curve, and when the defaults stay."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from recs.learning import TIMELESS, Interactions, TrainingConfig, fitted_blend, train
from recs.learning.associations import Associations
from recs.learning.blend import NEVER, Blend
from recs.learning.ease import fit_ease
from recs.learning.fitted_blend import POPULARITY_WEIGHTS, fit_blend
from recs.learning.popularity import popularity
from recs.learning.signals import Signals
from recs.learning.situation import replay
from recs.learning.validation import Validation, hold_out
from recs.learning.vectors import unit_rows
from recs.metrics import ndcg_at_k, recall_at_k
from tests.learning.planted import planted
from tests.learning.reference import noise, slow_list, slow_scores, weighted_sum

CONFIG = TrainingConfig(dimension=16, association_dimension=32, epochs=2, timescales=(TIMELESS,))
Case = tuple[Interactions, Validation, Signals]


def case(data: Interactions) -> Case:
    validation = hold_out(data, share=0.1, max_users=60, generator=np.random.default_rng(0))
    known = validation.train
    signals = Signals(
        tower=train(known, config=CONFIG),
        associations=fit_ease(known.matrix(known.weight), dimension=32, ridge=30),
        popularity=popularity(known, half_life_days=np.inf),
        seasonality=np.ones(known.n_items, np.float32),
    )
    return data, validation, signals


def best_sellers(n_users: int = 400, n_items: int = 200, length: int = 30) -> Interactions:
    """Make users without a taste, who take item i in proportion to 1 / (i + 1)."""
    generator = np.random.default_rng(0)
    odds = 1 / np.arange(1, n_items + 1)
    items = [
        generator.choice(n_items, length, replace=False, p=odds / odds.sum())
        for _ in range(n_users)
    ]
    return Interactions.from_pairs(
        np.repeat(np.arange(n_users), length).astype(np.int32),
        np.concatenate(items).astype(np.int32),
        n_users=n_users,
        n_items=n_items,
    )


@pytest.fixture(scope="module")
def clear() -> Case:
    return case(planted(predictability=0.9, n_users=400, n_items=200, length=60))


@pytest.fixture(scope="module")
def random() -> Case:
    return case(best_sellers())


@pytest.fixture(scope="module")
def small() -> Case:
    """Make a catalog that fits into the candidates of each signal, so a list is exact."""
    return case(planted(predictability=0.8, n_users=400, n_items=96, length=30))


def slow_lists(blend: Blend, case: Case, n: int) -> np.ndarray:
    data, validation, signals = case
    lists = []
    situation = replay(data, validation, n)
    for row, barred in zip(situation.known, situation.barred, strict=True):
        known = dict(zip(row.indices.tolist(), row.data.tolist(), strict=True))
        lists.append(slow_list(slow_scores(blend, signals, known), barred.indices.tolist()))
    return np.array(lists)


def test_the_curve_is_the_recall_of_lists_by_the_slow_formula(small: Case) -> None:
    data, validation, signals = small
    blend = fit_blend(data, validation, signals)
    assert {1, 3, 5, 10} <= set(blend.curve)
    for n, recall in blend.curve.items():
        exact = recall_at_k(slow_lists(blend, small, n), replay(data, validation, n).relevant, k=20)
        assert recall["blend"] == pytest.approx(exact, abs=2e-3)


def test_the_curve_has_the_recall_of_popularity_and_of_content(small: Case) -> None:
    data, validation, tied = small
    untied = tied.popularity + np.arange(96, dtype=np.float32) * 1e-5
    learned = (
        np.arange(96) % 12 != 0
    )  # what nobody has is like the rest of its group, and not listed
    signals = replace(tied, popularity=untied, tower=replace(tied.tower, learned=learned))
    generator = np.random.default_rng(0)
    vectors = np.eye(8)[np.arange(96) // 12] + 0.1 * generator.normal(size=(96, 8))
    content = unit_rows(vectors.astype(np.float32))
    curve = fit_blend(data, validation, signals, content=content).curve
    for n, recall in curve.items():
        situation = replay(data, validation, n)
        sold, alike = [], []
        for row, at_most in zip(situation.known, situation.barred, strict=True):
            known = dict(zip(row.indices.tolist(), row.data.tolist(), strict=True))
            barred = [*at_most.indices.tolist(), *np.flatnonzero(~learned).tolist()]
            sold.append(slow_list(untied.tolist(), barred))
            alike.append(slow_list((content @ weighted_sum(content, known)).tolist(), barred))
        relevant = situation.relevant
        assert recall["popularity"] == pytest.approx(recall_at_k(np.array(sold), relevant, k=20))
        exact = recall_at_k(np.array(alike), relevant, k=20)
        assert recall["content"] == pytest.approx(exact, abs=2e-3)


def value(blend: Blend, case: Case, n: int) -> float:
    """Compute recall@20 + ndcg@20 of the slow formula."""
    lists, relevant = slow_lists(blend, case, n), replay(case[0], case[1], n).relevant
    return recall_at_k(lists, relevant, k=20) + ndcg_at_k(lists, relevant, k=20)


class Judges:
    """Users to whom a weight of the two-tower model is worth what is written."""

    def __init__(self, values: dict[float, float]) -> None:
        self._values, self.sizes = values, np.ones(5000)

    def value(self, blend: Blend) -> float:
        return self._values[blend.tower_weight]


@pytest.mark.parametrize(("regulars", "weight"), [(0.05, 0.4), (0.08, 1.6)])
def test_a_share_of_what_regulars_find_is_worth_as_much_as_that_of_what_newcomers_do(
    regulars: float, weight: float
) -> None:
    known = Judges({0.4: 0.1, 1.6: regulars})  # regulars find less, whatever the weight
    new = {1: Judges({0.4: 0.6, 1.6: 0.9}), 5: Judges({0.4: 0.4, 1.6: 0.6})}
    blends = [Blend(tower_weight=one) for one in (0.4, 1.6)]
    assert fitted_blend._choose(blends, known, new, Blend(), dated=True).tower_weight == weight


@pytest.fixture(scope="module")
def noisy(small: Case) -> Case:
    """Make associations that mean nothing: the two-tower model has to carry the lists."""
    data, validation, signals = small
    nothing = noise(0, n_items=96, associations=32).associations
    return data, validation, replace(signals, associations=nothing)


def test_where_newcomers_decide_they_are_served_clearly_better_than_by_the_default(
    noisy: Case,
) -> None:
    data, validation, signals = noisy
    alone = replace(validation, users=validation.users[:29], held_out=validation.held_out[:29])
    blend = fit_blend(data, alone, signals)
    assert blend.tower_weight > Blend().tower_weight
    gains = [value(blend, noisy, n) / value(Blend(), noisy, n) for n in blend.curve]
    assert np.mean(gains) > 1.05


@pytest.mark.parametrize(("share", "leaves"), [(0.05, False), (0.4, True)])
def test_a_two_tower_that_would_gain_little_keeps_its_default_where_things_are_dated(
    share: float, leaves: bool
) -> None:
    dated = planted(predictability=0.8, n_users=400, n_items=96, length=20, with_times=True)
    data, validation, signals = case(dated)
    few = {"users": validation.users[:29], "held_out": validation.held_out[:29]}
    known = validation.train
    real = fit_ease(known.matrix(known.weight), dimension=64, ridge=30)
    nothing = noise(0, n_items=96, associations=64).associations
    signals = replace(signals, associations=blurred(real, nothing, share=share))
    blend = fit_blend(data, replace(validation, **few), signals)
    better = blend if leaves else Blend(tower_weight=1.2, tower_support=10)
    blurry = data, validation, signals
    gains = [value(better, blurry, n) / value(Blend(), blurry, n) for n in blend.curve]
    # .4 to 1.5 %, by the number of threads that the sums are shared out to
    assert np.mean(gains) > (1.05 if leaves else 1.002)
    changed = (blend.tower_weight, blend.tower_support) != (0.8, 100)
    assert changed == leaves


@pytest.fixture(scope="module")
def close() -> Case:
    """Make a case in which the best blend is a few percent better than the default for regulars."""
    data = planted(predictability=0.8, n_users=500, n_items=96, length=20)
    validation = hold_out(data, share=0.2, max_users=500, generator=np.random.default_rng(0))
    known = validation.train
    real = fit_ease(known.matrix(known.weight), dimension=64, ridge=30)
    signals = Signals(
        tower=train(known, config=CONFIG),
        associations=blurred(real, noise(0, n_items=96, associations=64).associations, share=0.35),
        popularity=popularity(known, half_life_days=np.inf),
        seasonality=np.ones(known.n_items, np.float32),
    )
    return data, replace(validation, newcomers=validation.newcomers[:0]), signals


def blurred(real: Associations, nothing: Associations, *, share: float) -> Associations:
    history, items = (
        ((1 - share) * a + share * b * np.linalg.norm(a) / np.linalg.norm(b)).astype(np.float32)
        for a, b in ((real.history, nothing.history), (real.items, nothing.items))
    )
    return Associations(history, items)


def test_a_few_percent_count_where_nothing_is_dated_and_many_judge(close: Case) -> None:
    undated, validation, signals = close
    dated = replace(undated, first_occurred_at=np.arange(len(undated), dtype=np.float64))
    assert fit_blend(dated, validation, signals) == Blend()
    assert fit_blend(undated, validation, signals) != Blend()
    few = replace(validation, users=validation.users[:49], held_out=validation.held_out[:49])
    assert fit_blend(undated, few, signals) == fit_blend(dated, few, signals)


def test_without_newcomers_regular_users_decide_and_are_served_clearly_better(noisy: Case) -> None:
    data, validation, signals = noisy
    blend = fit_blend(data, replace(validation, newcomers=validation.newcomers[:29]), signals)
    assert blend.tower_weight > Blend().tower_weight
    assert not blend.curve
    weights = validation.train.matrix(validation.train.weight)[validation.users]
    values = []
    for candidate in (blend, Blend()):
        lists = []
        for row in weights:
            known = dict(zip(row.indices.tolist(), row.data.tolist(), strict=True))
            lists.append(slow_list(slow_scores(candidate, signals, known), list(known)))
        recommended = np.array(lists)
        values.append(
            recall_at_k(recommended, validation.held_out, k=20)
            + ndcg_at_k(recommended, validation.held_out, k=20)
        )
    assert values[0] > 1.05 * values[1]


def test_a_weight_that_changes_nothing_stays_as_it_is(small: Case) -> None:
    data, validation, signals = small
    silent = np.zeros_like(signals.tower.history_embeddings)
    tower = replace(signals.tower, history_embeddings=silent)
    blend = fit_blend(data, validation, replace(signals, tower=tower))
    assert blend.tower_weight == Blend().tower_weight


def test_a_prior_that_weighs_too_much_is_mended_at_its_own_weight_and_not_at_the_towers() -> None:
    dated = planted(predictability=0.8, n_users=400, n_items=96, length=20, with_times=True)
    data, validation, signals = case(dated)
    known = validation.train
    real = fit_ease(known.matrix(known.weight), dimension=64, ridge=30)
    # v is short, so 1 / |v| is large
    faint = replace(real, history=real.history * np.float32(0.05))
    before, after = (
        fit_blend(data, validation, replace(signals, associations=associations))
        for associations in (real, faint)
    )
    assert after.popularity_weight < before.popularity_weight
    assert (after.tower_weight, after.tower_support) == (before.tower_weight, before.tower_support)


def test_popularity_weighs_more_where_tastes_are_random_than_where_they_are_clear(
    clear: Case, random: Case
) -> None:
    data, validation, signals = random
    nothing = noise(0, n_items=200, associations=32).associations
    silent = np.zeros_like(signals.tower.history_embeddings)
    tower = replace(signals.tower, history_embeddings=silent)
    noise_alone = replace(signals, tower=tower, associations=nothing)
    random_blend = fit_blend(data, validation, noise_alone)
    clear_blend = fit_blend(*clear)
    assert random_blend.popularity_weight > Blend().popularity_weight
    assert clear_blend.popularity_weight < random_blend.popularity_weight


def test_newcomers_have_no_say_on_popularity_of_the_moment(noisy: Case) -> None:
    data, validation, signals = noisy
    silent = np.zeros_like(signals.tower.history_embeddings)
    # Regulars take what sells now, all of it odd; newcomers are of times when only even items sold.
    odd = np.arange(96) % 2
    sold = ((odd + np.linspace(0, 0.5, 96)) / 1.5).astype(np.float32)
    signals = replace(
        signals, tower=replace(signals.tower, history_embeddings=silent), popularity=sold
    )
    unseen = [np.flatnonzero(row == 0) for row in validation.seen().toarray()]
    now = replace(validation, held_out=[items[np.argsort(-sold[items])[:8]] for items in unseen])
    data = data.select(~np.isin(data.user, validation.newcomers) | (odd[data.item] == 0))
    moment, ever = (fit_blend(data, now, signals, momentary=one) for one in (True, False))
    assert moment.curve.keys() == ever.curve.keys() != set()
    assert moment.popularity_weight == max(POPULARITY_WEIGHTS)
    assert ever.popularity_weight < moment.popularity_weight


class Interplay(Judges):
    """Users of a two-tower model that counts most at 1.6, with more popularity than less of it."""

    def value(self, blend: Blend) -> float:
        wanted = 0.3 if blend.tower_weight > Blend().tower_weight else 0.01
        tower = abs(math.log(max(blend.tower_weight, 0.01) / 1.6))
        return 2 - 0.4 * tower - 0.05 * abs(math.log(blend.popularity_weight / wanted))


def test_popularity_of_the_moment_is_weighed_beside_the_two_tower_as_it_will_count(
    small: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, validation, signals = small
    alone = replace(validation, newcomers=validation.newcomers[:0])
    monkeypatch.setattr(fitted_blend.Candidates, "of", lambda *_: Interplay({}))
    blend = fit_blend(data, alone, signals, momentary=True)
    assert (blend.tower_weight, blend.popularity_weight) == (1.6, 0.3)


def test_the_blend_beats_popularity_at_every_number_of_known_items(clear: Case) -> None:
    curve = fit_blend(*clear).curve
    assert sorted(curve) == [1, 2, 3, 5, 10, 20]
    assert all(recall["blend"] > recall["popularity"] for recall in curve.values())


def test_where_tastes_are_random_the_blend_loses_little_to_popularity(random: Case) -> None:
    curve = fit_blend(*random).curve
    assert all(recall["blend"] > 0.9 * recall["popularity"] for recall in curve.values())


def tastes(n: int) -> Case:
    """Make a two-tower that knows groups of items in opposite pairs, and associations of noise.

    Regular users have 32 items of n = 1 or 2 groups; two opposite tastes add up to none. Newcomers
    have twelve items of one group. What associations say of a group is heard among the noise where
    many items say it.
    """
    generator = np.random.default_rng(0)
    groups, size, regular, new = 8, 48, 300, 200
    items = np.arange(groups * size).reshape(groups, size)
    users = [
        np.concatenate(
            [
                generator.permutation(items[(user + group) % groups])[: 40 // n]
                for group in range(0, 4 * n, 4)
            ]
        )
        for user in range(regular)
    ]
    users += [generator.permutation(items[user % groups])[:12] for user in range(new)]
    n_users, n_items = regular + new, groups * size

    def interactions(chosen: list[np.ndarray]) -> Interactions:
        return Interactions.from_pairs(
            np.repeat(np.arange(n_users), [len(one) for one in chosen]).astype(np.int32),
            np.concatenate(chosen).astype(np.int32),
            n_users=n_users,
            n_items=n_items,
        )

    def noisy(vectors: np.ndarray, noise: float, dimension: int) -> np.ndarray:
        extra = noise * generator.normal(size=(n_items, dimension))
        return np.concatenate([vectors, extra], axis=1).astype(np.float32)

    group = np.arange(n_items) // size
    opposite = np.eye(4)[group % 4] * np.where(group < 4, 1, -1)[:, None]
    kept = [generator.permutation(one) for one in users]
    validation = Validation(
        interactions([one[:-8] for one in kept[:regular]] + [one[:0] for one in kept[regular:]]),
        np.arange(regular),
        [one[-8:].astype(np.int64) for one in kept[:regular]],
        np.arange(regular, n_users),
    )
    nothing = noise(0, n_items=n_items, tower=8)
    tower = replace(
        nothing.tower,
        history_embeddings=noisy(opposite, 0.3, 4),
        item_embeddings=unit_rows(noisy(opposite, 0.1, 4)),
    )
    associations = Associations(
        noisy(np.eye(groups)[group], 1.0, 24), 0.3 * noisy(np.eye(groups)[group], 0.3, 24)
    )
    return interactions(users), validation, replace(nothing, tower=tower, associations=associations)


@pytest.mark.parametrize(("n", "fades"), [(1, False), (2, True)])
def test_the_two_tower_fades_where_long_histories_have_more_tastes_than_it_can_say(
    n: int, fades: bool
) -> None:
    data, validation, signals = tastes(n)
    blend = fit_blend(data, validation, signals)
    assert (blend.tower_fading < NEVER) == fades
    few, many = blend.weights(np.array([3, 32]))[0]
    assert (many < few) == fades


def test_fitting_twice_gives_the_same_blend(small: Case) -> None:
    assert fit_blend(*small) == fit_blend(*small)


def test_too_few_users_leave_the_default() -> None:
    assert fit_blend(*case(planted(predictability=0.5, n_users=20))) == Blend()
