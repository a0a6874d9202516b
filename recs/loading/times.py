"""Columns of a file into times."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recs.loading import values
from recs.loading.columns import (
    Values,
    faults_of,
    is_text,
    number,
    numpy_of,
    one_by_one,
    show,
    wrong_type,
)

_TIME = pa.timestamp("us", tz="UTC")
_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_DAY = 86_400  # seconds
# The seconds that the years 1 to 9999 begin and end with: what PostgreSQL and Python both hold.
_FIRST, _END = -62_135_596_800, 253_402_300_800
_FIRST_COMPACT, _LAST_COMPACT = 19000101, 21001231
_YEARS = "a time in the years 1 to 9999"
_SECONDS = f"seconds since 1970 (not milliseconds), {_YEARS}"


def times(array: Any, name: str) -> Values:
    """Return times: timestamps, dates, ISO 8601 text, or seconds since 1970 (unix time).

    Numbers from 19000101 to 21001231, as text too, are dates YYYYMMDD: as seconds they would all
    be of August 1970. A time without a zone is UTC; years are 1 to 9999. None may be missing: an
    invented time would mislead the decay.
    """
    types, kind = pa.types, array.type
    if types.is_timestamp(kind) or types.is_date(kind):
        found = _from_typed(array, name)
    elif types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        found = _from_numbers(array.cast(pa.float64(), safe=False), name)
    elif is_text(kind) or types.is_null(kind):
        text = values.texts(array, name)
        found = _from_text(text.array, name)
        found = Values(found.array, found.faults | text.faults)
    else:
        raise wrong_type(name, kind, "a time")
    missing = found.array.is_null()
    return Values(found.array, faults_of(missing, lambda _: f"{name} is missing") | found.faults)


def _from_typed(array: Any, name: str) -> Values:
    unit, per_second, counts = _counts(array)
    # before any cast: it would wrap, or refuse the column for one row
    outside = (counts < _FIRST * per_second) | (counts >= _END * per_second)
    faults = faults_of(
        outside, lambda row: f"{name} is {counts[row]} {unit} since 1970, expected {_YEARS}"
    )
    if faults:
        array = pc.if_else(pa.array(outside), pa.scalar(None, array.type), array)
    if pa.types.is_timestamp(array.type) and array.type.tz is not None:
        return Values(array.cast(_TIME, safe=False), faults)
    return Values(array.cast(pa.timestamp("us"), safe=False).cast(_TIME), faults)


def _counts(array: Any) -> tuple[str, int, Any]:
    """Return the unit of a typed column, how many are a second, and the numbers it holds."""
    if pa.types.is_date32(array.type):
        days = numpy_of(array.cast(pa.int32()).fill_null(0))
        return "s", 1, days.astype(np.int64) * _DAY
    unit = "ms" if pa.types.is_date64(array.type) else array.type.unit
    return unit, _PER_SECOND[unit], numpy_of(array.cast(pa.int64()).fill_null(0))


def _from_numbers(array: Any, name: str) -> Values:
    numbers = numpy_of(array.fill_null(math.nan))
    missing = np.isnan(numbers)
    seconds, no_days = _without_compact(numbers)
    good = (seconds >= _FIRST) & (seconds < _END) & ~no_days
    micros = np.round(np.where(good, seconds, 0) * 1e6).astype(np.int64)
    faults = faults_of(
        ~good & ~missing,
        lambda row: (
            f"{name} is {numbers[row]:.15g}, expected"
            f" {'a day of the calendar, YYYYMMDD' if no_days[row] else _SECONDS}"
        ),
    )
    return Values(pa.array(micros, mask=~good).cast(_TIME), faults)


def _without_compact(numbers: Any) -> tuple[Any, Any]:
    """Return numbers with the dates YYYYMMDD as seconds, and where such are no days."""
    compact = (numbers >= _FIRST_COMPACT) & (numbers <= _LAST_COMPACT)
    wrong = np.zeros(len(numbers), bool)
    if not compact.any():
        return numbers, wrong
    whole = numbers[compact].astype(np.int64)
    years, months, days = whole // 10_000, whole // 100 % 100, whole % 100
    starts = ((years - 1970) * 12 + months - 1).astype("M8[M]")
    dates = starts.astype("M8[D]") + (days - 1)
    wrong[compact] = (
        (whole != numbers[compact])
        | (months < 1)
        | (months > 12)
        | (dates.astype("M8[M]") != starts)  # a day that the month has not is of another month
    )
    seconds = numbers.copy()
    seconds[compact] = dates.astype(np.int64) * _DAY
    return seconds, wrong


def _from_text(array: Any, name: str) -> Values:
    for read in (_naive_times, _zoned_times):
        try:
            return _in_years(read(array), array, name)
        except pa.ArrowInvalid:
            continue
    try:
        return _from_numbers(array.cast(pa.float64()), name)
    except pa.ArrowInvalid:  # formats mixed, or a value wrong
        found, faults = one_by_one(array, _time, name, f"ISO 8601 or {_SECONDS}", _TIME)
        return Values(found, faults)


def _naive_times(array: Any) -> Any:
    return array.cast(pa.timestamp("us")).cast(_TIME)


def _zoned_times(array: Any) -> Any:
    return array.cast(_TIME)


def _in_years(found: Any, array: Any, name: str) -> Values:
    micros = numpy_of(found.cast(pa.int64()).fill_null(0))
    outside = (micros < _FIRST * 1_000_000) | (micros >= _END * 1_000_000)
    faults = faults_of(
        outside, lambda row: f"{name} is {show(array[row].as_py())}, expected {_YEARS}"
    )
    if faults:
        found = pc.if_else(pa.array(outside), pa.scalar(None, _TIME), found)
    return Values(found, faults)


def _time(text: str) -> datetime:
    try:
        seconds = number(text)
    except ValueError:
        found = datetime.fromisoformat(text.strip())
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    if _FIRST_COMPACT <= seconds <= _LAST_COMPACT:
        return datetime.fromisoformat(f"{seconds:.15g}").replace(tzinfo=UTC)
    if not _FIRST <= seconds < _END:
        raise ValueError(text)
    return datetime.fromtimestamp(seconds, UTC)
