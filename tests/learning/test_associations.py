"""Low-rank EASE against EASE itself."""

import numpy as np
import scipy.sparse as sp

from recs.learning.associations import Associations, fit_associations
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
    full = fit_associations(WEIGHTS, dimension=240, rank=240, ridge=30)
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
    found = fit_associations(few, targets, dimension=60, rank=60, ridge=30)
    np.testing.assert_allclose(product(found), constrained(few, targets, ridge=30), atol=1e-5)


def test_at_low_rank_it_is_near_the_best_approximation_of_ease() -> None:
    exact = ease(WEIGHTS, ridge=30)
    low = product(fit_associations(WEIGHTS, dimension=32, rank=240, ridge=30))
    best = np.sqrt((np.linalg.svd(exact, compute_uv=False)[32:] ** 2).sum())
    assert np.linalg.norm(low - exact) < 1.05 * best


def test_an_item_speaks_for_its_own_group() -> None:
    associated = product(fit_associations(WEIGHTS))
    size = WEIGHTS.shape[1] // N_GROUPS
    groups = np.arange(WEIGHTS.shape[1]) // size
    same = groups[:, None] == groups
    assert associated[same].mean() > 3 * associated[~same].mean()


def test_item_vectors_have_norm_one_at_most() -> None:
    assert np.linalg.norm(fit_associations(WEIGHTS).items, axis=1).max() <= 1 + 1e-6


def test_fitting_twice_gives_the_same_vectors() -> None:
    first, second = (fit_associations(WEIGHTS) for _ in range(2))
    np.testing.assert_array_equal(first.history, second.history)
    np.testing.assert_array_equal(first.items, second.items)


def test_fewer_items_than_dimensions_are_fine() -> None:
    few = WEIGHTS[:, :5].tocsr()
    small = fit_associations(few, ridge=30)
    assert small.items.shape == small.history.shape == (5, 128)  # the layout does not change
    assert not small.items[:, 5:].any()
    assert not small.history[:, 5:].any()
    np.testing.assert_allclose(product(small), ease(few, ridge=30), atol=1e-5)
