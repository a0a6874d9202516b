"""The metrics agree with scikit-learn and with definitions written out slowly."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score, recall_score

from recs import metrics

N_ITEMS = 12

ranking = st.permutations(range(N_ITEMS))
relevant_items = st.lists(st.integers(0, N_ITEMS - 1), max_size=8, unique=True)
cases = st.lists(st.tuples(ranking, relevant_items), min_size=1, max_size=6)
depths = st.integers(1, N_ITEMS)


def slow_recall(ranked, relevant, k):
    return len(set(ranked[:k]) & set(relevant)) / len(relevant)


def slow_ndcg(ranked, relevant, k):
    gain = sum(1 / math.log2(j + 2) for j, item in enumerate(ranked[:k]) if item in relevant)
    ideal = sum(1 / math.log2(j + 2) for j in range(min(k, len(relevant))))
    return gain / ideal


def slow_hit_rate(ranked, relevant, k):
    return float(any(item in relevant for item in ranked[:k]))


def arrays(users):
    recommended = np.array([ranked for ranked, _ in users])
    return recommended, [np.array(relevant, dtype=np.int64) for _, relevant in users]


@pytest.mark.parametrize(
    ("metric", "slow"),
    [
        (metrics.recall_at_k, slow_recall),
        (metrics.ndcg_at_k, slow_ndcg),
        (metrics.hit_rate_at_k, slow_hit_rate),
    ],
)
@given(users=cases, k=depths)
def test_metric_is_the_mean_of_its_definition_over_users_with_relevant_items(
    metric, slow, users, k
):
    expected = [slow(ranked, relevant, k) for ranked, relevant in users if relevant]
    measured = metric(*arrays(users), k=k)
    if expected:
        assert measured == pytest.approx(np.mean(expected))
    else:
        assert math.isnan(measured)


@given(users=cases, k=depths)
def test_ndcg_and_recall_agree_with_scikit_learn(users, k):
    users = [user for user in users if user[1]]
    if not users:
        return
    recommended, relevant = arrays(users)
    truth = np.zeros((len(users), N_ITEMS), dtype=int)
    scores = np.zeros((len(users), N_ITEMS))
    top = np.zeros_like(truth)
    for row, (ranked, wanted) in enumerate(users):
        truth[row, wanted] = 1
        scores[row, ranked] = np.arange(N_ITEMS, 0, -1)
        top[row, ranked[:k]] = 1
    assert metrics.ndcg_at_k(recommended, relevant, k=k) == pytest.approx(
        ndcg_score(truth, scores, k=k)
    )
    assert metrics.recall_at_k(recommended, relevant, k=k) == pytest.approx(
        recall_score(truth, top, average="samples")
    )


@given(users=cases, k=depths, cut=depths)
def test_padding_counts_as_a_miss(users, k, cut):
    recommended, relevant = arrays(users)
    padded = recommended.copy()
    padded[:, cut:] = metrics.PADDING
    for metric in (metrics.recall_at_k, metrics.hit_rate_at_k):
        expected = metric(recommended, relevant, k=min(k, cut))
        assert metric(padded, relevant, k=k) == pytest.approx(expected, nan_ok=True)


def test_an_item_repeated_in_a_list_counts_once():
    recommended = np.array([[3, 3, 3, 1]])
    assert metrics.recall_at_k(recommended, [np.array([3, 1, 7])], k=3) == pytest.approx(1 / 3)


def test_a_list_shorter_than_k_is_judged_against_k():
    relevant = [np.array([0, 1, 2])]
    assert metrics.ndcg_at_k(np.array([[0]]), relevant, k=3) == pytest.approx(
        slow_ndcg([0], [0, 1, 2], 3)
    )


def test_catalog_coverage_counts_each_item_once_and_no_padding():
    recommended = np.array([[0, 1, 5], [1, 0, 6], [2, metrics.PADDING, 7]])
    assert metrics.catalog_coverage(recommended, n_items=10, k=2) == pytest.approx(0.3)


def test_ann_recall_is_told_per_query():
    found = np.array([[0, 1, 2], [5, 6, 7], [3, 9, metrics.PADDING]])
    exact = np.array([[2, 1, 0], [0, 1, 2], [9, metrics.PADDING, metrics.PADDING]])
    np.testing.assert_allclose(metrics.ann_recall_at_k(found, exact, k=3), [1, 0, 1])


def test_mismatched_shapes_are_refused_with_both_sizes():
    with pytest.raises(ValueError, match=r"expected recommendations \[2, K\].*\(1, 1\)"):
        metrics.recall_at_k(np.zeros((1, 1), int), [np.array([1]), np.array([2])], k=1)


def test_k_below_one_is_refused():
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        metrics.recall_at_k(np.zeros((1, 1), int), [np.array([1])], k=0)
