"""How far new items are put forward, against lists made slowly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import scipy.sparse as sp

from recs.learning import TIMELESS, Space, new_item_bias, signals_of, train
from recs.learning.blend import Blend
from recs.learning.cold_items import Neighbors, find_neighbors
from recs.learning.interactions import Floats
from recs.learning.new_item_bias import BIASES, COST, PRETENDED_NEW, fit_new_item_bias
from recs.learning.signals import Signals
from recs.learning.space import compose
from recs.learning.validation import Validation
from recs.metrics import recall_at_k
from tests.learning.planted import SIZE, SMALL, content_of, held, planted
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


@pytest.mark.parametrize(
    ("blur", "most_new", "uneven"), [(0.1, 5000, False), (0.2, 5000, False), (0.2, 4, True)]
)
def test_new_items_are_put_forward_until_old_ones_would_lose_more_than_they_may(
    blur: float, most_new: int, uneven: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(new_item_bias, "MOST_NEW", most_new)
    data = planted(predictability=0.8, n_users=600, length=25)
    config = replace(SMALL, epochs=1, timescales=(TIMELESS,), validation_users=600)
    validation, content = held(data, config), content_of(blur=blur)
    tower = train(validation.train, config=config)
    signals = signals_of(validation.train, tower)
    if uneven:
        random = np.random.default_rng(1)
        signals = replace(
            signals,
            popularity=10 ** random.uniform(-3, 0, 240).astype(np.float32),
            seasonality=10 ** random.uniform(-1, 1, 240).astype(np.float32),
        )
    space = compose(signals, Blend())
    bias = fit_new_item_bias(space, signals, validation, content)
    drawn = np.random.default_rng(0).permutation(np.flatnonzero(space.learned))
    new = drawn[: min(most_new, int(PRETENDED_NEW * len(drawn)))]
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


@cache
def tastes() -> tuple[Space, Signals, Validation]:
    """Return a space in which one item of each group is not learned."""
    data = planted(predictability=0.8, n_users=400, length=25)
    data = data.select(data.item % SIZE != 0)
    config = replace(SMALL, epochs=1, timescales=(TIMELESS,), validation_users=400)
    validation = held(data, config)
    signals = signals_of(validation.train, train(validation.train, config=config))
    return compose(signals, Blend(new_item_bias=0.59)), signals, validation


def test_what_nobody_has_is_not_pretended_to_be_new_and_stands_in_no_list() -> None:
    space, signals, validation = tastes()
    unknown = np.flatnonzero(~space.learned)
    assert len(unknown) == 8
    content = content_of()
    bias = fit_new_item_bias(space, signals, validation, content)
    assert bias != 0.59
    loud = space.item_embeddings.copy()
    loud[unknown] = 10 * space.users(space.history_embeddings[1:9], np.full(8, 5))
    said = content.copy()
    said[unknown] = content.mean(axis=0)  # like everything
    for other in (content, said):
        louder = replace(space, item_embeddings=loud)
        assert fit_new_item_bias(louder, signals, validation, other) == bias


@pytest.mark.parametrize(
    ("finds", "most", "judged"),
    [
        (lambda n: np.arange(n) >= n / 2, 100, True),  # the newer accounts have a say
        (lambda n: np.arange(n) % 2 == 1, 200, False),  # every second one, of more than 200
        (lambda n: np.arange(n) % 2 == 0, 200, True),
    ],
)
def test_of_many_users_some_judge_from_the_first_to_the_last(
    finds: Callable[[int], np.ndarray], most: int, judged: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(new_item_bias, "USERS", most)
    space, signals, validation = tastes()
    train, n = validation.train, len(validation.users)
    assert 200 < n < 400
    seen = [train.item[train.offsets[u]].astype(np.int64) for u in validation.users]
    held_out = [
        items if found else np.array([known])  # what is seen already is not found
        for items, known, found in zip(validation.held_out, seen, finds(n), strict=True)
    ]
    some = replace(validation, held_out=held_out)
    assert (fit_new_item_bias(space, signals, some, content_of()) != 0.59) == judged


def test_where_even_the_least_bias_costs_too_much_it_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(new_item_bias, "COST", -1.0)  # lists would have to find twice as much
    assert fit_new_item_bias(*tastes(), content_of()) == BIASES[0]
