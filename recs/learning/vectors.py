"""Rows of a matrix, scaled."""

from __future__ import annotations

import numpy as np

from recs.learning.interactions import Floats


def unit_rows(vectors: Floats) -> Floats:
    """Scale rows to norm 1; a zero row stays zero."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Floats = (vectors / np.maximum(norms, 1e-12)).astype(np.float32)
    return unit


def limit_norm(rows: Floats) -> Floats:
    """Shorten rows of a norm above 1 to 1, [I, F]; the reference for sql/functions/limit_norm.sql.

    No item placed by its content may outshine those that are learned.
    """
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    shortened: Floats = (rows / np.maximum(norms, 1)).astype(np.float32)
    return shortened
