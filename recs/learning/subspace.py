"""The leading eigenvectors of a matrix that nobody lays out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

OVERSAMPLING = 16
ITERATIONS = 5
ITERATIONS_NEARBY = 2

Scalar = TypeVar("Scalar", np.float32, np.float64)


def leading_eigenvectors(
    times: Callable[[NDArray[Scalar]], NDArray[Scalar]],
    size: int,
    *,
    n: int,
    seed: int,
    dtype: type[Scalar],
    near: NDArray[Scalar] | None = None,
) -> tuple[NDArray[Scalar], NDArray[Scalar]]:
    """Find the `size` largest eigenvalues, [R], and their vectors [n, R], largest first.

    Subspace iteration with Rayleigh-Ritz (Halko, Martinsson and Tropp 2011) over a positive
    semi-definite matrix S [n, n], of which only products are asked. Deterministic with the seed.

    Args:
        times: computes S x for x [n, K].
        size: R, at most n.
        dtype: of the vectors, and of what is given to `times`.
        near: those of a matrix that is nearly S, [n, R]: from there it takes fewer iterations.
    """
    start = np.random.default_rng(seed).standard_normal((n, min(size + OVERSAMPLING, n)))
    if near is not None:
        start[:, :size] = near
    basis = _orthonormal(start.astype(dtype))
    for _ in range(ITERATIONS if near is None else ITERATIONS_NEARBY):
        basis = _orthonormal(times(basis))
    values, rotation = np.linalg.eigh(basis.T @ times(basis))
    largest = slice(None, -size - 1, -1)
    return np.maximum(values[largest], 0), basis @ rotation[:, largest]


def _orthonormal(vectors: NDArray[Scalar]) -> NDArray[Scalar]:
    # NumPy's would take most of a fit: it is twice as slow as torch's, in double precision always.
    basis: NDArray[Scalar] = torch.linalg.qr(torch.from_numpy(vectors))[0].numpy()
    return basis
