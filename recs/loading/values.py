"""Columns of a file into columns of a table, all rows at once; what cannot be is a fault by row."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recs.errors import BadInput

_TIME = pa.timestamp("us", tz="UTC")
_LAST_SECOND = 253_402_300_799  # of the year 9999
_SECONDS = "seconds since 1970 (not milliseconds)"
_LARGEST_EXACT = 2**53  # the integers a double holds exactly
_SHOWN = 60  # characters of a value in a message
_TRUE = ("true", "t", "yes", "y", "1", "on")
_FALSE = ("false", "f", "no", "n", "0", "off")


@dataclass(frozen=True)
class Values:
    """A column ready for COPY, and by row why a value is refused (its place is then NULL)."""

    array: Any
    faults: dict[int, str]


def ids(array: Any, name: str) -> Values:
    """Return ids as text: 42 and 42.0 are '42', a UUID is its text; none may be missing.

    Untyped text (CSV) that ends in '.0' after digits only is a number too: pandas writes it so.
    """
    types, kind = pa.types, array.type
    if types.is_floating(kind):
        return _float_ids(array, name)
    if types.is_fixed_size_binary(kind) and kind.byte_width == 16:
        found = Values(_each(array, lambda value: str(UUID(bytes=value))), {})
    elif types.is_decimal(kind):
        found = Values(pc.replace_substring_regex(_text(array), r"\.0+$", ""), {})
    elif types.is_integer(kind) or types.is_null(kind):
        found = Values(_text(array), {})
    else:
        found = texts(array, name)
        if types.is_binary(kind):
            found = Values(_without_fraction(found.array), found.faults)
    missing = pc.equal(pc.fill_null(found.array, ""), "")
    return Values(found.array, _faults(missing, lambda _: f"{name} is missing") | found.faults)


def _float_ids(array: Any, name: str) -> Values:
    array = array.cast(pa.float64())
    numbers = _numpy(array.fill_null(math.nan))
    missing = np.isnan(numbers)
    with np.errstate(invalid="ignore"):
        exact = (np.abs(numbers) < _LARGEST_EXACT) & (np.floor(numbers) == numbers)
    whole = pa.array(np.where(exact, numbers, 0).astype(np.int64), mask=~exact)
    faults = _faults(missing, lambda _: f"{name} is missing")
    faults |= _faults(
        ~exact & ~missing,
        lambda row: f"{name} is {numbers[row]}, expected text or a whole number below 2^53",
    )
    return Values(whole.cast(pa.string()), faults)


def _without_fraction(array: Any) -> Any:
    if not pc.any(pc.ends_with(array, ".0")).as_py():
        return array
    return pc.replace_substring_regex(array, r"^(-?[0-9]+)\.0$", r"\1")


def texts(array: Any, name: str, default: str | None = None) -> Values:
    """Return text; an empty value becomes `default`."""
    types, kind = pa.types, array.type
    faults: dict[int, str] = {}
    if types.is_binary(kind) or types.is_large_binary(kind):
        array, faults = _decoded(array, name)
    elif not (_is_text(kind) or types.is_null(kind) or types.is_primitive(kind)):
        raise _wrong_type(name, kind, "text")
    array = _text(array)
    with_nul = pc.match_substring(array, "\0").fill_null(False)
    faults |= _faults(with_nul, lambda _: f"{name} has a NUL character, which PostgreSQL refuses")
    empty = pc.equal(array.fill_null(""), "")
    return Values(pc.if_else(empty, pa.scalar(default, pa.string()), array), faults)


def _decoded(array: Any, name: str) -> tuple[Any, dict[int, str]]:
    try:
        return array.cast(pa.string()), {}
    except pa.ArrowInvalid:
        return _one_by_one(array, lambda value: str(value, "utf-8"), name, "UTF-8", pa.string())


def weights(array: Any, name: str) -> Values:
    """Return finite numbers above 0, as the table holds them (float4); an empty value is 1."""
    numbers, faults = _numbers(array, name)
    wide = _numpy(numbers.fill_null(1.0))
    with np.errstate(over="ignore"):
        narrow = wide.astype(np.float32)
    good = np.isfinite(narrow) & (narrow > 0)
    faults |= _faults(~good, lambda row: f"{name} is {wide[row]:g}, expected a finite number > 0")
    return Values(pa.array(narrow), faults)


def _numbers(array: Any, name: str) -> tuple[Any, dict[int, str]]:
    types, kind = pa.types, array.type
    if types.is_integer(kind) or types.is_floating(kind) or types.is_null(kind):
        return array.cast(pa.float64(), safe=False), {}
    if types.is_decimal(kind):
        return array.cast(pa.float64()), {}
    if not _is_text(kind):
        raise _wrong_type(name, kind, "a number")
    text = texts(array, name)
    try:
        return text.array.cast(pa.float64()), text.faults
    except pa.ArrowInvalid:
        found, faults = _one_by_one(text.array, float, name, "a number", pa.float64())
        return found, faults | text.faults


def times(array: Any, name: str) -> Values:
    """Return times: timestamps, dates, ISO 8601 text, or seconds since 1970 (unix time).

    A time without a zone is UTC. None may be missing: an invented time would mislead the decay.
    """
    types, kind = pa.types, array.type
    if types.is_timestamp(kind) or types.is_date(kind):
        found = Values(_as_utc(array), {})
    elif types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        found = _from_seconds(array.cast(pa.float64(), safe=False), name)
    elif _is_text(kind) or types.is_null(kind):
        found = _from_text(texts(array, name).array, name)
    else:
        raise _wrong_type(name, kind, "a time")
    missing = found.array.is_null()
    return Values(found.array, _faults(missing, lambda _: f"{name} is missing") | found.faults)


def _as_utc(array: Any) -> Any:
    if pa.types.is_timestamp(array.type) and array.type.tz is not None:
        return array.cast(_TIME, safe=False)
    return array.cast(pa.timestamp("us"), safe=False).cast(_TIME)


def _from_seconds(array: Any, name: str) -> Values:
    seconds = _numpy(array.fill_null(math.nan))
    missing = np.isnan(seconds)
    good = np.abs(seconds) <= _LAST_SECOND
    micros = np.round(np.where(good, seconds, 0) * 1e6).astype(np.int64)
    faults = _faults(
        ~good & ~missing,
        lambda row: f"{name} is {seconds[row]:.0f}, expected {_SECONDS}",
    )
    return Values(pa.array(micros, mask=~good).cast(_TIME), faults)


def _from_text(array: Any, name: str) -> Values:
    for read in (_naive_times, _zoned_times):
        try:
            return Values(read(array), {})
        except pa.ArrowInvalid:
            continue
    try:
        return _from_seconds(array.cast(pa.float64()), name)
    except pa.ArrowInvalid:  # formats mixed, or a value wrong
        return Values(*_one_by_one(array, _time, name, f"ISO 8601 or {_SECONDS}", _TIME))


def _naive_times(array: Any) -> Any:
    return array.cast(pa.timestamp("us")).cast(_TIME)


def _zoned_times(array: Any) -> Any:
    return array.cast(_TIME)


def _time(text: str) -> datetime:
    try:
        seconds = float(text)
    except ValueError:
        found = datetime.fromisoformat(text.strip())
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    if not abs(seconds) <= _LAST_SECOND:
        raise ValueError(text)
    return datetime.fromtimestamp(seconds, UTC)


def booleans(array: Any, name: str) -> Values:
    """Return booleans, of true/false, yes/no, on/off, t/f, y/n, 1/0 too; an empty value is true."""
    if pa.types.is_boolean(array.type):
        return Values(array.fill_null(True), {})
    text = texts(array, name, "true")
    words = pc.replace_substring_regex(pc.utf8_lower(text.array), r"\.0$", "")
    true = pc.is_in(words, pa.array(_TRUE))
    wrong = pc.invert(pc.or_(true, pc.is_in(words, pa.array(_FALSE))))
    faults = _faults(
        wrong, lambda row: f"{name} is {_show(text.array[row].as_py())}, expected true or false"
    )
    return Values(true, faults | text.faults)


def documents(values: Iterable[Any], name: str) -> tuple[list[dict[str, Any]], dict[int, str]]:
    """Return JSON objects, from text or from nested values; an empty value is {}."""
    found, faults = [], {}
    for row, value in enumerate(values):
        try:
            found.append(_document(value))
        except (ValueError, TypeError, RecursionError):
            faults[row] = f"{name} is {_show(value)}, expected a JSON object"
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
            faults[row] = f"{name} is {_show(value)}, expected no NaN or infinity"
            text = None
        if text is not None and r"\u0000" in text:
            faults[row] = f"{name} has a NUL character, which PostgreSQL refuses"
        found.append(text)
    return Values(pa.array(found, pa.string()), faults)


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
    except (ValueError, TypeError):
        return nothing, f"is {_show(value)}, expected a list of numbers"
    if vector.ndim != 1 or not 1 <= len(vector) <= 16_000:
        return nothing, f"is {_show(value)}, expected a list of 1 to 16000 numbers"
    if dimension is not None and len(vector) != dimension:
        return nothing, f"has {len(vector)} dimensions, expected {dimension} as in earlier rows"
    if not np.isfinite(vector).all():
        return nothing, f"is {_show(value)}, expected finite numbers"
    if not vector.any():
        return nothing, f"is {_show(value)}, expected a norm above 0"
    return vector, ""


def _vector_bytes(vector: Any) -> bytes:
    header = len(vector).to_bytes(2, "big") + b"\0\0"
    return header + bytes(vector.astype(">f4").tobytes())


def _one_by_one(
    array: Any, read: Callable[[Any], Any], name: str, expected: str, kind: Any
) -> tuple[Any, dict[int, str]]:
    """Read value by value, where a whole column cannot be: slow, and it finds the culprits."""
    found, faults = [], {}
    for row, value in enumerate(array.to_pylist()):
        try:
            found.append(None if value is None or value in ("", b"") else read(value))
        except (ValueError, OverflowError, OSError):
            faults[row] = f"{name} is {_show(value)}, expected {expected}"
            found.append(None)
    return pa.array(found, kind), faults


def _faults(mask: Any, explain: Callable[[int], str]) -> dict[int, str]:
    rows = np.flatnonzero(mask if isinstance(mask, np.ndarray) else _numpy(mask))
    return {int(row): explain(int(row)) for row in rows}


def _text(array: Any) -> Any:
    return array if array.type == pa.string() else array.cast(pa.string())


def _each(array: Any, read: Callable[[Any], str]) -> Any:
    found = [None if value is None else read(value) for value in array.to_pylist()]
    return pa.array(found, pa.string())


def _numpy(array: Any) -> Any:
    return array.to_numpy(zero_copy_only=False)


def _is_text(kind: Any) -> bool:
    types = pa.types
    text = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    return bool(text or types.is_binary(kind) or types.is_large_binary(kind))


def _show(value: Any) -> str:
    text = repr(value.tolist() if isinstance(value, np.ndarray) else value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 2] + ".."


def _wrong_type(name: str, kind: Any, expected: str) -> BadInput:
    return BadInput(
        f"{name} comes from a column of type {kind}, expected {expected}",
        hint=f"name another column for it, or convert this one: --map {name}=COLUMN",
    )
