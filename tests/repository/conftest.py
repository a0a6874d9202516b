"""A small catalog, of which each test takes back what it did."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, text

from recs import Item, Recommender

AN_ID = UUID("00000000-0000-0000-0000-00000000002a")


@pytest.fixture
def shop(connection: Connection) -> Recommender:
    """Return a recommender on a catalog of two items, rolled back after the test."""
    shop = Recommender(connection)
    shop.upsert_items([Item("a", attributes={"c": 1}), Item("b")])
    return shop


def rows(connection: Connection, query: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in connection.execute(text(query))]


def found(shop: Recommender, filter_: Any) -> set[str]:
    return {row.item_id for row in shop.recommend("u", filter=filter_)}
