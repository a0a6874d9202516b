"""Keys: what an index of PostgreSQL can hold."""

from __future__ import annotations

import secrets
from typing import Any

import pytest
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
