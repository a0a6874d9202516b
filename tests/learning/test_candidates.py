"""What a blend chooses from, against lists made slowly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

from recs.learning import candidates
from recs.learning.blend import Blend
from recs.learning.candidates import Candidates
from recs.learning.signals import Signals
from recs.learning.situation import Situation
from recs.metrics import ndcg_at_k, recall_at_k
from tests.learning.reference import direction, faded, noise, slow_scores, weighted_sum

N_USERS, N_ITEMS, EACH = 15, 90, 12
MEAN_WEIGHT = 2.5


@pytest.fixture
def signals(monkeypatch: pytest.MonkeyPatch) -> Signals:
    """Return signals of which some items, the best sellers among them, are not learned."""
    monkeypatch.setattr(candidates, "EACH", EACH)
    made = noise(0, n_items=N_ITEMS)
    learned = made.popularity < 0.95
    return replace(made, tower=replace(made.tower, learned=learned), mean_weight=MEAN_WEIGHT)


@pytest.fixture
def situation() -> Situation:
    """Return users of 0 to 14 items, of whom each is not asked for five and looks for ten."""
    generator = np.random.default_rng(1)
    known, between = np.zeros((N_USERS, N_ITEMS)), np.zeros((N_USERS, N_ITEMS))
    relevant = []
    for user in range(N_USERS):
        order = generator.permutation(N_ITEMS)
        known[user, order[:user]] = generator.uniform(0.5, 4, user)
        between[user, order[user : user + 5]] = 1
        relevant.append(order[user + 5 : user + 15].astype(np.int64))
    return Situation(
        sp.csr_matrix(known.astype(np.float32)), relevant, sp.csr_matrix(between.astype(np.float32))
    )


def known_of(situation: Situation, user: int) -> dict[int, float]:
    row = situation.known[user]
    return dict(zip(row.indices.tolist(), row.data.tolist(), strict=True))


def slow_candidates(situation: Situation, signals: Signals, user: int) -> dict[int, tuple]:
    """Return each signal's scores of the items that are among the best of one of them."""
    known = known_of(situation, user)
    taste = direction(weighted_sum(signals.tower.history_embeddings, known))
    sums = weighted_sum(signals.associations.history, known)
    speaks = direction(faded(sums, len(known), signals.associations))
    barred = set(situation.barred[user].indices.tolist())
    scores = {
        item: (
            float(taste @ signals.tower.item_embeddings[item]),
            float(speaks @ signals.associations.items[item]),
            float(signals.popularity[item]),
        )
        for item in range(N_ITEMS)
        if item not in barred and signals.tower.learned[item]
    }
    best: set[int] = set()
    for signal in range(3):
        if user or signal == 2:  # of a stranger two of them know nothing
            best |= set(sorted(scores, key=lambda item: -scores[item][signal])[:EACH])
    return {item: scores[item] for item in best}


def found_items(found: Candidates, signals: Signals, user: int) -> dict[int, int]:
    """Return the columns of the candidates by item, told by its popularity."""
    items = {float(sold): item for item, sold in enumerate(signals.popularity)}
    listed = np.flatnonzero(~np.isneginf(found.associations[user]))
    return {items[float(found.popularity[user, column])]: int(column) for column in listed}


@pytest.mark.parametrize("cells", [1 << 24, 4 * N_ITEMS])
def test_candidates_are_the_best_that_a_user_may_be_shown_by_each_signal(
    situation: Situation, signals: Signals, cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recs.learning.ranking.CELLS", cells)
    found = Candidates.of(situation, signals)
    for user in range(N_USERS):
        expected = slow_candidates(situation, signals, user)
        columns = found_items(found, signals, user)
        listed = np.flatnonzero(~np.isneginf(found.associations[user]))
        assert len(columns) == len(listed), "none is there twice"
        assert set(expected) <= set(columns)
        if user:
            assert set(expected) == set(columns)
        for item in expected:
            scores = [part[user, columns[item]] for part in (found.tower, found.associations)]
            assert scores == pytest.approx(expected[item][:2], abs=1e-5)
        wanted = set(situation.relevant[user].tolist())
        assert {i for i, n in columns.items() if found.hits[user, n]} == wanted & set(columns)
    assert found.sizes.tolist() == [10] * N_USERS
    assert found.support.tolist() == list(range(N_USERS))


@pytest.mark.parametrize(
    "blend",
    [Blend(), Blend(tower_weight=1.6, tower_support=3, tower_fading=10, popularity_weight=0.3)],
)
def test_lists_are_the_best_of_the_candidates_by_what_a_score_is_made_of(
    situation: Situation, signals: Signals, blend: Blend
) -> None:
    found = Candidates.of(situation, signals)
    # The prior is worth a number of interactions of the mean weight.
    served = replace(blend, popularity_weight=blend.popularity_weight * MEAN_WEIGHT)
    lists = []
    for user in range(N_USERS):
        scores = slow_scores(served, signals, known_of(situation, user))
        columns = found_items(found, signals, user)
        lists.append(sorted(columns, key=lambda item: -scores[item])[:20])
        hits = found.hits_of(blend)[user].tolist()
        assert hits == [item in situation.relevant[user] for item in lists[-1]]
    recall = recall_at_k(np.array(lists), situation.relevant, k=20)
    ndcg = ndcg_at_k(np.array(lists), situation.relevant, k=20)
    assert found.recall(blend) == pytest.approx(recall)
    assert found.value(blend) == pytest.approx(recall + ndcg)


def test_what_a_user_has_stands_in_no_list_however_little_else_is_left(
    signals: Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidates, "EACH", 40)
    known = np.ones((1, N_ITEMS), np.float32)
    left = np.flatnonzero(signals.tower.learned)[[3, 30, 50]]
    known[0, left] = 0
    situation = Situation(sp.csr_matrix(known), [left.astype(np.int64)])
    found = Candidates.of(situation, signals)
    for weight in (0.0, 0.8):
        assert found.recall(Blend(tower_weight=weight)) == 1
