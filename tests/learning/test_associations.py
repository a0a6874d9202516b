"""Low-rank EASE against EASE itself, and the low-pass filter against the one laid out."""

import numpy as np
import pytest
import scipy.sparse as sp

from recs.learning.associations import Associations, Fading, join
from recs.learning.ease import fit_ease, noise_edge
from recs.learning.low_pass import fit_low_pass
from tests.learning.planted import N_GROUPS, planted

WEIGHTS = planted(predictability=0.8).matrix(np.ones(len(planted(predictability=0.8)), np.float32))


def ease(weights: sp.csr_matrix, *, ridge: float) -> np.ndarray:
    gram = (weights.T @ weights).toarray().astype(np.float64)
    inverse = np.linalg.inv(gram + ridge * np.eye(len(gram)))
    matrix = -inverse / np.diag(inverse)
    np.fill_diagonal(matrix, 0)
    return matrix


def product(associations: Associations) -> np.ndarray:
    return associations.history @ associations.items.T


def test_at_full_rank_it_is_ease() -> None:
    full = fit_ease(WEIGHTS, dimension=240, rank=240, ridge=30)
    np.testing.assert_allclose(product(full), ease(WEIGHTS, ridge=30), atol=1e-5)


def constrained(weights: sp.csr_matrix, targets: sp.csr_matrix, *, ridge: float) -> np.ndarray:
    """Solve each column alone: ridge regression of a target on all other items."""
    x, y = weights.toarray().astype(np.float64), targets.toarray().astype(np.float64)
    n_items = x.shape[1]
    matrix = np.zeros((n_items, n_items))
    for item in range(n_items):
        others = np.arange(n_items) != item
        some = x[:, others]
        gram = some.T @ some + ridge * np.eye(n_items - 1)
        matrix[others, item] = np.linalg.solve(gram, some.T @ y[:, item])
    return matrix


def test_at_full_rank_it_is_the_ridge_regression_of_targets_on_all_other_items() -> None:
    few = WEIGHTS[:, :60].tocsr()
    generator = np.random.default_rng(0)
    targets = few.multiply(generator.uniform(0.2, 1, few.shape)).tocsr()
    found = fit_ease(few, targets, dimension=60, rank=60, ridge=30)
    np.testing.assert_allclose(product(found), constrained(few, targets, ridge=30), atol=1e-5)


def off_diagonal_norm(matrix: np.ndarray) -> float:
    return float(np.linalg.norm(matrix - np.diag(np.diag(matrix))))


@pytest.mark.parametrize(("dimension", "share"), [(32, 0.995), (128, 0.98)])
def test_off_the_diagonal_it_is_nearer_to_ease_than_the_best_approximation_of_all(
    dimension: int, share: float
) -> None:
    exact = ease(WEIGHTS, ridge=30)
    low = product(fit_ease(WEIGHTS, dimension=dimension, rank=240, ridge=30))
    left, values, right = np.linalg.svd(exact)
    best = (left[:, :dimension] * values[:dimension]) @ right[:dimension]
    assert off_diagonal_norm(low - exact) < share * off_diagonal_norm(best - exact)


def test_an_item_speaks_for_its_own_group() -> None:
    associated = product(fit_ease(WEIGHTS))
    size = WEIGHTS.shape[1] // N_GROUPS
    groups = np.arange(WEIGHTS.shape[1]) // size
    same = groups[:, None] == groups
    assert associated[same].mean() > 3 * associated[~same].mean()


def test_item_vectors_have_norm_one_at_most() -> None:
    assert np.linalg.norm(fit_ease(WEIGHTS).items, axis=1).max() <= 1 + 1e-6


def test_fitting_twice_gives_the_same_vectors() -> None:
    first, second = (fit_ease(WEIGHTS) for _ in range(2))
    np.testing.assert_array_equal(first.history, second.history)
    np.testing.assert_array_equal(first.items, second.items)


def test_there_are_no_more_dimensions_than_items() -> None:
    few = WEIGHTS[:, :5].tocsr()
    small = fit_ease(few, ridge=30)
    assert small.items.shape == small.history.shape == (5, 5)
    np.testing.assert_allclose(product(small), ease(few, ridge=30), atol=1e-5)


