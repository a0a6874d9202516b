"""A tenant's text search configuration is refused where it is written, not where it is used."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import psycopg
import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from recs import Item, Recommender
from recs.training import reading, versions
from recs.training.publication import Publication, TermVectors
from tests import shops

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


def _shop(engine: Engine, *, reads_texts: bool) -> int:
    """Publish a version whose two items are words apart, read by a configuration since dropped."""
    with engine.begin() as connection:
        connection.execute(text("CREATE TEXT SEARCH CONFIGURATION public.mine (COPY = german)"))
        connection.execute(UPDATE, {"name": "public.mine"})
    what = shops.publication(shops.insert_items(engine, 2), np.eye(2))
    content = np.eye(2, dtype=np.float32)
    terms = TermVectors(["kann", "latern"], np.ones(2, np.float32), content)
    model_id = shops.publish(engine, _placing(what, content, terms if reads_texts else None))
    with engine.begin() as connection:
        connection.execute(text("DROP TEXT SEARCH CONFIGURATION public.mine"))
    return model_id


def _placing(what: Publication, content: np.ndarray, terms: TermVectors | None) -> Publication:
    return replace(what, items=replace(what.items, content_embedding=content), terms=terms)


def _require_remedy(error: BaseException) -> None:
    assert isinstance(error, psycopg.errors.UndefinedObject)
    said = "text_search_config of tenant 'default' is 'public.mine', expected the name of"
    assert said in str(error.diag.message_primary)
    assert "UPDATE recs.tenants SET text_search_config" in str(error.diag.message_hint)


def test_who_needs_a_configuration_that_was_dropped_is_told_which_and_what_to_do(
    engine: Engine,
) -> None:
    model_id = _shop(engine, reads_texts=True)
    recommender = Recommender(engine)
    shops.record(engine, [("u", "item-0")])
    with pytest.raises(DBAPIError) as caught:
        recommender.upsert_items([Item("new", title="eine Laterne")])
    _require_remedy(caught.value.orig)
    with pytest.raises(psycopg.Error) as training:
        reading.read(engine)
    _require_remedy(training.value)
    with engine.connect() as connection:
        connection.execute(text("UPDATE recs.models SET state = 'retired'"))
        with pytest.raises(DBAPIError) as activation:
            versions.activate(connection, model_id)
    _require_remedy(activation.value.orig)
    # What needs no words goes on, and all does once there is such a configuration again.
    with engine.begin() as connection:
        connection.execute(text("UPDATE recs.items SET available = false"))
        connection.execute(text("CREATE TEXT SEARCH CONFIGURATION public.mine (COPY = german)"))
    recommender.upsert_items([Item("new", title="eine Laterne")])
    assert _placed(engine) == {"new"}


def test_a_shop_with_vectors_of_its_own_needs_no_configuration(engine: Engine) -> None:
    _shop(engine, reads_texts=False)
    Recommender(engine).upsert_items([Item("new", content_vector=(1, 0)), Item("bare")])
    assert _placed(engine) == {"new"}


def _placed(engine: Engine) -> set[str]:
    with engine.connect() as connection:
        query = "SELECT item_id FROM recs.item_embeddings WHERE source = 'content'"
        return set(connection.execute(text(query)).scalars())
