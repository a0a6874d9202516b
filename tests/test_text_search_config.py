"""A tenant's text search configuration is refused where it is written, not where it is used."""

from __future__ import annotations

import psycopg
import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

INSERT = text("INSERT INTO recs.tenants (tenant_id, text_search_config) VALUES ('acme', :name)")
UPDATE = text("UPDATE recs.tenants SET text_search_config = :name WHERE tenant_id = 'default'")
WRITTEN = text("SELECT recs.text_search_config(:tenant)::text")


@pytest.mark.parametrize("statement", [INSERT, UPDATE], ids=["insert", "update"])
@pytest.mark.parametrize(
    "name", ["englisch", "nowhere.english", "", "two words", "a.b.c", "a.b.c.d", '"', "13", "-"]
)
def test_what_no_text_search_configuration_is_called_is_refused(
    connection: Connection, statement: object, name: str
) -> None:
    with pytest.raises(DBAPIError) as caught, connection.begin_nested():
        connection.execute(statement, {"name": name})  # type: ignore[call-overload]
    error = caught.value.orig
    assert isinstance(error, psycopg.errors.UndefinedObject)
    said = f"is '{name}', expected the name of a text search configuration"
    assert said in str(error.diag.message_primary)
    assert "SELECT cfgnamespace::regnamespace, cfgname" in str(error.diag.message_hint)
    assert error.diag.column_name == "text_search_config"


@pytest.mark.parametrize("name", ["german", "GERMAN", '"german"', "pg_catalog.german"])
def test_a_configuration_may_be_named_in_every_way_that_sql_has(
    connection: Connection, name: str
) -> None:
    connection.execute(INSERT, {"name": name})
    assert connection.execute(WRITTEN, {"tenant": "acme"}).scalar_one() == "german"


def test_one_outside_pg_catalog_is_named_with_its_schema(connection: Connection) -> None:
    connection.execute(text("CREATE TEXT SEARCH CONFIGURATION public.mine (COPY = german)"))
    with pytest.raises(DBAPIError, match="'mine', expected"), connection.begin_nested():
        connection.execute(INSERT, {"name": "mine"})  # though this session's path has it
    connection.execute(INSERT, {"name": "public.mine"})
    connection.execute(text("SET LOCAL search_path = pg_catalog"))
    assert connection.execute(WRITTEN, {"tenant": "acme"}).scalar_one() == "public.mine"


def test_a_trainer_may_choose_among_those_that_are_there(connection: Connection) -> None:
    connection.execute(text("SET LOCAL ROLE recs_trainer"))
    connection.execute(UPDATE, {"name": "simple"})
    assert connection.execute(WRITTEN, {"tenant": "default"}).scalar_one() == "simple"
    with pytest.raises(DBAPIError, match="'nothing', expected"), connection.begin_nested():
        connection.execute(UPDATE, {"name": "nothing"})


def test_other_columns_of_a_tenant_change_though_its_configuration_was_dropped(
    connection: Connection,
) -> None:
    connection.execute(text("CREATE TEXT SEARCH CONFIGURATION public.mine (COPY = german)"))
    connection.execute(INSERT, {"name": "public.mine"})
    connection.execute(text("DROP TEXT SEARCH CONFIGURATION public.mine"))
    connection.execute(text("UPDATE recs.tenants SET popularity_half_life = 30"))
