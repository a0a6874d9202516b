"""The default content encoder: TF-IDF over terms, reduced by a truncated SVD.

It is linear in an item's terms, so SQL can encode a new item in the transaction that inserts it:
a content vector is the normalised sum of its terms' vectors (sql/functions/encode_content.sql).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import scipy.sparse as sp
from sklearn.decomposition import TruncatedSVD
from sklearn.preprocessing import normalize

from recs.learning.interactions import Floats
from recs.learning.ranking import row_blocks
from recs.learning.vectors import unit_rows

# Short titles need many: with 128 the rare words, which tell items apart, are gone.
DIMENSION = 768
SAMPLE = 50_000  # items that the SVD sees, at most: it holds some of them times the dimension


class TermKind(IntEnum):
    """What a term is made of."""

    WORD = 0
    ATTRIBUTE = 1
    LETTERS = 2  # three in a row of a title
    NUMBER = 3  # a window of whole numbers: years


@dataclass(frozen=True)
class ContentEncoder:
    """What turns terms into a vector.

    Args:
        idf: ln((1 + I) / (1 + df_t)) + 1, [T].
        term_vectors: g V, the leading right singular vectors of the TF-IDF matrix, each term's
            times what it counts, [T, C].
    """

    idf: Floats
    term_vectors: Floats

    def encode(self, frequencies: sp.csr_matrix) -> Floats:
        """Compute c = normalize(sum_t (1 + ln f_t) idf_t g_t V_t) of each row, [I, C].

        A row without known terms stays zero.
        """
        vectors = np.empty((frequencies.shape[0], self.term_vectors.shape[1]), np.float32)
        for block in row_blocks(*vectors.shape):
            weights = term_weights(frequencies[block], self.idf)
            vectors[block] = unit_rows(np.asarray(weights @ self.term_vectors))
        return vectors


def fit_encoder(
    frequencies: sp.csr_matrix,
    counts: Floats | None = None,
    *,
    dimension: int = DIMENSION,
    seed: int = 0,
) -> ContentEncoder:
    """Fit the encoder on the terms of a catalog [I, T]; deterministic with a seed.

    Latent semantic analysis (Deerwester et al. 1990). The SVD sees unit rows, so a long
    description counts no more than a short one.

    Args:
        counts: g, what each term counts, [T], see `term_kinds`; ones if left out.
    """
    idf = inverse_document_frequencies(frequencies)
    g = np.ones(len(idf), np.float32) if counts is None else counts
    size = min(dimension, *(n - 1 for n in frequencies.shape))
    if size < 1:
        return ContentEncoder(idf, np.ones((frequencies.shape[1], 1), np.float32))
    weights = unit_term_weights(frequencies, idf * g)
    if weights.shape[0] > SAMPLE:
        weights = weights[np.random.default_rng(seed).permutation(weights.shape[0])[:SAMPLE]]
    # Its explained variance, unused, is divided by none where rows are equal.
    with np.errstate(divide="ignore", invalid="ignore"):
        decomposition = TruncatedSVD(size, random_state=seed).fit(weights)
    return ContentEncoder(idf, (g[:, None] * decomposition.components_.T).astype(np.float32))


def inverse_document_frequencies(frequencies: sp.csr_matrix) -> Floats:
    """Compute idf_t = ln((1 + I) / (1 + df_t)) + 1 of each term, [T]."""
    document_frequencies = np.bincount(
        frequencies.indices[frequencies.data > 0], minlength=frequencies.shape[1]
    )
    idf = np.log((1 + frequencies.shape[0]) / (1 + document_frequencies)) + 1
    return np.asarray(idf, np.float32)


def term_weights(frequencies: sp.csr_matrix, idf: Floats) -> sp.csr_matrix:
    """Compute (1 + ln f_jt) idf_t where item j has term t, [I, T]."""
    weights = frequencies.astype(np.float64)
    weights.eliminate_zeros()
    weights.data = (1 + np.log(weights.data)) * idf[weights.indices]
    return weights


def unit_term_weights(frequencies: sp.csr_matrix, idf: Floats) -> sp.csr_matrix:
    """Compute the rows of `term_weights`, scaled to norm 1, [I, T]."""
    return sp.csr_matrix(normalize(term_weights(frequencies, idf)))
