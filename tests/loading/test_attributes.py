"""Attributes and vectors: of every type, and JSON that PostgreSQL cannot take."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest
from pyarrow import parquet
from sqlalchemy import Connection

from recs.errors import BadInput
from recs.loading import load_items

VECTORS = "SELECT attributes, content_vector::text FROM recs.items"
ATTRIBUTES = "SELECT attributes FROM recs.items ORDER BY item_id"


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (pa.array([[1, 2], [3]]), [[1, 2], [3]]),
        (pa.array([[1], [3]]), [[1], [3]]),
        (pa.array([[1.5], None]), [[1.5], ...]),
        (pa.array([[1, 2], [3, 4]], pa.list_(pa.int8(), 2)), [[1, 2], [3, 4]]),
        (pa.array([b"red", "grün".encode()]), ["red", "grün"]),
        (pa.array([[b"red"], [b"x"]]), [["red"], ["x"]]),
        (pa.array([Decimal("9.99"), Decimal("2.00")]), [9.99, 2]),
        (pa.array([Decimal(10**30), None]), [10**30, ...]),
        (pa.array([Decimal(2**60 + 1), None]), [2**60 + 1, ...]),
        (pa.array([{"a": Decimal("0.5"), "b": b"x"}] * 2), [{"a": 0.5, "b": "x"}] * 2),
        (pa.array([True, False]), [True, False]),
        (pa.array([date(2024, 1, 5)] * 2), ["2024-01-05"] * 2),
        (pa.array([UUID(int=7).bytes] * 2, pa.uuid()), [str(UUID(int=7))] * 2),
        (pa.array(["a", "b"]).dictionary_encode(), ["a", "b"]),
    ],
    ids=lambda value: str(getattr(value, "type", "")),
)
def test_parquet_columns_become_the_json_that_they_are(
    connection: Connection, tmp_path: Any, rows: Any, array: Any, expected: list[Any]
) -> None:
    parquet.write_table(pa.table({"item_id": ["a", "b"], "x": array}), tmp_path / "a.parquet")
    load_items(connection, tmp_path / "a.parquet", attributes=["x"])
    assert [row[0].get("x", ...) for row in rows(ATTRIBUTES)] == expected


@pytest.mark.parametrize("empty", ["[]", "{}", "null", '""', '"[]"'])
def test_an_empty_list_is_no_attributes(
    connection: Connection, write: Any, rows: Any, empty: str
) -> None:
    path = write("a.jsonl", f'{{"item_id": "a", "attributes": {empty}}}\n')
    load_items(connection, path)
    assert rows(ATTRIBUTES) == [({},)]


def test_a_map_becomes_a_json_object(connection: Connection, tmp_path: Any, rows: Any) -> None:
    kind = pa.map_(pa.string(), pa.int64())
    table = pa.table({"item_id": ["a", "b"], "attributes": pa.array([[("x", 1)], []], kind)})
    parquet.write_table(table, tmp_path / "a.parquet")
    load_items(connection, tmp_path / "a.parquet")
    assert rows(ATTRIBUTES) == [({"x": 1},), ({},)]


def test_bytes_that_are_no_text_are_a_bad_row(connection: Connection, tmp_path: Any) -> None:
    table = pa.table({"item_id": ["a", "b"], "colour": [b"red", b"\xff"]})
    parquet.write_table(table, tmp_path / "a.parquet")
    (tmp_path / "a.csv").write_bytes(b"item_id,colour\na,red\nb,\xff\n")
    for name, place in (("a.parquet", "row 2"), ("a.csv", "line 3")):
        with pytest.raises(BadInput, match=rf"{place}: attributes .*\\xff.*expected UTF-8"):
            load_items(connection, tmp_path / name, attributes=["colour"])
        assert (
            load_items(connection, tmp_path / name, attributes=["colour"], on_error="skip").rejected
            == 1
        )


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        (r'{"a": "\ud800"}', "half a surrogate pair"),
        (r'{"\udc00": 1}', "half a surrogate pair"),
        (r'{"a": "\u0000"}', "NUL"),
        ('{"a":' * 100_000, "expected a JSON object"),
    ],
)
def test_json_in_a_cell_that_postgresql_refuses_is_a_bad_row(
    connection: Connection, write: Any, rows: Any, cell: str, reason: str
) -> None:
    quoted = cell.replace('"', '""')
    path = write("a.csv", f'item_id,attributes\na,"{quoted}"\nb,"{{""x"": ""\U0001f600""}}"\n')
    with pytest.raises(BadInput, match=f"line 2: attributes .*{reason}"):
        load_items(connection, path)
    assert load_items(connection, path, on_error="skip").rejected == 1
    assert rows(ATTRIBUTES) == [({"x": "\U0001f600"},)]


def test_a_backslash_and_u0000_are_text_where_the_backslash_is_one(
    connection: Connection, write: Any, rows: Any
) -> None:
    lines = [r'{"item_id": "a", "attributes": {"x": "\\u0000", "y": "\\\\u0000"}}',
             r'{"item_id": "b", "attributes": {"x": "\\\u0000"}}']  # fmt: skip
    path = write("a.jsonl", "\n".join(lines))
    with pytest.raises(BadInput, match="line 2: attributes has a NUL"):
        load_items(connection, path)
    load_items(connection, path, on_error="skip")
    assert rows(ATTRIBUTES) == [({"x": r"\u0000", "y": r"\\u0000"},)]


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
def test_an_empty_text_is_no_attribute(
    connection: Connection, tmp_path: Any, rows: Any, kind: str
) -> None:
    table = pa.table({"item_id": ["a", "b"], "x": ["red", ""], "y": ["", None]})
    path = tmp_path / f"a.{kind}"
    if kind == "parquet":
        parquet.write_table(table, path)
    elif kind == "csv":
        path.write_text("item_id,x,y\na,red,\nb,,\n")
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    load_items(connection, path, attributes=["x", "y"])
    assert rows(ATTRIBUTES) == [({"x": "red"},), ({},)]


def test_attributes_that_are_columns_of_the_file_replace_their_like_and_no_others(
    connection: Connection, write: Any, rows: Any
) -> None:
    old = '{"price": 2, "colour": "red", "tags": ["gift"], "note": null}'
    path = write("a.jsonl", "".join(f'{{"item_id": "{i}", "attributes": {old}}}\n' for i in "ab"))
    load_items(connection, path)
    load_items(connection, write("a.csv", "item_id,price,colour\na,3.5,\nc,7,blue\n"),
               attributes=["price", "colour"])  # fmt: skip
    assert rows(ATTRIBUTES) == [
        ({"price": 3.5, "tags": ["gift"], "note": None},),
        (json.loads(old),),
        ({"price": 7, "colour": "blue"},),
    ]


def test_a_column_attributes_is_all_that_there_is_of_them(
    connection: Connection, write: Any, rows: Any
) -> None:
    load_items(connection, write("a.jsonl", '{"item_id": "a", "attributes": {"x": 1, "y": 2}}\n'))
    path = write("b.jsonl", '{"item_id": "a", "attributes": {"y": 3}, "z": 4}\n')
    load_items(connection, path, attributes=["z"])
    assert rows(ATTRIBUTES) == [({"y": 3, "z": 4},)]


@pytest.mark.parametrize("depth", range(940, 1000, 3))
def test_attributes_nested_very_deep_load_or_are_a_bad_row(
    connection: Connection, write: Any, rows: Any, depth: int
) -> None:
    nested = '{"a":' * depth + "1" + "}" * depth
    lines = f'{{"item_id": "a", "attributes": {nested}}}\n{{"item_id": "b"}}\n'
    report = load_items(connection, write("a.jsonl", lines), on_error="skip")
    assert report.rows + report.rejected == 2
    for line in report.rejects.read_text().splitlines() if report.rejects else ():
        json.loads(line)


def test_a_vector_of_brackets_only_is_a_bad_row(connection: Connection, write: Any) -> None:
    path = write("a.csv", f'item_id,content_vector\na,"[1,2]"\nb,{"[" * 100_000}\n')
    with pytest.raises(BadInput, match=r"line 3: content_vector is .* expected a list of numbers"):
        load_items(connection, path)
    assert load_items(connection, path, on_error="skip").rejected == 1


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
def test_a_vector_column_is_an_attribute_too(
    connection: Connection, tmp_path: Any, rows: Any, kind: str
) -> None:
    path = tmp_path / f"a.{kind}"
    if kind == "parquet":
        table = pa.table({"item_id": ["a", "b"], "content_vector": [[1.0, 2.0], [3.0, 4.0]]})
        parquet.write_table(table, path)
    elif kind == "csv":
        path.write_text('item_id,content_vector\na,"[1.0, 2.0]"\nb,"[3.0, 4.0]"\n')
    else:
        path.write_text('{"item_id": "a", "content_vector": [1.0, 2.0]}\n')
    load_items(connection, path, attributes=["content_vector"])
    (found, vector) = rows(f"{VECTORS} ORDER BY item_id")[0]
    expected = "[1.0, 2.0]" if kind == "csv" else [1.0, 2.0]
    assert (found, vector) == ({"content_vector": expected}, "[1,2]")
