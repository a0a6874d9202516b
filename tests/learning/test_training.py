import numpy as np
import pytest
import torch

from recs.learning import (
    Interactions,
    Timescale,
    TrainingConfig,
    pool_history,
    train,
)
from recs.learning.validation import hold_out, score
from tests.learning.planted import N_GROUPS, planted

SMALL = TrainingConfig(dimension=16, max_epochs=6, patience=2)


@pytest.fixture(scope="module")
def model():
    return train(planted(predictability=0.9), config=SMALL)


def recall_of_trial(interactions, model):
    validation = hold_out(
        interactions,
        share=SMALL.validation_share,
        max_users=SMALL.validation_users,
        generator=np.random.default_rng(SMALL.seed),
    )
    users = pool_history(validation.train, model.trial).embeddings[validation.users]
    return score(torch.from_numpy(users), torch.from_numpy(model.item_embeddings), validation)[0]


def test_planted_tastes_are_found(model):
    # 30 items in a user's group, a dozen seen: chance finds 20 of 240, taste finds nearly all.
    assert max(recall for recall, _ in model.metrics["validation"]) > 0.75


def test_noise_is_not_mistaken_for_taste():
    noise = train(planted(predictability=0.0), config=SMALL)
    assert max(recall for recall, _ in noise.metrics["validation"]) < 0.2


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
    users = pool_history(data, trained)
    for user in (0, 17, 59):
        total = np.zeros(8)
        for row in range(data.offsets[user], data.offsets[user + 1]):
            age = data.trained_until - data.last_occurred_at[row]
            weight = data.weight[row] * 0.5 ** (age / trained.half_life_days)
            total += weight * trained.history_embeddings[data.item[row]]
        vector = trained.stranger_embedding + total
        np.testing.assert_allclose(users.history[user], total, atol=1e-4)
        np.testing.assert_allclose(
            users.embeddings[user], vector / np.linalg.norm(vector), atol=1e-4
        )


def test_a_user_nobody_trained_on_is_folded_in(model):
    group = 3
    size = 240 // N_GROUPS
    items = np.arange(group * size, group * size + 3, dtype=np.int32)
    new = Interactions.from_pairs(np.zeros(3, np.int32), items, n_users=1, n_items=240)
    scores = (pool_history(new, model).embeddings @ model.item_embeddings.T)[0]
    top = np.argsort(-scores)[:20]
    assert np.mean(top // size == group) > 0.8


def test_a_user_without_history_stands_where_strangers_do(model):
    nobody = Interactions.from_pairs(
        np.empty(0, np.int32), np.empty(0, np.int32), n_users=1, n_items=240
    )
    users = pool_history(nobody, model)
    norm = np.linalg.norm(model.stranger_embedding)
    np.testing.assert_allclose(users.embeddings[0], model.stranger_embedding / norm, atol=1e-5)
    assert users.support[0] == 0


def test_what_is_new_is_preferred_where_fashion_changes():
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
    trained = train(data, config=TrainingConfig(dimension=16, epochs=3, timescales=(fashion,)))
    top = np.argsort(-(trained.item_embeddings @ trained.stranger_embedding))[:20]
    assert np.mean(top >= 60) > 0.9


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
    assert {p.stage for p in seen} == {"half-life inf/inf days", "train"}
    assert set(trained.metrics["seconds"]) == {
        "initialise",
        "data",
        "forward",
        "backward",
        "validate",
    }
    assert sum(trained.metrics["shares"].values()) == pytest.approx(1)
