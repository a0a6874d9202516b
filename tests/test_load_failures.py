"""What `recs load` says where it fails after its commit: a second run would load all rows twice."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine, text

from recs import Item, Recommender
from tests.locks import wait_until_one_waits

Command = subprocess.Popen[str]
End = Callable[[Command, psycopg.Connection], None]
# What waits for a lock is the refresh or the ANALYZE, the only ones that need it.
WAITERS = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE NOT granted AND pid <> %s"


def terminate(command: Command, holder: psycopg.Connection) -> None:
    database = "database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    waiters = f"{WAITERS} AND {database}".encode()
    # A refresh tries a moment at a time, and may be between two.
    while not holder.execute(waiters, [holder.info.backend_pid]).fetchall():
        time.sleep(0.01)


def interrupt(command: Command, holder: psycopg.Connection) -> None:
    command.send_signal(signal.SIGINT)


@pytest.fixture
def files(engine: Engine, tmp_path: Path) -> Path:
    """Return a folder with interactions.csv of three rows and items.csv of two."""
    for tenant in ("default", "o'hara"):
        with engine.begin() as connection:
            connection.execute(
                text("INSERT INTO recs.tenants (tenant_id) VALUES (:id) ON CONFLICT DO NOTHING"),
                {"id": tenant},
            )
        Recommender(engine, tenant_id=tenant).upsert_items([Item("a"), Item("b")])
    (tmp_path / "interactions.csv").write_text("user_id,item_id\nu,a\nu,b\nv,a\n")
    (tmp_path / "items.csv").write_text("item_id\nc\nd\n")
    return tmp_path


@contextmanager
def loading(dsn: str, *arguments: str) -> Iterator[Command]:
    # Where a shell runs the tests in the background, SIGINT is ignored by all that they start.
    script = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"from recs.cli import main; main({['--dsn', dsn, *arguments]!r})"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as command:
        yield command


@pytest.mark.parametrize(("end", "code"), [(terminate, 1), (interrupt, 130)])
@pytest.mark.parametrize("tenant", [None, "o'hara"])
def test_a_load_whose_popularity_was_not_refreshed_says_that_its_rows_are_there(
    files: Path, engine: Engine, dsn: str, end: End, code: int, tenant: str | None
) -> None:
    path = str(files / "interactions.csv")
    given = [] if tenant is None else ["--tenant", tenant]
    with psycopg.connect(dsn) as holder:
        holder.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended('recs.popularity:' || %s, 0))",
            [tenant or "default"],
        )
        with loading(dsn, "--json", *given, "load", "interactions", path) as command:
            wait_until_one_waits(engine, "advisory")
            end(command, holder)
            told, errors = command.communicate(timeout=20)
    assert command.returncode == code
    failure = json.loads(errors)
    assert failure["error"].startswith("3 rows were loaded; popularity was not refreshed")
    remedy = failure["hint"].removeprefix("do not load them again; ")
    assert remedy.endswith("SELECT recs.refresh_popularity()")
    assert json.loads(told)["rows"] == 3
    assert refreshed(dsn, remedy, tenant or "default") == (3, {"a", "b"})


def refreshed(dsn: str, remedy: str, tenant: str) -> tuple[int, set[str]]:
    """Do as the hint says; return how many interactions there are, and what is popular."""
    with psycopg.connect(dsn) as connection:
        connection.execute(remedy.encode())
        of_tenant = "WHERE tenant_id = %s"
        found = connection.execute(
            f"SELECT count(*) FROM recs.interactions {of_tenant}".encode(), [tenant]
        ).fetchone()
        popular = connection.execute(
            f"SELECT item_id FROM recs.item_popularity {of_tenant}".encode(), [tenant]
        ).fetchall()
    assert found is not None
    return found[0], {row[0] for row in popular}


@pytest.mark.parametrize(("end", "code"), [(terminate, 1), (interrupt, 130)])
def test_a_load_that_was_not_analyzed_says_that_its_rows_are_there(
    files: Path, engine: Engine, dsn: str, end: End, code: int
) -> None:
    with psycopg.connect(dsn) as holder:
        holder.execute("LOCK TABLE recs.items IN SHARE UPDATE EXCLUSIVE MODE")
        with loading(dsn, "load", "items", str(files / "items.csv")) as command:
            wait_until_one_waits(engine, "relation")
            end(command, holder)
            told, errors = command.communicate(timeout=20)
    assert command.returncode == code
    assert "error: 2 rows were loaded; the planner does not know of them yet" in errors
    assert "hint: do not load them again; ANALYZE recs.items" in errors
    assert told.startswith("items: 2 rows in")
    with engine.connect() as connection:
        count = connection.scalar(
            text("SELECT count(*) FROM recs.items WHERE item_id IN ('c','d')")
        )
    assert count == 2
