"""Which items go with which in a graph of users and items: the low-pass filter."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import torch

from recs.learning.associations import Associations
from recs.learning.blocks import CPU
from recs.learning.graph import Graph

DIMENSION = 128


def fit_low_pass(
    weights: sp.csr_matrix,
    *,
    dimension: int = DIMENSION,
    seed: int = 0,
    device: torch.device = CPU,
) -> Associations:
    """Fit the ideal low-pass filter of the interaction graph (GF-CF, Shen et al. 2021).

    With R = D_U^-1/2 X D_I^-1/2 ~ U S V^T, the score of j after i is that of
    D_I^-1/2 V V^T D_I^1/2. With D_I^1/2 V = Q T, Q of orthonormal columns as EASE's items are, it
    is r z^T for z = Q and r = D_I^-1/2 V T^T. Every user weighs the same in it, and an item counts
    by how seldom it is seen: it knows the rare items of a large catalog, where EASE shrinks them.
    """
    graph = Graph.of(weights, device=device)
    factors = graph.leading_signals(dimension, seed=seed)[1]
    root = np.sqrt(graph.item_degrees)[:, None]
    items, triangle = torch.linalg.qr(torch.from_numpy(root * factors))
    # What nobody has is outside the filter.
    factors = np.divide(factors, root, out=np.zeros_like(factors), where=root > 0)
    return Associations(factors @ triangle.numpy().T, items.numpy())
