"""JSON objects, from text or from nested values, into text that jsonb takes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from decimal import Decimal
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
    if isinstance(value, list) and all(isinstance(pair, tuple) for pair in value):
        value = dict(value)  # Arrow's maps are pairs; PHP writes an empty object as []
    if not isinstance(value, dict):
        raise ValueError
    return value


def json_texts(values: Iterable[dict[str, Any]], name: str) -> Values:
    """Return JSON objects as text that jsonb takes: no NaN, no NUL, no half of a surrogate pair.

    Decimals are numbers (of a double's precision), bytes are UTF-8; times and what else JSON
    lacks are text.
    """
    found: list[str | None] = []
    faults: dict[int, str] = {}
    for row, value in enumerate(values):
        text, fault = _text(value)
        if fault:
            faults[row] = f"{name} {fault}"
        found.append(text)
    return Values(pa.array(found, pa.string()), faults)


def _text(value: dict[str, Any]) -> tuple[str | None, str]:
    try:
        text = json.dumps(value, allow_nan=False, default=_plain)
        if r"\ud" in text:
            json.dumps(value, ensure_ascii=False, default=_plain).encode()
    except UnicodeDecodeError:
        return None, f"is {show(value)}, expected UTF-8"
    except UnicodeEncodeError:
        return None, "has half a surrogate pair, which is no text"
    except ValueError:
        return None, f"is {show(value)}, expected no NaN or infinity"
    except TypeError:
        return None, f"is {show(value)}, expected keys that are text"
    except RecursionError:
        return None, "is nested too deep"
    if r"\u0000" in text and r"\u0000" in text.replace(r"\\", ""):  # else a backslash, and u0000
        return None, "has a NUL character, which PostgreSQL refuses"
    return text, ""


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value.decode() if isinstance(value, bytes) else str(value)
