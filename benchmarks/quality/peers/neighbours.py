"""Item-kNN: shrunk cosine between the columns of the interaction matrix, the k nearest kept."""

import numpy as np
from scipy.sparse import csr_array, vstack

from benchmarks.quality.datasets import IntArray
from benchmarks.quality.method import Params, Scores, Scoring, weights
from benchmarks.quality.protocols import Split

BLOCK = 1024  # items compared at once


def fit(split: Split, params: Params, seed: int) -> Scoring:
    """Score an item by its similarity to the user's items, summed.

    s_ij = x_i . x_j / (|x_i| |x_j| + shrink), x_i being the column of item i.
    """
    del seed
    half_life = params.get("half_life")
    columns = csr_array(weights(split, half_life=half_life).T)
    similarity = _similarity(columns, int(params["neighbours"]), float(params["shrink"]))

    def score(users: IntArray, history: csr_array) -> Scores:
        del users
        return np.asarray((history @ similarity).toarray(), np.float32)

    return Scoring(split, score, half_life)


def _similarity(columns: csr_array, k: int, shrink: float) -> csr_array:
    """Return the k largest similarities of every column of the result, [I, I]."""
    norms = np.sqrt(columns.multiply(columns).sum(axis=1))
    rows = csr_array(columns.T)
    blocks = []
    for start in range(0, columns.shape[0], BLOCK):
        products = csr_array(columns[start : start + BLOCK] @ rows)
        products.data /= (
            np.repeat(norms[start : start + BLOCK], np.diff(products.indptr))
            * norms[products.indices]
            + shrink
        )
        blocks.append(_pruned(products, k, start))
    return csr_array(vstack(blocks).T)


def _pruned(block: csr_array, k: int, start: int) -> csr_array:
    """Keep the k largest values of every row, none of them on the diagonal."""
    dense = block.toarray()
    dense[np.arange(len(dense)), np.arange(start, start + len(dense))] = 0
    if k < dense.shape[1]:
        least = -np.partition(-dense, k, axis=1)[:, k : k + 1]
        dense[dense <= least] = 0
    return csr_array(dense)
