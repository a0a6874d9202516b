"""What a version consists of, and what is refused before anything is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recs.errors import BadInput
from recs.schema import METRIC

Floats = NDArray[np.float32]

NORM_ERROR = 0.01  # that a norm may be off, in half precision


@dataclass(frozen=True)
class ItemVectors:
    """Vectors of a catalog; row j of each belongs to `item_ids[j]`.

    Args:
        item_ids: [I]
        embedding: [I, D]; norm 1, or at most 1 where a blend says what its parts count.
        history_embedding: [I, D].
        content_embedding: [I, C], unit norm, a zero row where an item has no content; or None.
        seasonality: [I]; ones if left out.
        learned: [I], true where a row is published; all are if left out. Not a selection of rows,
            which would copy each matrix while the whole one is still there.
    """

    item_ids: Sequence[str]
    embedding: Floats
    history_embedding: Floats
    content_embedding: Floats | None = None
    seasonality: Floats | None = None
    learned: NDArray[np.bool_] | None = None

    @property
    def rows(self) -> NDArray[np.int64]:
        """Return the numbers of the rows that are published."""
        if self.learned is None:
            return np.arange(len(self.item_ids))
        return np.flatnonzero(self.learned)


@dataclass(frozen=True)
class UserVectors:
    """What is known of users.

    `history` are U sums [D], not normalised, read once as they are written, so they need never lie
    in memory all at once; `support` [U] counts distinct items; `fingerprint` [U] tells the
    interactions in the sum apart, see recs.user_embeddings.
    """

    user_ids: Sequence[str]
    history: Iterable[Floats]
    support: NDArray[np.int32]
    fingerprint: NDArray[np.int64]


@dataclass(frozen=True)
class TermVectors:
    """The content encoder: `embedding` [T, C] and `inverse_document_frequency` [T] of terms.

    An embedding holds what its term counts, see recs.learning.term_kinds.
    """

    terms: Sequence[str]
    inverse_document_frequency: Floats
    embedding: Floats


@dataclass(frozen=True)
class BlendWeights:
    """What the parts of a version's vectors count for; see the columns of recs.models."""

    tower_dimension: int
    tower_weight: float
    tower_support: float
    tower_fading: float
    low_pass_dimension: int
    detail_dimension: int
    association_support: float
    popularity_weight: float
    new_item_tower: float
    new_item_bias: float
    embedding_scale: float


@dataclass(frozen=True)
class Publication:
    """All that a version consists of; see the columns of recs.models.

    Args:
        blend: None where vectors have no parts and are compared as they are.
    """

    items: ItemVectors
    users: UserVectors
    terms: TermVectors | None
    history_half_life: float | None
    trained_until: datetime
    blend: BlendWeights | None = None
    popularity_half_life: float | None = None
    metric: str = METRIC
    parameters: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)

    @property
    def norms(self) -> tuple[float, float]:
        """Return what the norm of an item lies between: 1, or 0 and 1 if vectors have parts."""
        return (1 if self.blend is None else 0) - NORM_ERROR, 1 + NORM_ERROR


def check(publication: Publication) -> None:
    """Refuse vectors that would poison the index; those of users are looked at when written.

    Raises:
        BadInput: naming the item or the value.
    """
    items = publication.items
    if publication.metric != METRIC:
        raise BadInput(
            f"metric {publication.metric!r} is not served, expected {METRIC!r}",
            hint="normalise the vectors: for unit vectors inner product and cosine are the same",
        )
    rows = items.rows
    if len(rows) == 0:
        raise BadInput("there is no item to publish", hint="load a catalog: recs load items FILE")
    for j in rows.tolist():
        name = f"the history embedding of item {items.item_ids[j]!r}"
        check_history(name, items.history_embedding[j], items)
    _check_norms(items, rows, *publication.norms)


def check_history(name: str, vector: Floats, items: ItemVectors) -> None:
    """Refuse a vector of another dimension than the items', or with NaN.

    Raises:
        BadInput: naming it.
    """
    dimension = items.embedding.shape[1]
    if len(vector) != dimension:
        raise BadInput(
            f"{name} has dimension {len(vector)}, expected {dimension}",
            hint="a version has one dimension; another needs another version",
        )
    if not np.isfinite(vector).all():
        raise BadInput(f"{name} has NaN or infinity", hint="lower the learning rate")


def _check_norms(items: ItemVectors, rows: NDArray[np.int64], least: float, most: float) -> None:
    # np.linalg.norm would make another matrix, of squares.
    norms = np.sqrt(np.einsum("ij,ij->i", items.embedding, items.embedding))[rows]
    bad = np.flatnonzero(~((norms > least) & (norms < most)))  # NaN is bad too
    if bad.size:
        raise BadInput(
            f"the embedding of item {items.item_ids[rows[bad[0]]]!r} has norm "
            f"{norms[bad[0]]:.4g}, expected {'1' if least > 0 else '1 at most'}",
            hint="normalise the vectors: lists would be of the longest ones",
        )
