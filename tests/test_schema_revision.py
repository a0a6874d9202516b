"""A database of another revision than the code's is named before anything is done with it."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from recs import database, migration, resources
from recs.cli import main
from recs.errors import NotMigrated


@pytest.fixture
def at(dsn: str) -> Any:
    """Return a function that sets the revision which the database says it has."""

    def set_revision(revision: str) -> str:
        with psycopg.connect(dsn) as connection:
            connection.execute("UPDATE recs.alembic_version SET version_num = %s", [revision])
        return dsn

    return set_revision


def failure(capsys: Any, *arguments: str) -> str:
    with pytest.raises(SystemExit) as stopped:
        main(list(arguments))
    assert stopped.value.code == 1
    return str(capsys.readouterr().err)


def test_the_revision_of_the_code_is_the_newest_and_revisions_sort_as_they_follow() -> None:
    folder = ScriptDirectory(str(resources.migrations_folder()))
    revisions = [script.revision for script in folder.walk_revisions()]
    assert database.REVISION == revisions[0] == migration.newest_revision()
    assert revisions == sorted(revisions, reverse=True)
    assert {len(revision) for revision in revisions} == {4}


@pytest.mark.parametrize(
    "command", [("train",), ("recommend", "u"), ("models", "list"), ("tune",), ("evaluate",)]
)
def test_a_command_refuses_an_older_schema_at_once(
    at: Any, command: tuple[str, ...], capsys: Any
) -> None:
    told = failure(capsys, "--dsn", at("0001"), *command)
    assert f"the schema recs is at revision 0001, expected {database.REVISION}" in told
    assert "hint: run: recs migrate" in told


@pytest.mark.parametrize("command", [("train",), ("recommend", "u"), ("migrate",)])
def test_a_command_refuses_a_newer_schema_and_says_what_to_upgrade(
    at: Any, command: tuple[str, ...], capsys: Any
) -> None:
    told = failure(capsys, "--dsn", at("9999"), *command)
    assert f"is at revision 9999, newer than {database.REVISION} of this recs" in told
    assert "hint: upgrade recs" in told


def test_a_database_without_the_schema_is_told_as_before(empty_dsn: str) -> None:
    with (
        database.connect(empty_dsn) as connection,
        pytest.raises(NotMigrated, match="has no schema recs"),
    ):
        database.require_schema(connection)


def test_a_schema_that_was_taken_back_is_none(dsn: str, engine: Engine) -> None:
    with database.connect(dsn) as connection:
        connection.execute("DELETE FROM recs.alembic_version")
        with pytest.raises(NotMigrated, match="has no schema recs"):
            database.require_schema(connection)


@pytest.mark.parametrize("revision", ["0001", "9999"])
def test_a_role_that_may_not_read_the_revision_is_let_pass_in_a_transaction_that_goes_on(
    at: Any, revision: str
) -> None:
    with database.connect(at(revision)) as connection:
        connection.execute("REVOKE SELECT ON recs.alembic_version FROM recs_reader, PUBLIC")
        connection.execute("SET ROLE recs_reader")
        database.require_schema(connection)
        assert connection.execute("SELECT count(*) FROM recs.items").fetchone() == (0,)
        connection.execute("RESET ROLE")
        connection.execute("GRANT SELECT ON recs.alembic_version TO recs_reader")
        connection.execute("SET ROLE recs_reader")
        with pytest.raises(NotMigrated, match=f"at revision {revision}"):
            database.require_schema(connection)
        connection.rollback()
