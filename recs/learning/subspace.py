"""The leading eigenvectors of a matrix that nobody lays out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

OVERSAMPLING = 16
ITERATIONS = 5
ITERATIONS_NEARBY = 2


def leading_eigenvectors(
    times: Callable[[Tensor], Tensor],
    size: int,
    *,
    n: int,
    seed: int,
    device: torch.device,
    near: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Find the `size` largest eigenvalues, [R], and their vectors [n, R], largest first.

    Subspace iteration with Rayleigh-Ritz (Halko, Martinsson and Tropp 2011) over a positive
    semi-definite matrix S [n, n], of which only products are asked, in single precision.
    Deterministic with the seed on one device.

    Args:
        times: computes S x for x [n, K].
        size: R, at most n.
        device: where x is, and where S x is expected.
        near: those of a matrix that is nearly S, [n, R] or less: from there it takes fewer
            iterations.
    """
    columns = min(size + OVERSAMPLING, n)
    random = np.random.default_rng(seed)
    if near is not None:
        columns = max(0, columns - near.shape[1])
    drawn = torch.from_numpy(random.standard_normal((n, columns), np.float32)).to(device)
    basis = _orthonormal(drawn if near is None else torch.cat([near, drawn], dim=1))
    for _ in range(ITERATIONS if near is None else ITERATIONS_NEARBY):
        basis = times(basis)  # the old one goes before the new one is made
        basis = _orthonormal(basis)
    values, rotation = torch.linalg.eigh((basis.T @ times(basis)).double())
    largest = values.flip(0)[:size].clamp_min(0)
    return largest.float(), basis @ rotation.flip(1)[:, :size].float()


def _orthonormal(vectors: Tensor) -> Tensor:
    basis: Tensor = torch.linalg.qr(vectors).Q
    return basis
