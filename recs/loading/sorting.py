"""The order that rows go to PostgreSQL in: an index grows faster where its keys come in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def order_by(columns: Any, names: Sequence[str]) -> Any:
    """Return the indices that sort rows by columns of text without NULL, bytewise.

    Texts are ranked once for each that is distinct and rows compared by one number: half the time
    of `pyarrow.compute.sort_indices` where ids recur, as they do in interactions. The product of
    the distinct counts must be below 2^63, which it is for two columns of a batch.
    """
    keys = np.zeros(columns.num_rows, np.int64)
    for name in names:
        ranks, count = _ranks(columns.column(name))
        keys = keys * count + ranks
    return pa.array(np.argsort(keys, kind="stable"))


def _ranks(texts: Any) -> tuple[Any, int]:
    encoded = texts.dictionary_encode()
    order = pc.sort_indices(encoded.dictionary).to_numpy()
    ranks = np.empty(len(order), np.int64)
    ranks[order] = np.arange(len(order))
    return ranks[encoded.indices.to_numpy()], len(order)