def low_pass(weights: sp.csr_matrix, *, rank: int) -> np.ndarray:
    dense = weights.toarray().astype(np.float64)
    users, items = (np.sqrt(dense.sum(axis=axis)) for axis in (1, 0))
    right = np.linalg.svd(dense / users[:, None] / items)[2][:rank].T
    return (right / items[:, None]) @ (right * items[:, None]).T


def test_the_low_pass_filter_is_the_projection_on_the_smoothest_signals_of_the_graph() -> None:
    found = product(fit_low_pass(WEIGHTS, dimension=N_GROUPS))
    expected = low_pass(WEIGHTS, rank=N_GROUPS)
    assert np.linalg.norm(found - expected) < 1e-2 * np.linalg.norm(expected)


def test_items_of_the_low_pass_filter_are_orthonormal_and_unseen_ones_zero() -> None:
    unseen = sp.hstack([WEIGHTS, sp.csr_matrix((WEIGHTS.shape[0], 3))]).tocsr()
    found = fit_low_pass(unseen, dimension=16)
    np.testing.assert_allclose(found.items.T @ found.items, np.eye(16), atol=1e-5)
    np.testing.assert_allclose(found.items[-3:], 0, atol=1e-6)
    assert not found.history[-3:].any()


def test_joined_associations_keep_their_shares_and_the_strength_of_the_second() -> None:
    first, second = fit_low_pass(WEIGHTS, dimension=16), fit_ease(WEIGHTS, dimension=32)
    both = join(first, second, WEIGHTS, share=2.0, support=5.0)
    sums = np.asarray(WEIGHTS @ both.history)
    parts = [np.linalg.norm(part, axis=1) for part in (sums[:, :16], sums[:, 16:])]
    assert np.isclose(np.median(parts[1] / parts[0]), 0.5, rtol=1e-4)
    alone = np.linalg.norm(WEIGHTS @ second.history, axis=1)
    np.testing.assert_allclose(alone / parts[1], np.sqrt(5), rtol=1e-4)
    np.testing.assert_array_equal(both.items, np.hstack([first.items, second.items]))
    lengths = np.diff(WEIGHTS.indptr)[:, None]
    np.testing.assert_allclose(both.sums(WEIGHTS)[:, :16], sums[:, :16] * 5 / (lengths + 5), 1e-5)
    np.testing.assert_array_equal(both.sums(WEIGHTS)[:, 16:], sums[:, 16:])


def test_what_the_filter_loses_by_what_is_known_the_detail_gains() -> None:
    sums = np.ones((3, 6), np.float32)
    weighed = Fading(low_pass_dimension=2, detail_dimension=3, support=5.0).fade(
        sums, np.array([1, 5, 95])
    )
    np.testing.assert_allclose(weighed[:, 0], [5 / 6, 1 / 2, 1 / 20], rtol=1e-6)
    np.testing.assert_allclose(weighed[:, 0] + weighed[:, -1], 1, rtol=1e-6)
    np.testing.assert_array_equal(weighed[:, 2], 1)
    np.testing.assert_array_equal(weighed[:, :2], weighed[:, :1] * np.ones((1, 2)))
    np.testing.assert_array_equal(weighed[:, 3:], weighed[:, -1:] * np.ones((1, 3)))


def test_the_first_dimensions_of_many_are_nearly_the_few() -> None:
    few, many = (fit_ease(WEIGHTS, dimension=d, rank=60, ridge=300) for d in (8, 32))
    first = Associations(many.history[:, :8], many.items[:, :8])
    difference = product(first) - product(few)
    assert np.linalg.norm(difference) < 0.04 * np.linalg.norm(product(few))


def test_coordinates_stand_in_the_order_of_what_they_contribute() -> None:
    found = fit_ease(WEIGHTS, dimension=32, rank=60)
    np.testing.assert_allclose(found.items.T @ found.items, np.eye(32), atol=1e-5)
    assert (np.diff(np.linalg.norm(found.history, axis=0)) < 0).all()


