"""The plans of what a session runs, statements inside functions included, as they were run.

auto_explain sends them to the client.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.errors import Diagnostic

BIG = {"item_embeddings", "items", "interactions", "item_popularity", "user_embeddings"}

Node = dict[str, Any]


class Explained:
    """A connection that keeps the plans of what it runs, statements inside functions included."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection
        self._plans: list[Node] = []
        connection.execute("LOAD 'auto_explain'")
        for setting, value in {
            "auto_explain.log_min_duration": "0",
            "auto_explain.log_nested_statements": "on",
            "auto_explain.log_analyze": "on",
            "auto_explain.log_timing": "off",
            "auto_explain.log_format": "json",
            "client_min_messages": "log",
        }.items():
            connection.execute("SELECT set_config(%s, %s, false)", [setting, value])
        connection.add_notice_handler(self._keep)

    def _keep(self, diagnostic: Diagnostic) -> None:
        _, found, document = (diagnostic.message_primary or "").partition("plan:")
        if found:
            self._plans.append(json.loads(document))

    @contextmanager
    def acting_as(self, role: str) -> Iterator[None]:
        """Ask as another role; `none` is the owner."""
        self.connection.execute(f"SET ROLE {role}".encode())
        yield
        self.connection.execute("RESET ROLE")

    @contextmanager
    def after(self, statement: str) -> Iterator[None]:
        """Have run a statement, and roll that back."""
        with self.connection.transaction(force_rollback=True):
            self.connection.execute(statement.encode())
            yield

    @contextmanager
    def without_popularity(self) -> Iterator[None]:
        """Have a catalog that nobody has touched, and roll that back."""
        with self.after("DELETE FROM recs.item_popularity"):
            yield

    def plans(self, statement: str, *parameters: Any) -> list[Node]:
        """Run a statement; return the plan of it and of all that it ran."""
        # A session that has served a while: generic plans are made by now.
        for _ in range(7):
            self._plans.clear()
            self.connection.execute(statement.encode(), parameters)
        return self._plans


def nodes(plans: list[Node]) -> list[Node]:
    """Return every node that ran."""
    found: list[Node] = []
    waiting = [plan["Plan"] for plan in plans]
    while waiting:
        node = waiting.pop()
        waiting += node.get("Plans", [])
        if node["Actual Loops"]:
            found.append(node)
    return found


def rows_read(node: Node) -> float:
    """Return how many rows a scan looked at, those that its filter threw away included."""
    return float(
        (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
    )


def scans_of(plans: list[Node], index: str) -> list[Node]:
    """Return the scans of an index."""
    return [node for node in nodes(plans) if node.get("Index Name", "") == index]


def assert_reads_few(plans: list[Node], *, index: str, rows: int) -> None:
    """Check that `index` is used, no big table is read through, and no scan reads many rows.

    Nor is any of it compiled, on servers that can.
    """
    shown = json.dumps(plans, indent=1)
    assert not any("JIT" in plan for plan in plans), shown
    used = {node["Index Name"] for node in nodes(plans) if "Index Name" in node}
    assert index in used, f"{index} is not among {sorted(used)}\n{shown}"
    for node in nodes(plans):
        table = node.get("Relation Name", "").rstrip("_0123456789")
        if table not in BIG:
            continue
        assert node["Node Type"] != "Seq Scan", f"{table} is read through\n{shown}"
        assert rows_read(node) <= rows, f"{table}: {rows_read(node)} rows\n{shown}"
