"""Columns of a file into times."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from recs.loading import values
from recs.loading.columns import Values, faults_of, is_text, numpy_of, one_by_one, wrong_type

_TIME = pa.timestamp("us", tz="UTC")
_LAST_SECOND = 253_402_300_799  # of the year 9999
_SECONDS = "seconds since 1970 (not milliseconds)"


def times(array: Any, name: str) -> Values:
    """Return times: timestamps, dates, ISO 8601 text, or seconds since 1970 (unix time).

    A time without a zone is UTC. None may be missing: an invented time would mislead the decay.
    """
    types, kind = pa.types, array.type
    if types.is_timestamp(kind) or types.is_date(kind):
        found = Values(_as_utc(array), {})
    elif types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        found = _from_seconds(array.cast(pa.float64(), safe=False), name)
    elif is_text(kind) or types.is_null(kind):
        found = _from_text(values.texts(array, name).array, name)
    else:
        raise wrong_type(name, kind, "a time")
    missing = found.array.is_null()
    return Values(found.array, faults_of(missing, lambda _: f"{name} is missing") | found.faults)


def _as_utc(array: Any) -> Any:
    if pa.types.is_timestamp(array.type) and array.type.tz is not None:
        return array.cast(_TIME, safe=False)
    return array.cast(pa.timestamp("us"), safe=False).cast(_TIME)


def _from_seconds(array: Any, name: str) -> Values:
    seconds = numpy_of(array.fill_null(math.nan))
    missing = np.isnan(seconds)
    good = np.abs(seconds) <= _LAST_SECOND
    micros = np.round(np.where(good, seconds, 0) * 1e6).astype(np.int64)
    faults = faults_of(
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
        return Values(*one_by_one(array, _time, name, f"ISO 8601 or {_SECONDS}", _TIME))


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
