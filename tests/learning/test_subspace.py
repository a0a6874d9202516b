"""Subspace iteration against the eigenvectors of a matrix that is laid out."""

import numpy as np
import torch

from recs.learning.blocks import CPU
from recs.learning.subspace import leading_eigenvectors

N = 90


def spectrum(rank: int, *, falls: float = 1.5) -> torch.Tensor:
    """Return a positive semi-definite matrix whose eigenvalues fall by that factor each."""
    basis = np.linalg.qr(np.random.default_rng(1).normal(size=(N, N)))[0]
    values = np.where(np.arange(N) < rank, falls ** -np.arange(N, dtype=np.float64), 0)
    return torch.from_numpy(((basis * values) @ basis.T).astype(np.float32))


def found(matrix: torch.Tensor, size: int, *, near: torch.Tensor | None = None):
    """Return the eigenvalues and vectors that are found in a matrix."""
    values, vectors = leading_eigenvectors(
        matrix.__matmul__, size, n=len(matrix), seed=3, device=CPU, near=near
    )
    return values.numpy(), vectors.numpy()


def test_it_finds_the_largest_eigenvalues_and_their_vectors() -> None:
    matrix = spectrum(N)
    values, vectors = found(matrix, 8)
    exact, rotation = np.linalg.eigh(matrix.double().numpy())
    np.testing.assert_allclose(values, exact[:-9:-1], atol=1e-5)
    alike = np.abs(np.sum(vectors * rotation[:, :-9:-1], axis=0))
    np.testing.assert_allclose(alike, 1, atol=1e-5)
    assert values.dtype == vectors.dtype == np.float32


def test_from_nearby_vectors_it_finds_them_in_fewer_products() -> None:
    matrix = spectrum(N, falls=1.02)  # so slowly that two products from anywhere find little
    exact, rotation = (x[..., :-9:-1] for x in np.linalg.eigh(matrix.double().numpy()))
    moved = rotation + np.random.default_rng(0).normal(scale=0.02, size=(N, 8))
    near = torch.from_numpy(moved.astype(np.float32))
    values, _ = found(matrix, 8, near=near)
    np.testing.assert_allclose(values, exact, atol=5e-3)
    values, _ = found(matrix, 8, near=near[:, :3])  # of some of them
    np.testing.assert_allclose(values[:3], exact[:3], atol=1e-2)


def test_beyond_the_rank_eigenvalues_are_zero_and_vectors_still_orthonormal() -> None:
    values, vectors = found(spectrum(5), 12)
    np.testing.assert_allclose(values[5:], 0, atol=1e-6)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(12), atol=1e-5)


def test_all_of_a_small_matrix_can_be_asked_for() -> None:
    matrix = spectrum(N)[:4, :4]
    values, vectors = found(matrix, 4)
    np.testing.assert_allclose((vectors * values) @ vectors.T, matrix, atol=1e-6)


def test_the_same_seed_gives_the_same_vectors() -> None:
    first, second = (found(spectrum(N), 6)[1] for _ in range(2))
    np.testing.assert_array_equal(first, second)
