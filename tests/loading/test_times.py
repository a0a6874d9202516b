"""Times: compact dates, and the years that a time may be in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pyarrow import parquet
from sqlalchemy import Connection

from recs.errors import BadInput
from recs.loading import load_interactions
from recs.loading.times import times

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIFTH = datetime(2024, 1, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    "array",
    [
        pa.array(["20240105"]),
        pa.array([b"20240105", b"20240105.0"]),
        pa.array(["20240105", "2024-01-05T00:00Z"]),
        pa.array([20240105]),
        pa.array([20240105], pa.int32()),
        pa.array([20240105.0, None]),
        pa.array([20240105], pa.decimal128(9, 0)),
    ],
    ids=str,
)
def test_eight_digits_are_a_date(array: Any) -> None:
    assert times(array, "t").array.drop_null().unique().to_pylist() == [FIFTH]


@pytest.mark.parametrize(
    "array",
    [["20240230"], ["20240230", "2024-01-01"], [20241301], [20240105.5], [20240001], [20240100]],
)
def test_eight_digits_that_are_no_day_of_the_calendar_are_a_fault(array: Any) -> None:
    found = times(pa.array(array), "t")
    assert list(found.faults) == [0]
    assert str(array[0]) in found.faults[0]
    assert found.array[0].as_py() is None


@given(st.dates(datetime(1900, 1, 1).date(), datetime(2100, 12, 31).date()))
@example(datetime(1900, 1, 1).date())
@example(datetime(2100, 12, 31).date())
def test_every_compact_date_is_read_as_iso_8601_reads_it(date: Any) -> None:
    compact, plain = pa.array([int(date.strftime("%Y%m%d"))]), pa.array([date.isoformat()])
    assert times(compact, "t").array == times(plain, "t").array


@pytest.mark.parametrize("kind", [pa.date32(), pa.date64()], ids=str)
def test_a_day_is_the_time_it_begins_at_in_utc(kind: Any) -> None:
    found = times(pa.array([FIFTH.date()], kind), "t")
    assert (found.faults, found.array.to_pylist()) == ({}, [FIFTH])


def test_blanks_around_a_time_do_no_harm() -> None:
    array = pa.array([" 2024-01-05", "2024-01-05T00:00:00Z ", " 20240105 ", "1704412800\t"])
    found = times(array, "t")
    assert found.faults == {}
    assert found.array.unique().to_pylist() == [FIFTH]


@given(st.integers(21_001_232 * 10**6, 2**31 * 10**6))
def test_fractions_of_seconds_are_read_to_the_microsecond(micros: int) -> None:
    seconds, expected = micros / 1e6, EPOCH + timedelta(microseconds=micros)
    for array in ([seconds], [repr(seconds)], [repr(seconds), "2024-01-05"]):
        assert times(pa.array(array), "t").array[0].as_py() == expected


def test_a_time_that_is_no_text_is_a_fault_by_what_is_wrong_with_it() -> None:
    found = times(pa.array([b"2024-01-05\0", b"2024\xff", b"", b"2024-01-05"]), "t")
    assert list(map(found.faults.get, range(4))) == [
        "t has a NUL character, which PostgreSQL refuses",
        r"t is b'2024\xff', expected UTF-8",
        "t is missing",
        None,
    ]


@pytest.mark.parametrize("seconds", [0, 19_000_100, 21_001_232, 1_577_836_800])
def test_other_whole_numbers_are_seconds(seconds: int) -> None:
    assert times(pa.array([seconds]), "t").array[0].as_py() == EPOCH + timedelta(seconds=seconds)


OUTSIDE = [
    pa.array([0, -253402300799]),
    pa.array([0, 253402300800]),
    pa.array([0, 10**13], pa.timestamp("s")),
    pa.array([0, 253402300800], pa.timestamp("s")),
    pa.array([0, -62135596801], pa.timestamp("s", "UTC")),
    pa.array([0, 2932897], pa.int32()).cast(pa.date32()),
    pa.array([0, 10**16], pa.timestamp("ms")),
    pa.array([0, 10**18], pa.timestamp("us", "UTC")),
    pa.array([0, -(10**13)], pa.timestamp("s", "Asia/Tokyo")),
    pa.array([0, 2**31 - 1], pa.int32()).cast(pa.date32()),
    pa.array([0, -(2**31)], pa.int32()).cast(pa.date32()),
    pa.array([0, 86_400_000 * 10**8], pa.int64()).cast(pa.date64()),
    pa.array(["1970-01-01", "0001-01-01T00:00:00+10:00"]),
    pa.array(["1970-01-01T00:00Z", "0001-01-01T00:00:00+10:00"]),
    pa.array(["1970-01-01T00:00Z", "9999-12-31T23:00:00-10:00"]),
    pa.array(["1970-01-01", "0000-12-31"]),
    pa.array(["0", "-253402300799"]),
    pa.array(["1970-01-01", "-253402300799"]),
]


@pytest.mark.parametrize("array", OUTSIDE, ids=lambda array: str(array.type))
def test_a_time_outside_the_years_1_to_9999_is_a_fault(array: Any) -> None:
    found = times(array, "t")
    assert found.array.to_pylist() == [EPOCH, None]
    assert list(found.faults) == [1]
    assert found.faults[1].startswith("t is ")
    assert "expected" in found.faults[1]


@pytest.mark.parametrize(
    "array",
    [
        pa.array([-(2**63) + 1, 2**63 - 1], pa.timestamp("ns")),
        pa.array([-62135596800, 253402300799], pa.timestamp("s", "Asia/Tokyo")),
        pa.array([-719162, 2932896], pa.int32()).cast(pa.date32()),
        pa.array([-62135596800, 253402300799.5]),
        pa.array(["0001-01-01", "9999-12-31T23:59:59.999999"]),
        pa.array(["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"]),
    ],
    ids=lambda array: str(array.type),
)
def test_the_first_and_the_last_time_of_every_type_are_no_fault(array: Any) -> None:
    found = times(array, "t")
    assert found.faults == {}
    assert found.array.null_count == 0


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00", "9999-12-31T23:59:59.999999"])
def test_the_first_and_the_last_moment_load(
    catalog: Connection, write: Any, rows: Any, text: str
) -> None:
    load_interactions(catalog, write("a.csv", f"user_id,item_id,occurred_at\nu,1,{text}\n"))
    moment = "to_char(occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US AD')"
    loaded = rows(f"SELECT {moment} FROM recs.interactions")
    assert loaded[0][0].startswith(text[:19].replace("T", " "))
    assert loaded[0][0].endswith("AD")


@pytest.mark.parametrize("array", [OUTSIDE[2], OUTSIDE[6]], ids=["timestamp", "date"])
def test_skip_leaves_out_the_row_whose_time_is_outside(
    catalog: Connection, tmp_path: Any, rejected: Any, array: Any
) -> None:
    table = pa.table({"user_id": ["u", "v"], "item_id": ["1", "1"], "occurred_at": array})
    parquet.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(BadInput, match="row 2: occurred_at is "):
        load_interactions(catalog, tmp_path / "a.parquet")
    report = load_interactions(catalog, tmp_path / "a.parquet", on_error="skip")
    assert (report.rows, report.rejected) == (1, 1)
    (row,) = rejected(report.rejects)
    assert (row["line"], row["row"]["user_id"]) == (2, "v")


def test_an_underscore_is_no_part_of_a_number(catalog: Connection, write: Any) -> None:
    path = write("a.csv", "user_id,item_id,weight,occurred_at\nu,1,1_000,0\n")
    with pytest.raises(BadInput, match="line 2: weight is '1_000', expected a number"):
        load_interactions(catalog, path)
    path = write("b.csv", "user_id,item_id,weight,occurred_at\nu,1,1,1_577_836_800\n")
    with pytest.raises(BadInput, match="line 2: occurred_at is '1_577_836_800', expected ISO 8601"):
        load_interactions(catalog, path)
