"""A small catalog, files written in a line, and what the tables hold."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text

Write = Callable[[str, str], Path]
Rows = Callable[[str], list[Any]]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes a file and returns its path."""

    def write_file(name: str, content: str) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode())
        return path

    return write_file


@pytest.fixture
def rows(connection: Connection) -> Rows:
    """Return a function that runs a query on `connection`."""
    return lambda query: [tuple(row) for row in connection.execute(text(query))]


@pytest.fixture
def catalog(connection: Connection) -> Connection:
    """Return `connection` with the items 1, 2, 3."""
    add_items(connection, ["1", "2", "3"])
    return connection


@pytest.fixture
def shop(engine: Engine) -> Engine:
    """Return `engine` with the items 1, 2, 3, committed."""
    with engine.begin() as connection:
        add_items(connection, ["1", "2", "3"])
    return engine


def add_items(connection: Connection, ids: Sequence[str]) -> None:
    connection.execute(
        text("INSERT INTO recs.items (item_id) SELECT unnest(CAST(:ids AS text[]))"),
        {"ids": list(ids)},
    )


@pytest.fixture
def rejected() -> Callable[[Path | None], list[dict[str, Any]]]:
    """Return a function that reads a rejects file."""

    def read(path: Path | None) -> list[dict[str, Any]]:
        assert path is not None
        return [json.loads(line) for line in path.read_text().splitlines()]

    return read
