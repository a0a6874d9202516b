"""JSON objects, from text or from nested values, into text that jsonb takes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from recs.loading.columns import Values, show


def documents(values: Iterable[Any], name: str) -> tuple[list[dict[str, Any]], dict[int, str]]:
    """Return JSON objects, from text or from nested values; an empty value is {}."""
    found, faults = [], {}
    for row, value in enumerate(values):
        try:
            found.append(_document(value))
        except (ValueError, TypeError, RecursionError):
            faults[row] = f"{name} is {show(value)}, expected a JSON object"
            found.append({})
    return found, faults


def _document(value: Any) -> dict[str, Any]:
    if value is None or value == "":
        return {}
    if isinstance(value, str | bytes):
        value = json.loads(value)
    if isinstance(value, list):
        value = dict(value)  # Arrow's maps are pairs
    if not isinstance(value, dict):
        raise ValueError
    return value


def json_texts(values: Iterable[dict[str, Any]], name: str) -> Values:
    """Return JSON objects as text that jsonb takes: no NaN, no NUL."""
    found: list[str | None] = []
    faults: dict[int, str] = {}
    for row, value in enumerate(values):
        try:
            text = json.dumps(value, allow_nan=False, default=str)
        except ValueError:
            faults[row] = f"{name} is {show(value)}, expected no NaN or infinity"
            text = None
        if text is not None and r"\u0000" in text:
            faults[row] = f"{name} has a NUL character, which PostgreSQL refuses"
        found.append(text)
    return Values(pa.array(found, pa.string()), faults)
