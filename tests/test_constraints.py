"""What the tables themselves refuse, to the last value that they take."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

PARTS = {
    "dimension": 8, "tower_dimension": 3, "tower_weight": 0, "tower_support": 1,
    "tower_fading": 1, "low_pass_dimension": 1, "detail_dimension": 2, "association_support": 1,
    "popularity_weight": 0, "new_item_tower": 0, "new_item_bias": -1, "embedding_scale": 1,
}  # fmt: skip
CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("tenants", {"tenant_id": "t"}, {"popularity_half_life": 0}),
    ("tenants", {"tenant_id": "t"}, {"popularity_half_life": -1}),
    ("users", {"user_id": "u"}, {"user_id": ""}),
    ("users", {"user_id": "u", "segment": "é" * 500}, {"segment": "é" * 500 + "e"}),
    ("items", {"item_id": "i"}, {"item_id": ""}),
    ("items", {"item_id": "i"}, {"attributes": "[]"}),
    ("items", {"item_id": "i", "content_vector": "[0,1e-3]"}, {"content_vector": "[0,0]"}),
    *(
        ("interactions", {"user_id": "u", "item_id": "known", "weight": weight}, bad)
        for weight in (1e-12, 1e12)
        for bad in (
            {"user_id": ""}, {"weight": 0}, {"weight": -1}, {"weight": "NaN"}, {"weight": 9e-13},
            {"weight": 1.1e12}, {"weight": "Infinity"}, {"occurred_at": "infinity"},
            {"occurred_at": "-infinity"},
        )
    ),
    *(
        ("models", {"name": "m", "dimension": 4000, "history_half_life": 0.1}, bad)
        for bad in (
            {"dimension": 0}, {"dimension": 4001}, {"state": "serving"}, {"metric": "l2"},
            {"history_half_life": 0}, {"popularity_half_life": 0}, {"content_neighbors": 0},
        )
    ),
    *(
        ("models", {"name": "m", **PARTS}, bad)
        for bad in (
            *({part: None} for part in PARTS if part != "dimension"),
            {"tower_dimension": 0}, {"tower_dimension": 6}, {"tower_weight": -0.1},
            {"tower_support": 0}, {"tower_fading": 0}, {"low_pass_dimension": -1},
            {"low_pass_dimension": 4}, {"detail_dimension": -1}, {"detail_dimension": 3},
            {"association_support": 0}, {"popularity_weight": -0.1}, {"new_item_tower": -0.1},
            {"embedding_scale": 0},
        )
    ),
]  # fmt: skip


def insert(connection: Connection, table: str, row: dict[str, Any]) -> None:
    values = ", ".join(f"'{value}'" if value is not None else "NULL" for value in row.values())
    connection.execute(text(f"INSERT INTO recs.{table} ({', '.join(row)}) VALUES ({values})"))


@pytest.mark.parametrize(("table", "good", "bad"), CASES)
def test_a_row_is_refused_for_one_value_that_cannot_be_meant(
    connection: Connection, table: str, good: dict[str, Any], bad: dict[str, Any]
) -> None:
    insert(connection, "items", {"item_id": "known"})
    insert(connection, table, good)
    if table == "tenants":
        bad = {"tenant_id": "another", **bad}
    with pytest.raises(DBAPIError) as caught:
        insert(connection, table, {**good, **bad})
    assert isinstance(caught.value.orig, psycopg.errors.CheckViolation)


def test_one_version_of_a_tenant_is_active(connection: Connection) -> None:
    for tenant in ("a", "b"):
        row = {"tenant_id": tenant, "name": "m", "dimension": 8}
        insert(connection, "models", {**row, "state": "active"})
        insert(connection, "models", {**row, "state": "retired"})
    with pytest.raises(DBAPIError, match="models_active_idx"):
        insert(connection, "models", {**row, "state": "active"})
