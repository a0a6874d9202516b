"""A version on trial: it answers a share of the users beside the active one, and loses no item."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import psycopg
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from recs import Item, Recommender, audit, database
from recs.cli import main
from recs.errors import BadInput
from recs.training import versions
from tests import shops

N, D, USERS = 40, 8, 400


@pytest.fixture
def ids(engine: Engine) -> list[str]:
    return shops.insert_items(engine, N)


def vectors(seed: int) -> np.ndarray:
    return shops.unit(np.random.default_rng(seed).normal(size=(N, D)))


def publish(engine: Engine, ids: list[str], seed: int, *, activate: bool = False) -> int:
    """Publish a version that knows content, which the vectors themselves stand for."""
    what = shops.publication(ids, vectors(seed))
    what = replace(what, items=replace(what.items, content_embedding=vectors(seed)))
    return shops.publish(engine, what, activate=activate)


@pytest.fixture
def pair(engine: Engine, ids: list[str]) -> tuple[int, int]:
    """Return the active version and one that is ready, of other vectors."""
    shops.record(engine, [(f"user-{u}", ids[0]) for u in range(USERS)])
    return publish(engine, ids, 1, activate=True), publish(engine, ids, 2)


def start(engine: Engine, model_id: int, share: float) -> None:
    with engine.begin() as connection:
        versions.start_trial(connection, model_id, share)


def stop(engine: Engine) -> int | None:
    with engine.begin() as connection:
        return versions.stop_trial(connection)


def serving(engine: Engine) -> dict[str, int]:
    """Return by user which version answers, as recs.serving_model says."""
    statement = "SELECT u, recs.serving_model(u) FROM unnest(CAST(:users AS text[])) u"
    users = [f"user-{u}" for u in range(USERS)]
    with engine.connect() as connection:
        return dict(connection.execute(text(statement), {"users": users}).all())


def on_trial(engine: Engine, model_id: int) -> set[str]:
    return {user for user, model in serving(engine).items() if model == model_id}


def in_versions(engine: Engine, item: str) -> set[int]:
    statement = text("SELECT model_id FROM recs.item_embeddings WHERE item_id = :item")
    with engine.connect() as connection:
        return set(connection.execute(statement, {"item": item}).scalars())


def test_a_share_of_the_users_is_answered_by_the_version_on_trial(
    engine: Engine, pair: tuple[int, int]
) -> None:
    active, ready = pair
    start(engine, ready, 0.3)
    assert 0.2 * USERS < len(on_trial(engine, ready)) < 0.4 * USERS
    best = {active: shops.nearest_to_first(vectors(1)), ready: shops.nearest_to_first(vectors(2))}
    assert best[active] != best[ready]
    answers = Recommender(engine).recommend_many(serving(engine), 1)
    assert {u: rows[0].item_id for u, rows in answers.items()} == {
        user: best[model] for user, model in serving(engine).items()
    }


def test_a_larger_share_has_the_users_of_a_smaller_one_and_more(
    engine: Engine, pair: tuple[int, int]
) -> None:
    found = []
    for share in (0.05, 0.2, 0.9):
        start(engine, pair[1], share)
        found.append(on_trial(engine, pair[1]))
    assert found[0] < found[1] < found[2]


def test_each_version_is_tried_on_other_users(engine: Engine, ids: list[str], pair: Any) -> None:
    start(engine, pair[1], 0.5)
    first = on_trial(engine, pair[1])
    stop(engine)
    other = publish(engine, ids, 3)
    start(engine, other, 0.5)
    both = first & on_trial(engine, other)
    assert 0.15 * USERS < len(both) < 0.35 * USERS  # a half of a half


def test_what_stops_a_trial_gives_all_users_back_to_the_active_version(
    engine: Engine, pair: tuple[int, int]
) -> None:
    start(engine, pair[1], 0.5)
    assert stop(engine) == pair[1]
    assert set(serving(engine).values()) == {pair[0]}
    assert stop(engine) is None


def test_activating_the_version_on_trial_ends_the_trial(
    engine: Engine, pair: tuple[int, int]
) -> None:
    start(engine, pair[1], 0.5)
    with engine.begin() as connection:
        versions.activate(connection, pair[1])
    assert set(serving(engine).values()) == {pair[1]}
    assert stop(engine) is None


def test_a_trial_goes_on_while_others_are_activated(
    engine: Engine, ids: list[str], pair: tuple[int, int]
) -> None:
    start(engine, pair[1], 0.5)
    before = on_trial(engine, pair[1])
    third = publish(engine, ids, 3, activate=True)
    assert set(serving(engine).values()) == {third, pair[1]}
    assert on_trial(engine, pair[1]) == before


def test_without_an_active_version_none_answers(engine: Engine, pair: tuple[int, int]) -> None:
    start(engine, pair[1], 0.5)
    with engine.begin() as connection:
        connection.execute(text("UPDATE recs.models SET state = 'retired' WHERE state = 'active'"))
    assert set(serving(engine).values()) == {None}
    rows = Recommender(engine).recommend_many(serving(engine), 1)
    assert {row.tier for found in rows.values() for row in found} == {"catalog"}


def test_a_new_item_is_placed_in_both_versions(engine: Engine, pair: tuple[int, int]) -> None:
    shop = Recommender(engine)
    shop.upsert_items([Item("before", content_vector=vectors(1)[3].tolist())])
    assert in_versions(engine, "before") == {pair[0]}
    start(engine, pair[1], 0.5)
    shop.upsert_items([Item("meanwhile", content_vector=vectors(1)[3].tolist())])
    assert in_versions(engine, "before") == in_versions(engine, "meanwhile") == set(pair)


def test_an_item_that_changes_is_placed_anew_in_both_versions(
    engine: Engine, pair: tuple[int, int]
) -> None:
    shop = Recommender(engine)
    shop.upsert_items([Item("new", content_vector=vectors(1)[3].tolist())])
    start(engine, pair[1], 0.5)
    statement = text(
        "SELECT model_id, embedding::text FROM recs.item_embeddings WHERE item_id = 'new'"
    )
    with engine.connect() as connection:
        before = dict(connection.execute(statement).all())
    shop.upsert_items([Item("new", content_vector=vectors(2)[5].tolist())])
    with engine.connect() as connection:
        after = dict(connection.execute(statement).all())
    assert before.keys() == after.keys() == set(pair)
    assert all(before[model] != after[model] for model in pair)


def test_an_insert_whose_snapshot_is_older_than_the_trial_fails(
    engine: Engine, pair: tuple[int, int]
) -> None:
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        connection.execute(text("SELECT count(*) FROM recs.items"))
        start(engine, pair[1], 0.5)
        with pytest.raises(DBAPIError) as caught:
            Recommender(connection).upsert_items([Item("late")])
    assert isinstance(caught.value.orig, psycopg.errors.SerializationFailure)


def test_an_answer_locks_the_partitions_of_the_version_that_answers(
    engine: Engine, pair: tuple[int, int]
) -> None:
    start(engine, pair[1], 0.5)
    user = min(on_trial(engine, pair[1]))
    locked = text(
        "SELECT DISTINCT c.relname FROM pg_locks l JOIN pg_class c ON c.oid = l.relation"
        " WHERE l.pid = pg_backend_pid() AND c.relkind = 'r' AND c.relname ~ '_embeddings_[0-9]+$'"
    )
    with engine.connect() as connection:
        Recommender(connection).recommend(user, 5)
        names = set(connection.execute(locked).scalars())
    assert names == {f"item_embeddings_{pair[1]}", f"user_embeddings_{pair[1]}"}


def test_a_version_on_trial_is_not_dropped(engine: Engine, pair: tuple[int, int]) -> None:
    start(engine, pair[1], 0.5)
    with engine.begin() as connection, pytest.raises(BadInput, match=f"model {pair[1]} is on tri"):
        versions.drop_version(connection, pair[1])
    stop(engine)
    with engine.begin() as connection:
        versions.drop_version(connection, pair[1])


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, float("nan")])
def test_a_share_that_is_none_is_refused(
    engine: Engine, pair: tuple[int, int], share: float
) -> None:
    with pytest.raises(DBAPIError, match=r"share is .*, expected more than 0 and less than 1"):
        start(engine, pair[1], share)


def test_the_active_version_and_one_that_is_not_there_are_not_tried(
    engine: Engine, pair: tuple[int, int]
) -> None:
    with pytest.raises(DBAPIError, match=f"model {pair[0]} is active, expected ready or retired"):
        start(engine, pair[0], 0.5)
    with pytest.raises(DBAPIError, match="tenant default has no model 99"):
        start(engine, 99, 0.5)


def test_one_version_is_tried_at_a_time(
    engine: Engine, ids: list[str], pair: tuple[int, int]
) -> None:
    start(engine, pair[1], 0.5)
    with pytest.raises(DBAPIError, match=f"model {pair[1]} is on trial already"):
        start(engine, publish(engine, ids, 3), 0.5)


def test_without_an_active_version_there_is_no_trial(engine: Engine, ids: list[str]) -> None:
    with pytest.raises(DBAPIError, match="no model is active"):
        start(engine, publish(engine, ids, 1), 0.5)


def test_a_trial_is_of_one_tenant(engine: Engine, pair: tuple[int, int]) -> None:
    start(engine, pair[1], 0.5)
    with engine.begin() as connection:
        connection.execute(text("SELECT set_config('recs.tenant_id', 'acme', true)"))
        assert versions.stop_trial(connection) is None
        with pytest.raises(DBAPIError, match="tenant acme has no model"):
            versions.start_trial(connection, pair[1], 0.5)
    assert len(on_trial(engine, pair[1])) > 0


def test_the_trial_of_another_tenant_answers_nobody_here(
    engine: Engine, dsn: str, ids: list[str], pair: tuple[int, int]
) -> None:
    before = Recommender(engine).recommend_many(serving(engine), 3)
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO recs.tenants (tenant_id) VALUES ('acme')"))
    acme = database.make_engine(dsn, tenant_id="acme")
    shops.insert_items(engine, N, tenant="acme")
    shops.record(engine, [("user-0", ids[0])], tenant="acme")
    publish(acme, ids, 3, activate=True)
    start(acme, publish(acme, ids, 4), 0.9)
    assert set(serving(engine).values()) == {pair[0]}
    assert Recommender(engine).recommend_many(serving(engine), 3) == before
    acme.dispose()


def test_a_trial_is_noted(engine: Engine, pair: tuple[int, int]) -> None:
    start(engine, pair[1], 0.25)
    stop(engine)
    with engine.connect() as connection:
        stopped, started = audit.list_events(connection, limit=2)
    assert (started.subject_id, started.action) == (str(pair[1]), "changed")
    assert started.changes == {"trial_share": [None, 0.25]}
    assert stopped.changes == {"trial_share": [0.25, None]}


@pytest.fixture
def ask(dsn: str, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Return a call of `recs models`, and what it prints as JSON."""

    def call(*arguments: str) -> Any:
        main(["--dsn", dsn, "--json", "models", *arguments])
        return json.loads(capsys.readouterr().out)

    return call


def test_the_command_starts_shows_and_stops_a_trial(
    engine: Engine, pair: tuple[int, int], ask: Any, dsn: str, capsys: Any
) -> None:
    ready = str(pair[1])
    assert ask("start-trial", ready, "--share", "0.2") == {"on_trial": pair[1], "share": 0.2}
    assert [v["trial_share"] for v in ask("list")] == [pytest.approx(0.2), None]
    main(["--dsn", dsn, "models", "list"])
    assert "20.0%" in capsys.readouterr().out
    assert ask("stop-trial") == {"stopped": pair[1]}
    assert ask("stop-trial") == {"stopped": None}
    main(["--dsn", dsn, "models", "stop-trial"])
    assert "no model was on trial" in capsys.readouterr().out
    ask("start-trial", ready, "--share", "0.2")
    main(["--dsn", dsn, "models", "stop-trial"])
    assert f"model {ready} is on trial no more" in capsys.readouterr().out
