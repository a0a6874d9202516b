import numpy as np
import pytest
import torch

from recs.learning import TIMELESS, Interactions, Timescale, TrainingConfig, train, trial
from recs.learning.config import DRIFT
from recs.learning.trained import tower_users
from recs.learning.validation import hold_out, score
from tests.learning.planted import N_GROUPS, planted

SMALL = TrainingConfig(dimension=16, max_epochs=6, patience=2)


@pytest.fixture(scope="module")
def model():
    return train(planted(predictability=0.9), config=SMALL)


def test_planted_tastes_are_found(model):
    # 30 items in a user's group, a dozen seen: chance finds 20 of 240, taste finds nearly all.
    assert max(recall for recall, _ in model.course.validation) > 0.75


def test_noise_is_not_mistaken_for_taste():
    noise = train(planted(predictability=0.0), config=SMALL)
    assert max(recall for recall, _ in noise.course.validation) < 0.2


def test_the_trial_is_the_best_of_its_epochs_and_scores_as_was_reported(model):
    validation = hold_out(
        planted(predictability=0.9),
        share=SMALL.validation_share,
        max_users=SMALL.validation_users,
        generator=np.random.default_rng(SMALL.seed),
    )
    users = tower_users(validation.train, model.trial)[validation.users]
    items = torch.from_numpy(model.trial.item_embeddings)
    best = max(model.course.validation, key=sum)
    assert score(torch.from_numpy(users), items, validation) == pytest.approx(best)


def test_vectors_are_fit_for_an_index(model):
    np.testing.assert_allclose(np.linalg.norm(model.item_embeddings, axis=1), 1, atol=1e-5)
    assert model.item_embeddings.dtype == model.history_embeddings.dtype == np.float32
    assert np.isfinite(model.history_embeddings).all()


def test_the_same_seed_gives_the_same_vectors(model):
    again = train(planted(predictability=0.9), config=SMALL)
    np.testing.assert_array_equal(model.item_embeddings, again.item_embeddings)
    np.testing.assert_array_equal(model.history_embeddings, again.history_embeddings)


def test_pooling_equals_a_slow_reference():
    data = planted(predictability=0.8, n_users=60, with_times=True)
    trained = train(data, config=TrainingConfig(dimension=8, epochs=1))
    users = tower_users(data, trained)
    for user in (0, 17, 59):
        total = np.zeros(8)
        for row in range(data.offsets[user], data.offsets[user + 1]):
            age = data.trained_until - data.last_occurred_at[row]
            weight = data.weight[row] * 0.5 ** (age / trained.half_life_days)
            total += weight * trained.history_embeddings[data.item[row]]
        np.testing.assert_allclose(users[user], total / np.linalg.norm(total), atol=1e-4)


