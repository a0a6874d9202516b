"""The leading eigenvectors of a matrix that nobody lays out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

OVERSAMPLING = 16
ITERATIONS = 5

Scalar = TypeVar("Scalar", np.float32, np.float64)


def leading_eigenvectors(
    times: Callable[[NDArray[Scalar]], NDArray[Scalar]],
    size: int,
    *,
    n: int,
    seed: int,
    dtype: type[Scalar],
) -> tuple[NDArray[Scalar], NDArray[Scalar]]:
    """Find the `size` largest eigenvalues, [R], and their vectors [n, R], largest first.

    Subspace iteration with Rayleigh-Ritz (Halko, Martinsson and Tropp 2011) over a positive
    semi-definite matrix S [n, n], of which only products are asked. Deterministic with the seed.

    Args:
        times: computes S x for x [n, K].
        size: R, at most n.
        dtype: of the vectors, and of what is given to `times`.
    """
    start = np.random.default_rng(seed).standard_normal((n, min(size + OVERSAMPLING, n)))
    basis = np.linalg.qr(start.astype(dtype))[0]
    for _ in range(ITERATIONS):
        basis = np.linalg.qr(times(basis))[0]
    values, rotation = np.linalg.eigh(basis.T @ times(basis))
    largest = slice(None, -size - 1, -1)
    return np.maximum(values[largest], 0), basis @ rotation[:, largest]
