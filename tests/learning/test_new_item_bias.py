"""How far new items are put forward, against lists made slowly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

from recs.learning import TIMELESS, Space, signals_of, train
from recs.learning.blend import Blend
from recs.learning.cold_items import Neighbors, find_neighbors
from recs.learning.interactions import Floats
from recs.learning.new_item_bias import BIASES, COST, PRETENDED_NEW, fit_new_item_bias
from recs.learning.space import compose
from recs.learning.validation import Validation
from recs.metrics import recall_at_k
from tests.learning.planted import SMALL, content_of, held, planted
from tests.learning.reference import slow_list


def slow_recall(space: Space, items: Floats, validation: Validation, new: set[int]) -> float:
    """Compute recall@20 of held-out items that are not new; a zero row is in no list."""
    users = space.pool(validation.train).embeddings[validation.users]
    train, lists = validation.train, []
    for vector, user in zip(users, validation.users, strict=True):
        seen = train.item[train.offsets[user] : train.offsets[user + 1]].tolist()
        scores = np.where(items.any(axis=1), items @ vector, -np.inf)
        lists.append(slow_list(scores.tolist(), seen))
    old = [np.array([i for i in items if i not in new], int) for items in validation.held_out]
    return recall_at_k(np.array(lists), old, k=20)


@pytest.mark.parametrize("blur", [0.1, 0.2])
def test_new_items_are_put_forward_until_old_ones_would_lose_more_than_they_may(
    blur: float,
) -> None:
    data = planted(predictability=0.8, n_users=600, length=25)
    config = replace(SMALL, epochs=1, timescales=(TIMELESS,), validation_users=600)
    validation, content = held(data, config), content_of(blur=blur)
    tower = train(validation.train, config=config)
    signals = signals_of(validation.train, tower)
    space = compose(signals, Blend())
    bias = fit_new_item_bias(space, signals, validation, content)
    drawn = np.random.default_rng(0).permutation(np.flatnonzero(space.learned))
    new = drawn[: int(PRETENDED_NEW * len(drawn))]
    rest = np.setdiff1d(drawn, new)
    among = find_neighbors(content[new], content[rest], signals.popularity[rest])
    lay = np.zeros((len(rest), 240))
    lay[np.arange(len(rest)), rest] = 1
    neighbors = Neighbors(sp.csr_matrix(among.mean @ lay), sp.csr_matrix(among.kriging @ lay))

    def recall(bias: float | None) -> float:
        items = space.item_embeddings.copy()
        items[new] = 0
        if bias is not None:
            biased = replace(space, blend=Blend(new_item_bias=bias))
            items[new] = biased.place(neighbors)
        return slow_recall(space, items, validation, set(new.tolist()))

    least = (1 - COST) * recall(None)
    assert BIASES[0] < bias < BIASES[-1]
    assert all(recall(b) >= least for b in BIASES if b <= bias)
    assert recall(next(b for b in BIASES if b > bias)) < least


def test_the_bias_stays_where_too_few_users_judge_or_none_finds_an_old_item() -> None:
    data = planted(predictability=0.9, n_users=320)
    model, validation = train(data, config=SMALL), held(data)
    assert model.trial is not None
    signals = signals_of(validation.train, model.trial)
    space = compose(signals, Blend(new_item_bias=0.35))
    few = replace(validation, users=validation.users[:29], held_out=validation.held_out[:29])
    assert fit_new_item_bias(space, signals, few, content_of()) == 0.35
    # Whatever is held out, lists of nothing but what is seen find none of it.
    lost = replace(space, item_embeddings=np.zeros_like(space.item_embeddings))
    nothing = [np.array([239]) for _ in validation.users]
    unfound = replace(validation, held_out=nothing)
    assert fit_new_item_bias(lost, signals, unfound, content_of()) == 0.35


def test_without_content_of_any_item_the_bias_stays() -> None:
    data = planted(predictability=0.9, n_users=320)
    model, validation = train(data, config=SMALL), held(data)
    assert model.trial is not None
    signals = signals_of(validation.train, model.trial)
    nothing = np.zeros((240, 4), np.float32)
    space = compose(signals, Blend(new_item_bias=0.35))
    assert fit_new_item_bias(space, signals, validation, nothing) == 0.35