def test_users_are_summed_up_block_by_block_to_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = fit_ease(WEIGHTS, dimension=8, rank=30)
    monkeypatch.setattr("recs.learning.ranking.CELLS", 8 * 7)
    monkeypatch.setattr("recs.learning.blocks.USERS", 7)
    blocks = fit_ease(WEIGHTS, dimension=8, rank=30)
    np.testing.assert_allclose(product(blocks), product(whole), atol=1e-5)
    filtered = fit_low_pass(WEIGHTS, dimension=16)
    joined = join(filtered, blocks, WEIGHTS, share=0.7, support=5.0)
    monkeypatch.undo()
    at_once = join(filtered, blocks, WEIGHTS, share=0.7, support=5.0)
    np.testing.assert_allclose(product(joined), product(at_once), atol=1e-6)


@pytest.mark.parametrize(("n_users", "n_items", "share"), [(900, 300, 0.05), (300, 900, 0.1)])
def test_chance_has_no_eigenvalue_beyond_the_edge_of_noise_but_what_all_items_share(
    n_users: int, n_items: int, share: float
) -> None:
    generator = np.random.default_rng(0)
    chosen = generator.random((n_users, n_items)) < share
    weights = sp.csr_matrix(3.0 * chosen)
    eigenvalues = np.linalg.eigvalsh((weights.T @ weights).toarray())[::-1]
    assert eigenvalues[0] > 2 * noise_edge(weights)  # how often things are chosen at all
    assert 0.85 * noise_edge(weights) < eigenvalues[1] < 1.02 * noise_edge(weights)


def test_what_nobody_has_and_who_has_nothing_do_not_move_the_edge_of_noise() -> None:
    wider = sp.bmat([[WEIGHTS, None], [None, sp.csr_matrix((50, 70))]]).tocsr()
    assert wider.shape == (WEIGHTS.shape[0] + 50, WEIGHTS.shape[1] + 70)
    assert noise_edge(wider) == pytest.approx(noise_edge(WEIGHTS))
    assert noise_edge(sp.csr_matrix((5, 7))) == 1


def test_weights_in_another_unit_give_the_same_associations() -> None:
    plain, tenfold = (fit_ease(scale * WEIGHTS, dimension=32) for scale in (1.0, 10.0))
    np.testing.assert_allclose(product(tenfold), product(plain), atol=1e-4)


def test_a_filter_without_dimensions_leaves_ease_as_it_is_and_fades_its_detail() -> None:
    alone = fit_ease(WEIGHTS, dimension=32)
    nothing = fit_low_pass(WEIGHTS, dimension=0)
    joined = join(nothing, alone, WEIGHTS, share=0.7, detail_dimension=24, support=5.0)
    np.testing.assert_array_equal(joined.history, alone.history)
    np.testing.assert_array_equal(joined.items, alone.items)
    assert joined.fading == Fading(0, 24, 5.0)


def test_a_filter_that_says_nothing_of_anybody_adds_nothing() -> None:
    alone, filtered = fit_ease(WEIGHTS, dimension=8), fit_low_pass(WEIGHTS, dimension=4)
    silent = Associations(np.zeros_like(filtered.history), filtered.items)
    joined = join(silent, alone, WEIGHTS, share=0.7, support=5.0)
    assert not joined.history[:, :4].any()
    shares = joined.history[:, 4:] / alone.history
    np.testing.assert_allclose(shares, shares[0, 0], rtol=1e-4)
    assert shares[0, 0] > 0


def test_ease_sees_twice_as_many_signals_as_it_has_dimensions() -> None:
    usual, twice = fit_ease(WEIGHTS, dimension=16), fit_ease(WEIGHTS, dimension=16, rank=32)
    np.testing.assert_array_equal(usual.history, twice.history)


def test_what_nobody_has_speaks_for_nothing() -> None:
    unseen = sp.hstack([WEIGHTS, sp.csr_matrix((WEIGHTS.shape[0], 3))]).tocsr()
    assert not fit_ease(unseen, dimension=16).history[-3:].any()
    targets = sp.csr_matrix(
        unseen.multiply(0.5) + sp.csr_matrix(([1.0], ([0], [240])), unseen.shape)
    )
    assert not fit_ease(unseen, targets, dimension=16).history[-3:].any()
