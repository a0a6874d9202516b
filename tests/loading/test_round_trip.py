"""The same rows load alike from CSV, Parquet and JSON Lines."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import csv, parquet
from sqlalchemy import Connection, text

from recs.errors import BadInput
from recs.loading import load_interactions, load_items
from recs.loading.targets import Interactions

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
# '1.0' is the one text that CSV cannot tell from a number
IDS = TEXT.map(str.strip).filter(lambda value: value != "" and not value.endswith(".0"))
TIMES = st.integers(0, 4_000_000_000_000_000).map(
    lambda micros: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
)
ROW = st.fixed_dictionaries(
    {
        "user_id": st.one_of(st.just("u"), IDS),
        "item_id": IDS,
        "interaction_type": TEXT,
        "weight": st.floats(2**-20, 2**20, width=32),
        "occurred_at": TIMES,
    }
)
ALL = text(
    "SELECT user_id, item_id, interaction_type, weight::float8, occurred_at FROM recs.interactions"
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=st.lists(ROW, min_size=1, max_size=30))
def test_a_table_loads_alike_from_every_kind_of_file(
    connection: Connection, tmp_path: Path, rows: list[dict[str, Any]]
) -> None:
    ids = list({row["item_id"] for row in rows})
    expected = sorted(
        (r["user_id"], r["item_id"], r["interaction_type"] or "interaction", r["weight"],
         r["occurred_at"]) for r in rows
    )  # fmt: skip
    for path in _write_all(tmp_path, rows):
        with connection.begin_nested() as savepoint:
            connection.execute(
                text("INSERT INTO recs.items (item_id) SELECT unnest(CAST(:ids AS text[]))"),
                {"ids": ids},
            )
            load_interactions(connection, path)
            assert sorted(tuple(row) for row in connection.execute(ALL)) == expected, path.name
            savepoint.rollback()


def _write_all(folder: Path, rows: list[dict[str, Any]]) -> list[Path]:
    paths = [folder / f"a.{kind}" for kind in ("parquet", "csv", "jsonl")]
    table = pa.Table.from_pylist(rows)
    parquet.write_table(table, paths[0])
    csv.write_csv(table, paths[1])
    texts = [row | {"occurred_at": row["occurred_at"].isoformat()} for row in rows]
    paths[2].write_text("".join(json.dumps(row) + "\n" for row in texts))
    return paths


UUID = uuid4()


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (pa.array([42, -1]), ["-1", "42"]),
        (pa.array([17850.0, 3.0]), ["17850", "3"]),
        (pa.array([2**63 - 1], pa.uint64()), [str(2**63 - 1)]),
        (pa.array(["007", "a b"]), ["007", "a b"]),
        (pa.array(["x", "y"]).dictionary_encode(), ["x", "y"]),
        (pa.array(["x"], pa.large_string()), ["x"]),
        (pa.array(["x"], pa.string_view()), ["x"]),
        (pa.array([b"x"], pa.large_binary()), ["x"]),
        (pa.array([b"x"], pa.binary_view()), ["x"]),
        (pa.array([UUID.bytes], pa.binary(16)), [str(UUID)]),
        (pa.array([UUID.bytes], pa.uuid()), [str(UUID)]),
        (pa.array([7], pa.decimal128(9, 2)), ["7"]),
    ],
    ids=lambda value: str(getattr(value, "type", "")),
)
def test_ids_of_any_type_become_text(
    connection: Connection, tmp_path: Path, rows: Any, array: Any, expected: list[str]
) -> None:
    parquet.write_table(pa.table({"item_id": array}), tmp_path / "a.parquet")
    load_items(connection, tmp_path / "a.parquet")
    assert [row[0] for row in rows("SELECT item_id FROM recs.items ORDER BY 1")] == expected


@pytest.mark.parametrize(
    "array",
    [
        pa.array([True, False]),
        pa.array([1, 2], pa.timestamp("us")),
        pa.array([1, 2], pa.date32()),
        pa.array([[1], [2]], pa.list_(pa.field("element", pa.int64()))),
    ],
    ids=lambda array: str(array.type),
)
def test_a_column_of_a_type_that_no_key_has_is_refused_as_ids(
    connection: Connection, tmp_path: Path, array: Any
) -> None:
    parquet.write_table(pa.table({"item_id": array}), tmp_path / "a.parquet")
    said = f"item_id comes from a column of type {array.type}, expected text or a whole number"
    with pytest.raises(BadInput, match=re.escape(said)) as caught:
        load_items(connection, tmp_path / "a.parquet")
    assert "convert this one" in str(caught.value.hint)


def test_a_decimal_with_a_fraction_is_no_id(connection: Connection, tmp_path: Path) -> None:
    array = pa.array([Decimal("7.00"), Decimal("7.50")])
    parquet.write_table(pa.table({"item_id": array}), tmp_path / "a.parquet")
    with pytest.raises(BadInput, match=r"row 2: item_id is 7\.50, expected text or a whole number"):
        load_items(connection, tmp_path / "a.parquet")


def test_ids_of_bytes_that_are_no_uuid_are_refused(connection: Connection, tmp_path: Path) -> None:
    table = pa.table({"item_id": pa.array([b"12345678"], pa.binary(8))})
    parquet.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(BadInput, match=r"item_id comes from a column of type fixed_size_binary"):
        load_items(connection, tmp_path / "a.parquet")


def test_a_text_that_a_file_calls_text_stays_as_it_is(
    connection: Connection, tmp_path: Path, rows: Any
) -> None:
    parquet.write_table(pa.table({"item_id": ["42.0", "42"]}), tmp_path / "a.parquet")
    (tmp_path / "a.jsonl").write_text('{"item_id": "7.0"}\n{"item_id": "7"}\n')
    for name in ("a.parquet", "a.jsonl"):
        load_items(connection, tmp_path / name)
    found = [row[0] for row in rows("SELECT item_id FROM recs.items ORDER BY 1")]
    assert found == ["42", "42.0", "7", "7.0"]


def test_an_id_that_a_float_may_have_lost_digits_of_is_a_bad_row(
    connection: Connection, tmp_path: Path, rows: Any
) -> None:
    table = pa.table({"item_id": [2.0**53 - 1, 2.0**53, -(2.0**53), 1.5]})
    parquet.write_table(table, tmp_path / "a.parquet")
    report = load_items(connection, tmp_path / "a.parquet", on_error="skip")
    assert (report.rows, report.rejected) == (1, 3)
    assert rows("SELECT item_id FROM recs.items") == [(str(2**53 - 1),)]


def test_float_ids_in_csv_and_json_lines_are_whole_numbers(
    connection: Connection, tmp_path: Path, rows: Any
) -> None:
    (tmp_path / "a.csv").write_text("item_id\n17850.0\n1.0.0\nv2.0\n")
    (tmp_path / "a.jsonl").write_text('{"item_id": 3.0}\n{"item_id": "x"}\n{"item_id": 12}\n')
    for name in ("a.csv", "a.jsonl"):
        load_items(connection, tmp_path / name)
    found = [row[0] for row in rows("SELECT item_id FROM recs.items ORDER BY 1")]
    assert found == ["1.0.0", "12", "17850", "3", "v2.0", "x"]


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
def test_a_text_of_three_megabytes_loads(
    connection: Connection, tmp_path: Path, rows: Any, kind: str
) -> None:
    titles = ["a" * 3_000_000, "b", "c" * 3_000_000]
    table = pa.table({"item_id": ["1", "2", "3"], "title": titles})
    path = tmp_path / f"a.{kind}"
    if kind == "parquet":
        parquet.write_table(table, path)
    elif kind == "csv":
        csv.write_csv(table, path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    load_items(connection, path)
    assert rows("SELECT title FROM recs.items ORDER BY item_id") == [(title,) for title in titles]


def test_many_batches_hold_all_rows_once(
    catalog: Connection, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(Interactions, "batch_rows", 700)
    monkeypatch.setattr("recs.loading.csv_files._BLOCK", 10_000)
    users = np.random.default_rng(0).permutation(20_000)
    table = pa.table({"user_id": users, "item_id": users % 3 + 1})
    parquet.write_table(table, tmp_path / "a.parquet", row_group_size=3_000)
    csv.write_csv(table, tmp_path / "a.csv")
    for name in ("a.parquet", "a.csv"):
        load_interactions(catalog, tmp_path / name)
    counts = catalog.execute(
        text("SELECT count(*), count(DISTINCT user_id), sum(user_id::int) FROM recs.interactions")
    ).one()
    assert tuple(counts) == (40_000, 20_000, 20_000 * 19_999)
