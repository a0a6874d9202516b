"""Keys: what an index of PostgreSQL can hold."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet
from sqlalchemy import Connection, text

from recs.errors import BadInput
from recs.loading import load_interactions, load_items, load_users

LONG = secrets.token_hex(5000)  # random: what compresses, an index takes


@pytest.mark.parametrize("key", ["user_id", "item_id"])
@pytest.mark.parametrize("length", [1001, 10_000])
def test_an_id_longer_than_an_index_takes_is_a_bad_row(
    catalog: Connection, write: Any, key: str, length: int
) -> None:
    bad = {"user_id": "u", "item_id": "1"} | {key: LONG[:length]}
    path = write("a.csv", f"user_id,item_id\nu,1\n{bad['user_id']},{bad['item_id']}\n")
    with pytest.raises(BadInput, match=f"line 3: {key} has {length} bytes, expected at most 1000"):
        load_interactions(catalog, path)
    assert load_interactions(catalog, path, on_error="skip").rows == 1


def test_bytes_count_and_not_characters(connection: Connection, write: Any) -> None:
    path = write("a.csv", f"item_id\n{'é' * 500}\n{'é' * 501}\n")
    with pytest.raises(BadInput, match="line 3: item_id has 1002 bytes"):
        load_items(connection, path)


def test_a_long_segment_is_a_bad_row(connection: Connection, write: Any) -> None:
    path = write("a.csv", f"user_id,segment\na,FR\nb,\nc,{LONG}\n{LONG},FR\n")
    with pytest.raises(BadInput, match="line 4: segment has 10000 bytes, expected at most 1000"):
        load_users(connection, path)
    report = load_users(connection, path, on_error="skip")
    assert (report.rows, report.rejected) == (2, 2)


def test_the_longest_keys_fit_every_index(connection: Connection, write: Any) -> None:
    item, user, segment = LONG[:1000], LONG[1000:2000], LONG[2000:3000]
    load_items(connection, write("items.csv", f"item_id\n{item}\n"))
    load_users(connection, write("users.csv", f"user_id,segment\n{user},{segment}\n"))
    load_interactions(connection, write("events.csv", f"user_id,item_id\n{user},{item}\n"))
    connection.execute(text("SELECT recs.refresh_popularity()"))
    stored = "SELECT count(*) FROM recs.item_popularity WHERE length(segment) = 1000"
    assert connection.scalar(text(stored)) == 1


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("key", ["user_id", "item_id"])
@pytest.mark.parametrize("value", [" 1", "1 ", "\t1", "1\u00a0", "1\n", " "])
def test_an_id_with_blanks_around_it_is_a_bad_row(
    catalog: Connection, tmp_path: Path, rejected: Any, kind: str, key: str, value: str
) -> None:
    good = {"user_id": "a b", "item_id": "1"}
    path = _written(tmp_path / f"a.{kind}", [good, good | {key: value}, good])
    with pytest.raises(BadInput) as caught:
        load_interactions(catalog, path)
    assert f": {key} is {value!r}, expected no blanks around it" in caught.value.message
    assert "mend the file" in str(caught.value.hint)
    report = load_interactions(catalog, path, on_error="skip")
    assert report.rows == 2
    assert [reject["row"][key] for reject in rejected(report.rejects)] == [value]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_an_item_and_the_same_with_blanks_are_not_two(
    connection: Connection, tmp_path: Path, rows: Any, kind: str
) -> None:
    path = _written(tmp_path / f"a.{kind}", [{"item_id": "42"}, {"item_id": " 42"}])
    assert load_items(connection, path, on_error="skip").rejected == 1
    assert rows("SELECT item_id FROM recs.items") == [("42",)]


def _written(path: Path, rows: list[dict[str, str]]) -> Path:
    if path.suffix == ".parquet":
        parquet.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        lines = [",".join(f'"{cell}"' for cell in row.values()) for row in rows]
        path.write_text("\n".join([",".join(rows[0]), *lines]))
    return path
