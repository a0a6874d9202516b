"""Which database is taken, where several are named, and how it may be named."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from psycopg import conninfo

from recs.database import connect, find_dsn, libpq_dsn
from recs.errors import BadInput

LIBPQ = ("PGHOST", "PGHOSTADDR", "PGSERVICE", "PGDATABASE", "PGPORT")


@pytest.fixture(autouse=True)
def nothing_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Take all names away; an embedded server could not start in a file."""
    for name in ("DATABASE_URL", *LIBPQ):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "file").touch()
    monkeypatch.setenv("RECS_HOME", str(tmp_path / "file" / "none"))


@pytest.mark.parametrize("name", LIBPQ)
def test_a_variable_of_libpq_leaves_the_database_to_libpq(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "5432")
    assert find_dsn() == ""


def test_a_dsn_goes_before_database_url_and_that_before_the_variables_of_libpq(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in LIBPQ:
        monkeypatch.setenv(name, "5432")
    monkeypatch.setenv("DATABASE_URL", "postgresql+psycopg://host/url")
    assert find_dsn() == "postgresql://host/url"
    assert find_dsn("dbname=given") == "dbname=given"


@pytest.mark.parametrize(
    "scheme", ["postgres", "postgresql", "postgresql+psycopg", "postgresql+asyncpg"]
)
def test_the_urls_of_other_libraries_are_read(scheme: str) -> None:
    dsn = libpq_dsn(f"{scheme}://u:p@h:1/d?sslmode=disable")
    assert conninfo.conninfo_to_dict(dsn) == {
        "user": "u", "password": "p", "host": "h", "port": "1", "dbname": "d",
        "sslmode": "disable",
    }  # fmt: skip


@pytest.mark.parametrize("dsn", ["mysql://h/d", "shop", "postgresql://h/d?no=such", "host"])
def test_what_is_no_connection_string_is_refused(monkeypatch: pytest.MonkeyPatch, dsn: str) -> None:
    with pytest.raises(BadInput, match="not a connection string"):
        find_dsn(dsn)
    monkeypatch.setenv("DATABASE_URL", dsn)
    with pytest.raises(BadInput, match="not a connection string"):
        find_dsn()


def test_sessions_are_named_after_recs_unless_the_dsn_names_them(shared_dsn: str) -> None:
    named = conninfo.make_conninfo(shared_dsn, application_name="shop")
    for dsn, name in ((shared_dsn, "recs"), (named, "shop")):
        with connect(dsn) as connection:
            assert isinstance(connection, psycopg.Connection)
            row = connection.execute("SHOW application_name").fetchone()
            assert row == (name,)
