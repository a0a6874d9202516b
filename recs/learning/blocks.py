"""A sparse matrix of users by items as tensors, multiplied some users at a time."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import scipy.sparse as sp
import torch
from torch import Tensor

CPU = torch.device("cpu")
USERS = 16_384  # in a block, at least


@dataclass(frozen=True)
class Blocks:
    """X [U, I] on one device, in single precision.

    Args:
        shape: (U, I).
        device: where it is, and where what it is multiplied with has to be.
        parts: X and X^T of some of the users, one after the other. Both, because a product with a
            compressed transpose is several times slower.
    """

    shape: tuple[int, int]
    device: torch.device
    parts: tuple[tuple[Tensor, Tensor], ...]

    @staticmethod
    def of(matrix: sp.csr_matrix, device: torch.device = CPU) -> Blocks:
        """Lay a matrix [U, I] out, in blocks of as many users as items if these are many.

        Of each block a product has a row for every item. So it is linear in users and items, and
        what is in between is no larger than the result.
        """
        size = max(USERS, matrix.shape[1])
        starts = range(0, matrix.shape[0], size)
        blocks = (sp.csr_matrix(matrix[start : start + size]) for start in starts)
        return Blocks(
            matrix.shape,
            device,
            tuple((_tensor(block, device), _tensor(block.T.tocsr(), device)) for block in blocks),
        )

    def through(self, vectors: Tensor, targets: Blocks | None = None) -> Tensor:
        """Compute Y^T X v for v [I, K], [I, K]; Y is `targets` [U, I], or X if left out.

        What is in between, a row for each user, is never there for more than a block of them.
        """
        result = torch.zeros_like(vectors)
        for (block, _), (_, transposed) in zip(self.parts, (targets or self).parts, strict=True):
            result.addmm_(transposed, block @ vectors)
        return result


def _tensor(matrix: sp.csr_matrix, device: torch.device) -> Tensor:
    with warnings.catch_warnings():
        # "Sparse CSR tensor support is in beta": products with a dense matrix are all we ask of it.
        warnings.simplefilter("ignore", UserWarning)
        return torch.sparse_csr_tensor(
            torch.from_numpy(matrix.indptr),
            torch.from_numpy(matrix.indices),
            torch.from_numpy(matrix.data),
            size=matrix.shape,
            dtype=torch.float32,
            device=device,
        )
