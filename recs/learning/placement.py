"""Places for items that nobody has interacted with: learned from content, after training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recs.learning.interactions import Floats, Mask
from recs.learning.trained import ContentMaps, unit_rows


@dataclass(frozen=True)
class ContentFeatures:
    """Content vectors [I, C] of the catalog, unit rows; a zero row where there is no content."""

    vectors: Floats


def fit_content_maps(
    content: ContentFeatures,
    item_embeddings: Floats,
    history_embeddings: Floats,
    support: Floats,
    *,
    ridge: float,
) -> ContentMaps:
    """Fit W_q and W_p [C, D] by ridge regression of the learned vectors on content.

    W = (C^T N C + ridge * I)^-1 C^T N Y with N = diag(log(1 + support)): a vector counts by how
    well it is known. It aligns content with collaborative vectors as CLCRec does (Wei et al.
    2021), but in closed form, and costs warm items nothing.
    """
    weighted = content.vectors * np.log1p(support)[:, None]
    gram = weighted.T @ content.vectors + ridge * np.eye(content.vectors.shape[1])
    targets = np.hstack([item_embeddings, history_embeddings])
    maps = np.linalg.solve(gram, weighted.T @ targets).astype(np.float32)
    return ContentMaps(*np.split(maps, 2, axis=1))


def place(
    content: ContentFeatures, maps: ContentMaps, item_embeddings: Floats, cold: Mask
) -> tuple[Floats, Floats]:
    """Compute q [M, D] and p [M, D] of the cold items; one without content keeps its own q."""
    vectors = content.vectors[cold]
    placed = vectors @ maps.item_map
    known = np.linalg.norm(placed, axis=1, keepdims=True) > 1e-6
    return unit_rows(np.where(known, placed, item_embeddings[cold])), vectors @ maps.history_map
