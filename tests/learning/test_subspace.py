"""Subspace iteration against the eigenvectors of a matrix that is laid out."""

import numpy as np
import pytest

from recs.learning.subspace import leading_eigenvectors

N = 90


def spectrum(rank: int) -> np.ndarray:
    """Return a positive semi-definite matrix whose eigenvalues fall by a third each."""
    basis = np.linalg.qr(np.random.default_rng(1).normal(size=(N, N)))[0]
    values = np.where(np.arange(N) < rank, 1.5 ** -np.arange(N, dtype=np.float64), 0)
    return (basis * values) @ basis.T


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-8), (np.float32, 1e-4)])
def test_it_finds_the_largest_eigenvalues_and_their_vectors(dtype: type, tolerance: float) -> None:
    matrix = spectrum(N).astype(dtype)
    values, vectors = leading_eigenvectors(matrix.__matmul__, 8, n=N, seed=0, dtype=dtype)
    exact, rotation = np.linalg.eigh(matrix.astype(np.float64))
    np.testing.assert_allclose(values, exact[:-9:-1], atol=tolerance)
    alike = np.abs(np.sum(vectors * rotation[:, :-9:-1], axis=0))
    np.testing.assert_allclose(alike, 1, atol=tolerance)
    assert values.dtype == vectors.dtype == dtype


def test_beyond_the_rank_eigenvalues_are_zero_and_vectors_still_orthonormal() -> None:
    values, vectors = leading_eigenvectors(
        spectrum(5).__matmul__, 12, n=N, seed=0, dtype=np.float64
    )
    np.testing.assert_allclose(values[5:], 0, atol=1e-12)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(12), atol=1e-8)


def test_all_of_a_small_matrix_can_be_asked_for() -> None:
    matrix = spectrum(N)[:4, :4]
    values, vectors = leading_eigenvectors(matrix.__matmul__, 4, n=4, seed=0, dtype=np.float64)
    np.testing.assert_allclose((vectors * values) @ vectors.T, matrix, atol=1e-12)


def test_the_same_seed_gives_the_same_vectors() -> None:
    first, second = (
        leading_eigenvectors(spectrum(N).__matmul__, 6, n=N, seed=3, dtype=np.float64)[1]
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)
