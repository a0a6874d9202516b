"""What single terms count, learned from what goes with what."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from recs.learning.interactions import Floats
from recs.learning.term_factors import _slope, fit_term_factors

SIZE = 8  # items of a group


def catalog(items: int, *, seed: int = 0) -> tuple[sp.csr_matrix, Floats]:
    """Make items with a term that tells their group, one that misleads, and a rare one.

    A third of the terms tell, a third mislead, the rest are of two items each. Vectors are their
    group's, blurred, and of any length.
    """
    generator = np.random.default_rng(seed)
    groups = items // SIZE
    group = np.arange(items) % groups
    rare = np.arange(groups).repeat(2)
    terms = np.zeros((items, 3 * groups), np.float32)
    terms[np.arange(items), group] = 1
    terms[np.arange(items), groups + generator.permutation(group)] = 1
    terms[generator.permutation(items)[: len(rare)], 2 * groups + rare] = 1
    vectors = generator.normal(size=(groups, 16))[group] + 0.5 * generator.normal(size=(items, 16))
    vectors *= generator.lognormal(sigma=0.5, size=(items, 1))
    return sp.csr_matrix(terms), vectors.astype(np.float32)


def thirds(factors: Floats) -> tuple[Floats, Floats, Floats]:
    """Part what terms count into those that tell, that mislead and that are rare."""
    telling, misleading, rare = np.split(factors, 3)
    return telling, misleading, rare


def ones(frequencies: sp.csr_matrix) -> Floats:
    return np.ones(frequencies.shape[1], np.float32)


def error_left(frequencies: sp.csr_matrix, counts: Floats, vectors: Floats) -> float:
    """Predict every item from the others by kriging, one system an item; return what is left."""
    terms = frequencies.toarray() > 0
    idf = np.log((1 + len(terms)) / (1 + terms.sum(axis=0))) + 1
    rows = terms * idf * counts
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    kernel = (rows @ rows.T) ** 2
    targets = vectors / np.sqrt(np.linalg.norm(vectors, axis=1, keepdims=True))
    left = 0.0
    for i in range(len(rows)):
        others = np.arange(len(rows)) != i
        system = kernel[others][:, others] + 0.5 * np.eye(len(rows) - 1)
        predicted = np.linalg.solve(system, kernel[i, others]) @ targets[others]
        left += float(np.sum((targets[i] - predicted) ** 2))
    return left / float(np.sum(targets**2))


@pytest.mark.parametrize("items", [320, 1280])  # 1000 a step
def test_terms_that_tell_what_goes_together_count_more_than_those_that_mislead(items: int) -> None:
    frequencies, vectors = catalog(items)
    telling, misleading, _ = thirds(fit_term_factors(frequencies, ones(frequencies), vectors))
    assert np.quantile(telling, 0.1) > 1 > np.quantile(misleading, 0.9)


def test_items_are_predicted_better_by_what_is_learned() -> None:
    frequencies, vectors = catalog(240)
    factors = fit_term_factors(frequencies, ones(frequencies), vectors)
    before = error_left(frequencies, ones(frequencies), vectors)
    assert error_left(frequencies, factors, vectors) < 0.9 * before


def test_a_term_of_two_items_counts_what_it_did() -> None:
    frequencies, vectors = catalog(320)
    _, _, rare = thirds(fit_term_factors(frequencies, ones(frequencies), vectors))
    assert (rare == 1).all()


def test_a_kind_that_counts_nothing_is_not_judged() -> None:
    frequencies, vectors = catalog(320)
    weights = ones(frequencies)
    weights[: len(weights) // 3] = 0
    telling, misleading, _ = thirds(fit_term_factors(frequencies, weights, vectors))
    assert (telling == 1).all()
    assert (misleading != 1).mean() > 0.9


def test_items_that_nobody_has_touched_or_that_have_no_terms_do_not_count() -> None:
    frequencies, vectors = catalog(320)
    vectors[:80] = 0
    without_terms = sp.csr_matrix(frequencies.multiply((np.arange(320) < 270)[:, None]))
    few = fit_term_factors(without_terms, ones(frequencies), vectors)  # 190 are left
    assert (few == 1).all()
    enough = fit_term_factors(frequencies, ones(frequencies), vectors)
    telling, misleading, _ = thirds(enough)
    assert np.median(telling) > 1 > np.median(misleading)


def test_where_terms_say_nothing_they_count_alike() -> None:
    frequencies, vectors = catalog(640)
    shuffled = np.random.default_rng(1).permutation(vectors)
    telling, misleading, _ = thirds(fit_term_factors(frequencies, ones(frequencies), shuffled))
    assert abs(np.log(telling).mean() - np.log(misleading).mean()) < 0.1


def test_the_slope_by_factors_is_what_automatic_differentiation_finds() -> None:
    frequencies, _ = catalog(240)
    generator = np.random.default_rng(0)
    slope = generator.normal(size=(240, 240)).astype(np.float32)
    theta = torch.from_numpy(
        generator.normal(scale=0.3, size=frequencies.shape[1])
    ).requires_grad_()
    rows = torch.from_numpy(frequencies.toarray()) * torch.exp(theta)
    unit = rows / rows.norm(dim=1, keepdim=True)
    (expected,) = torch.autograd.grad((unit @ unit.T * torch.from_numpy(slope)).sum(), theta)
    sparse = sp.csr_matrix(unit.detach().numpy().astype(np.float32))
    np.testing.assert_allclose(_slope(sparse, slope), expected, atol=1e-4)


def test_fitting_twice_gives_the_same_factors() -> None:
    frequencies, vectors = catalog(320)
    first, second = (fit_term_factors(frequencies, ones(frequencies), vectors) for _ in range(2))
    np.testing.assert_allclose(first, second, rtol=1e-3)
