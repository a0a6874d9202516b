"""EASE (Steck, WWW 2019): the linear autoencoder without a diagonal, in closed form."""

import numpy as np
import psutil
from scipy.linalg import lapack
from scipy.sparse import csr_array
from threadpoolctl import threadpool_limits

from benchmarks.quality.datasets import IntArray
from benchmarks.quality.method import Params, Scores, Scoring, Skipped, weights
from benchmarks.quality.protocols import Split

THREADED = 30_000  # columns that are inverted by several threads, at most


def fit(split: Split, params: Params, seed: int) -> Scoring:
    """Compute B = -P / diag(P) with zero diagonal, P = (X'X + lambda)^-1, in one [I, I] buffer."""
    del seed
    _require_memory(split.dataset.n_items)
    half_life = params.get("half_life")
    matrix = weights(split, half_life=half_life)
    kernel = _gram(matrix)
    kernel[np.diag_indices_from(kernel)] += np.float32(params["regularization"])
    inverse = _inverse_in_place(kernel)
    inverse /= -np.diag(inverse).copy()
    np.fill_diagonal(inverse, 0)

    def score(users: IntArray, history: csr_array) -> Scores:
        del users
        return np.asarray(history @ inverse, np.float32)

    return Scoring(split, score, half_life)


def _require_memory(n_items: int) -> None:
    """Skip where the one buffer, and half as much again, does not fit."""
    needed = 1.5 * 4 * n_items**2
    available = psutil.virtual_memory().available
    if needed > available:
        gigabytes = f"{needed / 2**30:.1f} GB for {n_items} items"
        raise Skipped(f"needs {gigabytes}, {available / 2**30:.1f} GB are free")


def _gram(matrix: csr_array) -> Scores:
    """Return X'X densely, [I, I], Fortran order, filled by blocks of rows."""
    n_items = matrix.shape[1]
    gram = np.empty((n_items, n_items), np.float32, order="F")
    columns = matrix.T.tocsr()
    for start in range(0, n_items, 2048):
        gram[:, start : start + 2048] = (matrix.T @ columns[start : start + 2048].T).toarray()
    return gram


def _inverse_in_place(kernel: Scores) -> Scores:
    """Invert a positive definite matrix through Cholesky without a second buffer."""
    # SciPy's OpenBLAS crashes in spotrf at 40,981 columns when it has two threads.
    with threadpool_limits(1 if len(kernel) > THREADED else None, "blas"):
        factor, failed = lapack.spotrf(kernel, lower=1, overwrite_a=1, clean=0)
        if failed:
            raise ValueError(f"kernel is not positive definite at column {failed}")
        inverse, failed = lapack.spotri(factor, lower=1, overwrite_c=1)
        if failed:
            raise ValueError(f"kernel is singular at column {failed}")
    return _mirrored(inverse)


def _mirrored(lower: Scores, block: int = 2048) -> Scores:
    """Copy the lower triangle over the upper one."""
    for start in range(0, len(lower), block):
        stop = start + block
        square = np.tril(lower[start:stop, start:stop])
        lower[start:stop, start:stop] = square + np.tril(square, -1).T
        lower[start:stop, stop:] = lower[stop:, start:stop].T
    return lower
