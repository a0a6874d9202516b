"""The peers of the quality benchmark give the answers that their papers define."""

import numpy as np
import pytest

from benchmarks.quality.datasets import Dataset, Interactions
from benchmarks.quality.method import Scoring
from benchmarks.quality.peers import ease, neighbours, popularity
from benchmarks.quality.protocols import Split
from benchmarks.quality.tasks import Request, pairs
from recs.metrics import PADDING

# Who had which item, [users, items]; the last user comes after the training.
HAD = np.array(
    [[1, 1, 0, 0, 1], [1, 1, 1, 0, 0], [0, 1, 1, 0, 0], [0, 0, 1, 1, 0], [1, 0, 0, 1, 0]]
)
STRANGER = 4
KNOWN = HAD[:STRANGER]


def events(had: np.ndarray) -> Interactions:
    users, items = np.nonzero(had)
    return Interactions(users, items, np.arange(len(users), dtype=float))


@pytest.fixture
def split() -> Split:
    users, items = (tuple(map(str, range(n))) for n in HAD.shape)
    dataset = Dataset("tiny", events(HAD), users, items)
    return Split(dataset, "temporal", "test", events(KNOWN), (), ())


def request(split: Split) -> Request:
    """Ask for lists of everybody; the stranger's items are told."""
    told = events(np.where(np.arange(len(HAD))[:, None] == STRANGER, HAD, 0))
    return Request(np.arange(len(HAD)), told, pairs(split.dataset.interactions, split.dataset),
                   np.arange(HAD.shape[1]))  # fmt: skip


def scores(peer: Scoring, split: Split) -> np.ndarray:
    """Return what a peer says of every user and item, before anything is left out."""
    asked = request(split)
    return np.asarray(peer.score(asked.users, peer._history(asked)))


def test_ease_is_the_ridge_regression_of_each_item_on_all_others(split):
    strength = 2.0
    expected = np.zeros(HAD.shape)
    for item in range(HAD.shape[1]):
        others = np.delete(np.arange(HAD.shape[1]), item)
        x = KNOWN[:, others]
        weights = np.linalg.solve(x.T @ x + strength * np.eye(len(others)), x.T @ KNOWN[:, item])
        expected[:, item] = HAD[:, others] @ weights
    peer = ease.fit(split, {"regularization": strength}, 0)
    assert scores(peer, split) == pytest.approx(expected, abs=1e-5)


def test_item_knn_sums_the_shrunk_cosines_of_the_nearest_items(split):
    shrink = 0.5
    norms = np.sqrt(KNOWN.sum(0))
    cosines = (KNOWN.T @ KNOWN) / (np.outer(norms, norms) + shrink)
    np.fill_diagonal(cosines, 0)
    for item, column in enumerate(cosines.T):  # the two nearest of each item are kept
        cosines[:, item] = np.where(column > np.sort(column)[-3], column, 0)
    peer = neighbours.fit(split, {"neighbours": 2, "shrink": shrink}, 0)
    assert scores(peer, split) == pytest.approx(HAD @ cosines, abs=1e-6)


def test_popularity_counts_buyers_and_leaves_out_what_is_excluded(split):
    peer = popularity.fit(split, {}, 0)
    lists = peer.recommend(request(split), k=3)
    order = [1, 2, 0, 3, 4]  # by buyers, of which items 3 and 4 have one each
    for user, found in enumerate(lists):
        wanted = [item for item in order if not HAD[user, item]]
        assert {item for item in found if item != PADDING} == set(wanted[:3])
        assert found[0] == wanted[0] or KNOWN.sum(0)[found[0]] == KNOWN.sum(0)[wanted[0]]


def test_als_weighs_what_was_had_by_alpha_for_strangers_too(split):
    pytest.importorskip("implicit", reason="the library is in the extra bench")
    from benchmarks.quality.peers import als

    alpha, strength = 4.0, 0.5
    params = {"factors": 3, "regularization": strength, "alpha": alpha}
    peer, items = als.fit(split, params, 0), als.factorise(split, params, 0).items
    expected = []
    for had in HAD.astype(float):
        confidence = np.where(had > 0, alpha, 1.0)
        gram = (items.T * confidence) @ items + strength * np.eye(items.shape[1])
        expected.append(items @ np.linalg.solve(gram, items.T @ (confidence * had)))
    # The library solves by conjugate gradients, and for the trained users before their items.
    assert scores(peer, split)[:STRANGER] == pytest.approx(np.array(expected)[:STRANGER], abs=0.05)
    assert scores(peer, split)[STRANGER] == pytest.approx(expected[STRANGER], abs=1e-4)
