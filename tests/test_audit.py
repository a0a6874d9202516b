"""What is noted of who changed what decides on answers, and who may touch the notes."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import psycopg
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from recs import audit
from recs.audit import AuditEvent
from recs.cli import main
from recs.training import versions
from tests import shops

N = 20


@pytest.fixture
def published(engine: Engine) -> tuple[int, int]:
    """Return two versions, the later of which serves."""
    ids = shops.insert_items(engine, N)
    vectors = np.random.default_rng(1).normal(size=(N, 8))
    first, second = (
        shops.publish(engine, shops.publication(ids, vectors), name=name) for name in ("one", "two")
    )
    return first, second


def events(engine: Engine, limit: int = 100) -> list[AuditEvent]:
    with engine.connect() as connection:
        return audit.list_events(connection, limit=limit)


def told(noted: list[AuditEvent]) -> list[tuple[str, str]]:
    return [(event.subject_id, event.action) for event in noted]


def test_each_step_of_a_version_is_noted_once_with_who_took_it(
    engine: Engine, published: tuple[int, int]
) -> None:
    first, second = map(str, published)
    noted = events(engine)
    assert told(noted) == [
        (second, "active"), (first, "retired"), (second, "ready"), (second, "created"),
        (first, "active"), (first, "ready"), (first, "created"),
    ]  # fmt: skip
    with engine.connect() as connection:
        me = connection.execute(text("SELECT session_user")).scalar_one()
    assert {(e.login_role, e.acting_role, e.subject) for e in noted} == {(me, None, "models")}
    assert noted[0].subject_name == "two"
    assert noted[0].changes["state"] == ["ready", "active"]
    assert noted[0].changes["previous_model_id"] == [None, published[0]]


def test_a_roll_back_and_a_drop_are_noted_with_the_role_that_asked(
    engine: Engine, published: tuple[int, int]
) -> None:
    first, second = published
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL ROLE recs_trainer"))
        versions.roll_back(connection)
    with engine.begin() as connection:
        versions.drop_version(connection, second)
    dropped, *flip = events(engine, limit=3)
    assert (dropped.subject_id, dropped.subject_name, dropped.action) == (
        str(second), "two", "dropped",
    )  # fmt: skip
    assert {(e.subject_id, e.action) for e in flip} <= {
        (str(first), "active"), (str(first), "changed"), (str(second), "retired"),
    }  # fmt: skip
    assert {e.acting_role for e in flip} == {"recs_trainer"}
    assert dropped.acting_role is None


def test_a_flip_that_is_rolled_back_is_not_noted(
    engine: Engine, published: tuple[int, int]
) -> None:
    before = events(engine)
    with engine.connect() as connection:
        versions.activate(connection, published[0])
        connection.rollback()
    assert events(engine) == before


def test_settings_that_are_changed_by_hand_are_noted_with_their_values(
    engine: Engine, published: tuple[int, int]
) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE recs.models SET exact_search = true WHERE name = 'two'"))
        connection.execute(text("UPDATE recs.tenants SET popularity_half_life = 7"))
        connection.execute(text("UPDATE recs.tenants SET popularity_half_life = 7"))
        connection.execute(text("UPDATE recs.models SET metrics = '{\"a\": 1}'"))
    tenant, model = events(engine, limit=2)
    assert (model.subject_id, model.action, model.changes) == (
        str(published[1]), "changed", {"exact_search": [False, True]},
    )  # fmt: skip
    assert (tenant.subject, tenant.subject_id, tenant.action, tenant.changes) == (
        "tenants", "default", "changed", {"popularity_half_life": [None, 7]},
    )  # fmt: skip


def test_a_version_that_is_called_one_in_training_is_noted_on_its_way_there_and_back(
    engine: Engine, published: tuple[int, int]
) -> None:
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL ROLE recs_trainer"))
        for state, other in (("training", "active"), ("active", "training")):
            connection.execute(
                text("UPDATE recs.models SET state = :state WHERE state = :other"),
                {"state": state, "other": other},
            )
    back, there = events(engine, limit=2)
    assert (there.action, there.changes) == ("training", {"state": ["active", "training"]})
    assert (back.action, back.changes) == ("active", {"state": ["training", "active"]})


@pytest.mark.parametrize("role", ["recs_reader", "recs_writer", "recs_trainer"])
@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM recs.audit_events",
        "UPDATE recs.audit_events SET login_role = 'somebody'",
        "INSERT INTO recs.audit_events (login_role, subject, subject_id, action, changes)"
        " VALUES ('somebody', 'models', '1', 'active', '{}')",
        "TRUNCATE recs.audit_events",
    ],
)
def test_nobody_but_the_owner_writes_notes(engine: Engine, role: str, statement: str) -> None:
    with engine.connect() as connection:
        connection.execute(text(f"SET LOCAL ROLE {role}"))
        with pytest.raises(DBAPIError) as caught:
            connection.execute(text(statement))
    assert isinstance(caught.value.orig, psycopg.errors.InsufficientPrivilege)


@pytest.mark.parametrize("name", ["models", "other"])
def test_notes_cannot_be_made_by_a_trigger_on_another_table(engine: Engine, name: str) -> None:
    before = events(engine)
    with engine.connect() as connection:
        connection.execute(text(f"CREATE TABLE public.{name} (tenant_id text, model_id bigint)"))
        connection.execute(
            text(
                f"CREATE TRIGGER t AFTER INSERT ON public.{name}"
                " FOR EACH ROW EXECUTE FUNCTION recs.note_change()"
            )
        )
        with pytest.raises(DBAPIError):
            connection.execute(text(f"INSERT INTO public.{name} VALUES ('default', 1)"))
    assert events(engine) == before


def test_the_command_lists_the_latest_events_first(
    engine: Engine, published: tuple[int, int], dsn: str, capsys: Any, monkeypatch: Any
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    main(["--dsn", dsn, "audit", "--limit", "2", "--json"])
    listed = json.loads(capsys.readouterr().out)
    assert [(e["subject_id"], e["action"]) for e in listed] == told(events(engine, limit=2))
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL ROLE recs_trainer"))
        connection.execute(text("UPDATE recs.tenants SET popularity_half_life = 7"))
    main(["--dsn", dsn, "audit"])
    latest, before, *_ = map(str.split, capsys.readouterr().out.splitlines()[1:])
    what = "as recs_trainer tenant default popularity_half_life: None -> 7"
    assert latest[3:] == what.split()
    assert before[3:] == f"model {published[1]}: two active".split()


def test_events_of_another_tenant_are_not_listed(engine: Engine, dsn: str, capsys: Any) -> None:
    for tenant in ("one", "two"):
        with engine.begin() as connection:
            row = {"id": tenant}
            connection.execute(text("INSERT INTO recs.tenants (tenant_id) VALUES (:id)"), row)
    for tenant in ("one", "two"):
        main(["--dsn", dsn, "--tenant", tenant, "--json", "audit"])
        listed = json.loads(capsys.readouterr().out)
        assert [(e["subject"], e["subject_id"]) for e in listed] == [("tenants", tenant)]
    assert events(engine) == []


@pytest.mark.parametrize("table", ["models", "tenants"])
def test_what_is_noted_row_by_row_is_not_truncated(
    engine: Engine, published: tuple[int, int], table: str
) -> None:
    with (
        engine.connect() as connection,
        pytest.raises(DBAPIError, match="not to be truncated") as caught,
    ):
        connection.execute(text(f"TRUNCATE recs.{table} CASCADE"))
    assert isinstance(caught.value.orig, psycopg.errors.FeatureNotSupported)


def test_where_a_roll_back_goes_is_noted_though_the_version_is_said_to_be_in_training(
    engine: Engine, published: tuple[int, int]
) -> None:
    with engine.begin() as connection:
        for change in ("state = 'training'", "previous_model_id = 77", "state = 'active'"):
            connection.execute(
                text(f"UPDATE recs.models SET {change} WHERE model_id = :id"), {"id": published[1]}
            )
    assert events(engine, 2)[1].changes == {"previous_model_id": [published[0], 77]}


def test_a_change_is_noted_with_its_own_time_however_long_ago_the_transaction_began(
    engine: Engine, published: tuple[int, int]
) -> None:
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_sleep(0.2)"))
        versions.activate(connection, published[0])
        began = connection.execute(text("SELECT now()")).scalar_one()
    assert (events(engine, 1)[0].occurred_at - began).total_seconds() > 0.1
