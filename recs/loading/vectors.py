"""Vectors, from lists or from text, into pgvector's binary form."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa

from recs.loading.columns import Values, show


def vectors(values: Iterable[Any], name: str, dimension: int | None) -> tuple[Values, int | None]:
    """Return vectors in pgvector's binary form, and their dimension, which all must share.

    A value is a list of numbers, or its text '[1, 2]'. `dimension` is that of earlier batches.
    """
    found: list[bytes | None] = []
    faults: dict[int, str] = {}
    for row, value in enumerate(values):
        if value is None or (isinstance(value, str) and not value):
            found.append(None)
            continue
        vector, fault = _vector(value, dimension)
        if fault:
            faults[row] = f"{name} {fault}"
        elif dimension is None:
            dimension = len(vector)
        found.append(_vector_bytes(vector))
    return Values(pa.array(found, pa.binary()), faults), dimension


def _vector(value: Any, dimension: int | None) -> tuple[Any, str]:
    nothing = np.zeros(0, np.float32)
    try:
        with np.errstate(over="ignore"):
            plain = json.loads(value) if isinstance(value, str | bytes) else value
            vector = np.asarray(plain, np.float32)
    except (ValueError, TypeError, RecursionError):
        return nothing, f"is {show(value)}, expected a list of numbers"
    if vector.ndim != 1 or not 1 <= len(vector) <= 16_000:
        return nothing, f"is {show(value)}, expected a list of 1 to 16000 numbers"
    if dimension is not None and len(vector) != dimension:
        return nothing, f"has {len(vector)} dimensions, expected {dimension} as in earlier rows"
    if not np.isfinite(vector).all():
        return nothing, f"is {show(value)}, expected finite numbers"
    if not vector.any():
        return nothing, f"is {show(value)}, expected a norm above 0"
    return vector, ""


def _vector_bytes(vector: Any) -> bytes:
    header = len(vector).to_bytes(2, "big") + b"\0\0"
    return header + bytes(vector.astype(">f4").tobytes())