def test_a_user_nobody_trained_on_is_folded_in(model):
    group = 3
    size = 240 // N_GROUPS
    items = np.arange(group * size, group * size + 3, dtype=np.int32)
    new = Interactions.from_pairs(np.zeros(3, np.int32), items, n_users=1, n_items=240)
    scores = (tower_users(new, model) @ model.item_embeddings.T)[0]
    top = np.argsort(-scores)[:20]
    assert np.mean(top // size == group) > 0.8


def test_nothing_is_said_of_a_user_without_history(model):
    nobody = Interactions.from_pairs(
        np.empty(0, np.int32), np.empty(0, np.int32), n_users=1, n_items=240
    )
    np.testing.assert_array_equal(tower_users(nobody, model), np.zeros((1, 16)))


FASHION = Timescale(240.0, 30.0, later_from_earlier=True)


def fashion(timescale):
    # Old users bought the first half of the catalog, recent users the second; all bought item 120.
    generator = np.random.default_rng(0)
    recent = np.arange(400)[:, None] % 2 == 1
    halves = np.stack([generator.permutation(60)[:10] for _ in range(400)]) + 60 * recent
    item = np.column_stack([np.full(400, 120), halves])
    data = Interactions.from_pairs(
        np.repeat(np.arange(400), 11).astype(np.int32),
        item.ravel().astype(np.int32),
        n_users=400,
        n_items=121,
        last_occurred_at=(np.where(recent, 700.0, 0.0) + np.arange(11)).ravel(),
    )
    return train(data, config=TrainingConfig(dimension=16, epochs=3, timescales=(timescale,)))


def share_of_new(trained, items, days):
    """Compute how much of a list is of the second half, for a user of these items."""
    user = Interactions.from_pairs(
        np.zeros(len(items), np.int32),
        np.array(items, np.int32),
        n_users=1,
        n_items=121,
        last_occurred_at=np.array(days, np.float64),
        trained_until=710.0,
    )
    scores = (trained.item_embeddings @ tower_users(user, trained)[0])[:120]
    return np.mean(np.argsort(-scores)[:20] >= 60)


def test_what_is_new_is_preferred_where_fashion_changes():
    # What all had bought says nothing of a half: the rest is what the model puts forward.
    assert share_of_new(fashion(FASHION), [120], [710]) > 0.9
    assert 0.2 < share_of_new(fashion(TIMELESS), [120], [710]) < 0.8


def test_the_newer_half_of_a_history_decides_where_fashion_changes():
    items, days = [*range(10), *range(60, 70)], [0] * 10 + [700] * 10
    assert share_of_new(fashion(FASHION), items, days) > 0.9
    assert 0.2 < share_of_new(fashion(TIMELESS), items, days) < 0.8


def test_what_is_new_is_preferred_where_what_is_wanted_drifts():
    model = fashion(DRIFT.absolute(355.0))
    assert model.half_life_days == pytest.approx(355 / 4)
    assert share_of_new(model, [120], [710]) > 0.9


@pytest.mark.parametrize("days", [700.0, 1e-6])
def test_what_drifts_wins_against_what_stays_but_for_the_seconds_of_a_load(days):
    # All bought item 120, late users the second half of the catalog; a third of them came before.
    generator = np.random.default_rng(0)
    late = np.arange(300) % 2 == 1
    first = np.stack([generator.permutation(60)[:6] for _ in range(300)]) + 60 * late[:, None]
    again = np.stack([generator.permutation(60)[:3] for _ in range(100)]) + 60
    item = np.concatenate([np.full(300, 120), first.ravel(), again.ravel()])
    user = np.concatenate(
        [np.arange(300), np.repeat(np.arange(300), 6), np.repeat(2 * np.arange(100), 3)]
    )
    when = np.where(late, generator.uniform(0.8, 1, 300), generator.uniform(0, 0.8, 300))
    day = np.concatenate([when, np.repeat(when, 6), np.repeat(generator.uniform(0.9, 1, 100), 3)])
    data = Interactions.from_pairs(
        user.astype(np.int32), item.astype(np.int32), n_users=300, n_items=121,
        first_occurred_at=days * day,
    )  # fmt: skip
    config = TrainingConfig(dimension=16, max_epochs=4, timescales=(TIMELESS, DRIFT))
    seen = []
    trained = train(data, config=config, on_progress=seen.append)
    expected = DRIFT.absolute(data.median_age) if days > 1 else TIMELESS
    assert data.in_sittings
    assert trained.timescale == expected
    assert any(p.stage.endswith("latest time") for p in seen) == (days > 1)


def test_half_lives_in_ages_are_shares_of_the_median_age_and_those_in_days_stay():
    assert Timescale(0.25, 0.5, relative=True).absolute(100.0) == Timescale(25.0, 50.0)
    assert TIMELESS.absolute(5.0) == TIMELESS
    assert FASHION.absolute(5.0) == FASHION


def test_an_item_without_interactions_is_not_learned_and_says_nothing_of_a_user():
    data = planted(predictability=0.9)
    size = 240 // N_GROUPS
    shown = data.select(data.item % size != 0)  # one item of each group is never seen
    trained = train(shown, config=SMALL)
    cold = np.arange(0, 240, size)
    np.testing.assert_array_equal(np.flatnonzero(~trained.learned), cold)
    assert not trained.history_embeddings[cold].any()


def test_nothing_to_predict_is_an_error():
    lone = Interactions.from_pairs(
        np.arange(3, dtype=np.int32), np.arange(3, dtype=np.int32), n_users=3, n_items=3
    )
    with pytest.raises(ValueError, match="no user of 3 has two items"):
        train(lone)


def test_progress_is_reported_and_timings_are_kept():
    seen = []
    trained = train(planted(predictability=0.9), config=SMALL, on_progress=seen.append)
    assert {p.stage for p in seen} == {
        "half-life inf/inf days, temperature 0.12",
        "train",
    }
    assert set(trained.course.seconds) == {
        "initialise",
        "data",
        "forward",
        "backward",
        "validate",
    }
    assert sum(trained.course.shares.values()) == pytest.approx(1)


def test_steps_of_an_epoch_are_bounded_and_learn_as_much(monkeypatch):
    steps = []
    step = torch.optim.Adam.step
    monkeypatch.setattr(torch.optim.Adam, "step", lambda self: (steps.append(1), step(self))[1])
    data = planted(predictability=0.9)
    timeless = {"dimension": 16, "epochs": 6, "timescales": (TIMELESS,), "batch_size": 16}
    few = train(data, config=TrainingConfig(**timeless, steps_per_epoch=4))
    assert len(steps) <= 2 * 6 * 4  # for the slice, and for everything
    many = train(data, config=TrainingConfig(**timeless, steps_per_epoch=1000))
    assert len(steps) > 2 * 6 * 8
    for model in (few, many):
        assert model.course.losses[-1] < model.course.losses[0]


@pytest.mark.parametrize(("temperature", "sharp"), [(30.0, 0.5), (0.5, 0.05)])
def test_a_sharper_temperature_is_taken_where_it_is_clearly_better_in_a_large_catalog(
    temperature, sharp, monkeypatch
):
    monkeypatch.setattr("recs.learning.catalog_defaults.LARGE_CATALOG", 240)
    data = planted(predictability=0.6)

    def trained(first, second):
        config = TrainingConfig(
            dimension=4,
            max_epochs=6,
            learning_rate=0.05,
            warmup_batches=1,
            timescales=(TIMELESS,),
            temperature=first,
            sharp_temperature=second,
        )
        return train(data, config=config)

    def best(model):
        return max(map(sum, model.course.validation))

    alone = {t: best(trained(t, t)) for t in (temperature, sharp)}
    clearly = alone[sharp] > 1.02 * alone[temperature]
    assert clearly == (temperature == 30.0), alone
    assert trained(temperature, sharp).temperature == (sharp if clearly else temperature)


@pytest.mark.parametrize(
    ("large", "patience", "epochs"), [(False, None, 4), (True, None, 11), (True, 2, 3)]
)
def test_a_large_catalog_waits_longer_for_a_better_epoch(large, patience, epochs, monkeypatch):
    monkeypatch.setattr("recs.learning.catalog_defaults.LARGE_CATALOG", 240 if large else 241)
    seen = []
    config = TrainingConfig(
        dimension=4,
        learning_rate=1e-12,  # no epoch is better than the first
        timescales=(TIMELESS,),
        patience=patience,
        sharp_temperature=1.0,
    )
    train(planted(predictability=0.6), config=config, on_progress=seen.append)
    assert sum(progress.stage != "train" for progress in seen) == epochs


def test_a_small_catalog_keeps_its_temperature():
    seen = []
    config = TrainingConfig(dimension=4, max_epochs=1, timescales=(TIMELESS,))
    data = planted(predictability=0.6)
    assert train(data, config=config, on_progress=seen.append).temperature == config.temperature
    assert len({progress.stage for progress in seen}) == 2


def test_a_trial_far_behind_the_best_one_is_given_up(monkeypatch):
    monkeypatch.setattr(trial, "HOPELESS", 2.0)
    monkeypatch.setattr(trial, "HOPELESS_EPOCHS", 2)
    scales = (Timescale(240.0), Timescale(120.0))
    config = TrainingConfig(dimension=8, max_epochs=5, patience=9, timescales=scales)
    seen = []
    data = planted(predictability=0.8, with_times=True)
    trained = train(data, config=config, on_progress=seen.append)
    stages = [progress.stage for progress in seen]
    assert stages.count("half-life 240/inf days, temperature 0.12") == 5
    assert stages.count("half-life 120/inf days, temperature 0.12") == 2
    assert trained.timescale == scales[0]
