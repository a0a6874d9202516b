"""Items and users: inserted or updated, by the columns the file has."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from sqlalchemy import Connection, text

from recs.errors import BadInput
from recs.loading import load_items, load_users
from recs.loading.targets import Upserted

ALL = "SELECT item_id, title, attributes, available FROM recs.items ORDER BY 1"


def test_items_that_exist_are_updated_in_the_columns_loaded(
    connection: Connection, write: Any, rows: Any
) -> None:
    load_items(connection, write("a.csv", 'item_id,title,available\na,"A\nb",no\nb,B,\n'))
    load_items(connection, write("b.csv", "item_id,available\na,true\nc,f\n"))
    assert rows(ALL) == [("a", "A\nb", {}, True), ("b", "B", {}, True), ("c", "", {}, False)]


def test_columns_are_collected_into_attributes(
    connection: Connection, write: Any, rows: Any
) -> None:
    path = write(
        "a.csv",
        'sku,price,country,zip,attributes\n1,1.5,FR,007,"{""size"": 2}"\n2,3,,12,\n',
    )
    load_items(connection, path, columns={"item_id": "sku"}, attributes=["price", "country", "zip"])
    assert [row[2] for row in rows(ALL)] == [
        {"size": 2, "price": 1.5, "country": "FR", "zip": "007"},
        {"price": 3, "zip": 12},
    ]


def test_nested_attributes_are_kept(connection: Connection, tmp_path: Any, rows: Any) -> None:
    value = {"tags": ["x", "y"], "size": {"w": 1}}
    parquet.write_table(pa.table({"item_id": ["p"], "attributes": [value]}), tmp_path / "a.parquet")
    (tmp_path / "a.jsonl").write_text(json.dumps({"item_id": "q", "attributes": value}))
    for name in ("a.parquet", "a.jsonl"):
        load_items(connection, tmp_path / name)
    assert [row[2] for row in rows(ALL)] == [value, value]


BAD_ITEMS = [
    ({"item_id": None}, "item_id is missing"),
    ({"item_id": ""}, "item_id is missing"),
    ({"item_id": "first"}, "item_id 'first' is in the file a second time"),
    ({"attributes": "[1]"}, "attributes is '[1]', expected a JSON object"),
    ({"attributes": ["ab"]}, "attributes is ['ab'], expected a JSON object"),
    ({"attributes": {"x": float("nan")}}, "expected no NaN or infinity"),
    ({"attributes": {"x": "\0"}}, "NUL"),
    ({"available": "perhaps"}, "available is 'perhaps', expected true or false"),
    ({"content_vector": [1, 2, 3]}, "content_vector has 3 dimensions, expected 2 as in earlier"),
    ({"content_vector": [0, 0]}, "content_vector is [0, 0], expected a norm above 0"),
    ({"content_vector": [1, float("nan")]}, "content_vector is [1, nan], expected finite numbers"),
    ({"content_vector": [1, 1e39]}, "expected finite numbers"),
    ({"content_vector": "[1, x]"}, "content_vector is '[1, x]', expected a list of numbers"),
    ({"content_vector": {"x": 1}}, "content_vector is {'x': 1}, expected a list of numbers"),
    ({"content_vector": []}, "expected a list of 1 to 16000 numbers"),
    ({"title": "\ud800"}, "not JSON: 'utf-8' codec can't encode"),
]


@pytest.mark.parametrize(("item", "reason"), BAD_ITEMS, ids=[reason for _, reason in BAD_ITEMS])
def test_a_bad_item_is_named_and_nothing_is_loaded(
    connection: Connection, write: Any, rows: Any, rejected: Any, item: Any, reason: str
) -> None:
    good = {"item_id": "first", "content_vector": [1, 2], "available": True, "attributes": {}}
    lines = [good, {**good, "item_id": "second", "content_vector": "[3,4]"} | item]
    path = write("a.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(BadInput) as caught:
        load_items(connection, path)
    assert "line 2: " in caught.value.message
    assert reason in caught.value.message
    assert rows(ALL) == []
    report = load_items(connection, path, on_error="skip")
    assert (report.rows, report.rejected) == (1, 1)
    assert [reject["line"] for reject in rejected(report.rejects)] == [2]


def test_a_duplicate_in_a_later_batch_is_found(
    connection: Connection, write: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(Upserted, "batch_rows", 2)
    lines = "".join(json.dumps({"item_id": n % 5}) + "\n" for n in range(6))
    with pytest.raises(BadInput, match="line 6: item_id '0' is in the file a second time"):
        load_items(connection, write("a.jsonl", lines))


@pytest.mark.parametrize("kind", [pa.float32(), pa.float64(), pa.float16()])
def test_vectors_load_from_lists_of_any_float(
    connection: Connection, tmp_path: Any, rows: Any, kind: Any
) -> None:
    vectors = np.random.default_rng(1).integers(-9, 9, (5, 4)).astype(float)
    vectors[0] = 1
    table = pa.table(
        {"item_id": list(range(5)), "content_vector": pa.array(list(vectors), pa.list_(kind))}
    )
    parquet.write_table(table, tmp_path / "a.parquet")
    load_items(connection, tmp_path / "a.parquet")
    found = rows("SELECT content_vector::text FROM recs.items ORDER BY item_id")
    assert [json.loads(row[0]) for row in found] == vectors.tolist()


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary()], ids=str)
def test_vectors_load_from_text(
    connection: Connection, tmp_path: Any, rows: Any, kind: Any
) -> None:
    vectors = pa.array(["[1, 2]", None], pa.string()).cast(kind)
    table = pa.table({"item_id": ["a", "b"], "content_vector": vectors})
    parquet.write_table(table, tmp_path / "a.parquet")
    load_items(connection, tmp_path / "a.parquet")
    found = rows("SELECT content_vector::text FROM recs.items ORDER BY item_id")
    assert found == [("[1,2]",), (None,)]


def test_a_vector_has_1_to_16000_dimensions_and_a_bad_one_sets_none_for_the_next(
    connection: Connection, write: Any, rows: Any, rejected: Any
) -> None:
    lengths = {"long": 16_001, "none": 0, "longest": 16_000, "last": 16_000, "short": 15_999}
    lines = [{"item_id": name, "content_vector": [1] * n} for name, n in lengths.items()]
    path = write("a.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    report = load_items(connection, path, on_error="skip")
    reasons = [reject["reason"] for reject in rejected(report.rejects)]
    assert ["1 to 16000" in reason for reason in reasons] == [True, True, False]
    assert "has 15999 dimensions, expected 16000" in reasons[2]
    assert rows("SELECT item_id FROM recs.items ORDER BY 1") == [("last",), ("longest",)]


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_availability_is_said_in_any_of_its_words(
    connection: Connection, write: Any, rows: Any, kind: str
) -> None:
    true = ["true", "t", "yes", "y", "1", "on", "True", "TRUE", "1.0", ""]
    false = ["false", "f", "no", "n", "0", "off", "False", "OFF", "0.0"]
    words = enumerate(true + false)
    if kind == "csv":
        content = "item_id,available\n" + "".join(f"{n},{word}\n" for n, word in words)
    else:
        content = "".join(f'{{"item_id": {n}, "available": "{word}"}}\n' for n, word in words)
    load_items(connection, write(f"a.{kind}", content))
    found = rows("SELECT available FROM recs.items ORDER BY item_id::int")
    assert [row[0] for row in found] == [True] * len(true) + [False] * len(false)


@pytest.mark.parametrize(
    "array",
    [pa.array([True, False, None]), pa.array([1, 0, None]), pa.array([1.0, 0.0, None])],
    ids=lambda array: str(array.type),
)
def test_availability_may_be_a_number_and_is_true_where_it_is_missing(
    connection: Connection, tmp_path: Any, rows: Any, array: Any
) -> None:
    parquet.write_table(
        pa.table({"item_id": [1, 2, 3], "available": array}), tmp_path / "a.parquet"
    )
    load_items(connection, tmp_path / "a.parquet")
    found = rows("SELECT available FROM recs.items ORDER BY item_id")
    assert found == [(True,), (False,), (True,)]


def test_vectors_of_another_dimension_than_the_catalogs_are_refused(
    connection: Connection, write: Any
) -> None:
    load_items(connection, write("a.jsonl", '{"item_id": "old", "content_vector": [1, 2]}'))
    new = write("b.jsonl", '{"item_id": "new", "content_vector": [1, 2, 3]}')
    with pytest.raises(BadInput, match=r"have 3 dimensions, that of item 'old' .* has 2"):
        load_items(connection, new)


def test_users_load_with_segment_and_attributes(
    connection: Connection, write: Any, rows: Any
) -> None:
    path = write("a.csv", "customer,segment,age\n17850.0,FR,33\n2,,\n")
    load_users(connection, path, columns={"user_id": "customer"}, attributes=["age"])
    assert rows("SELECT user_id, segment, attributes FROM recs.users ORDER BY 1") == [
        ("17850", "FR", {"age": 33}),
        ("2", None, {}),
    ]


def test_two_loads_in_one_transaction_do_not_meet(connection: Connection, write: Any) -> None:
    path = write("a.csv", "item_id\na\n")
    for _ in range(2):
        load_items(connection, path)
    assert connection.scalar(text("SELECT count(*) FROM recs.items")) == 1
