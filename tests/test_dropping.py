"""Dropping a version: all of it goes, nothing that serves does, and nobody waits for it long."""

from __future__ import annotations

import json
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from recs import Item, Recommender
from recs.cli import main
from recs.errors import BadInput, RecsError
from recs.training import publishing, versions
from tests import shops
from tests.locks import wait_until_one_waits

N = 60
_PARENTS_LOCKED = text(
    "SELECT count(*) FROM pg_locks l JOIN pg_partitioned_table p ON p.partrelid = l.relation"
    " WHERE l.mode = 'AccessExclusiveLock'"
)


@pytest.fixture
def ids(engine: Engine) -> list[str]:
    return shops.insert_items(engine, N)


def vectors(seed: int) -> np.ndarray:
    return shops.unit(np.random.default_rng(seed).normal(size=(N, 8)))


def test_dropping_a_version_drops_its_vectors_and_the_active_one_stays(
    engine: Engine, ids: list[str]
) -> None:
    first = shops.publish(engine, shops.publication(ids, vectors(4)))
    second = shops.publish(engine, shops.publication(ids, vectors(2)))
    with engine.begin() as connection:
        with pytest.raises(BadInput, match=f"model {second} is active"):
            versions.drop_version(connection, second)
        before = connection.execute(text("SHOW lock_timeout")).scalar_one()
        versions.drop_version(connection, first)
        assert connection.execute(text("SHOW lock_timeout")).scalar_one() == before
    with engine.connect() as connection:
        left = connection.execute(
            text("SELECT relname FROM pg_class WHERE relnamespace = 'recs'::regnamespace"
                 " AND relname ~ :name"
                 " UNION ALL SELECT proname FROM pg_proc"
                 " WHERE pronamespace = 'recs'::regnamespace AND proname ~ :name"),
            {"name": f"_{first}(_|$)"},
        ).scalars()  # fmt: skip
        assert left.all() == []
    assert shops.states(engine) == {second: "active"}


def test_roll_back_passes_over_a_version_that_was_dropped(engine: Engine, ids: list[str]) -> None:
    first, second, _ = (shops.publish(engine, shops.publication(ids, vectors(s))) for s in range(3))
    with engine.begin() as connection:
        versions.drop_version(connection, second)
        assert versions.roll_back(connection) == first


def test_a_drop_makes_nobody_wait_for_a_transaction_that_has_asked(
    engine: Engine, ids: list[str]
) -> None:
    first, _ = (shops.publish(engine, shops.publication(ids, vectors(s))) for s in range(2))

    def drop() -> None:
        with engine.begin() as connection:
            versions.drop_version(connection, first)

    with ThreadPoolExecutor(1) as pool, engine.begin() as asking:
        shops.record(engine, [("u", ids[0])])
        Recommender(asking).recommend("stranger", 1)
        dropping = pool.submit(drop)
        wait_until_one_waits(engine, "relation")
        with engine.begin() as connection:  # it stands behind the drop, for a moment
            connection.execute(text("SET LOCAL statement_timeout = '5s'"))
            assert Recommender(connection).recommend("u", 1)
        assert Recommender(asking).recommend("u", 1), "no deadlock: that is read in another order"
        assert not dropping.done()
        asking.commit()
        dropping.result(30)
    assert first not in shops.states(engine)


def test_a_drop_gives_up_on_tables_in_use_and_says_so(
    engine: Engine, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (shops.publish(engine, shops.publication(ids, vectors(s))) for s in range(2))
    monkeypatch.setattr(versions, "PATIENCE", 0)
    with engine.begin() as asking:
        Recommender(asking).recommend("stranger", 1)
        with engine.begin() as connection:
            with pytest.raises(RecsError, match=rf"model {first} was not dropped(.|\n)*hint: "):
                versions.drop_version(connection, first)
            before = connection.execute(text("SHOW lock_timeout")).scalar_one()
    assert before == "0"
    assert shops.states(engine) == {first: "retired", second: "active"}


@pytest.mark.parametrize("table", ["item_embeddings", "user_embeddings"])
def test_a_drop_that_waits_for_a_versions_own_table_lets_others_ask_and_gives_up(
    engine: Engine, ids: list[str], monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    first, second = (shops.publish(engine, shops.publication(ids, vectors(s))) for s in range(2))
    shops.record(engine, [("u", ids[0])])
    monkeypatch.setattr(versions, "PATIENCE", 2)

    def drop() -> None:
        with engine.begin() as connection:
            versions.drop_version(connection, first)

    with ThreadPoolExecutor(1) as pool, engine.begin() as analyzing:
        analyzing.execute(text(f"ANALYZE recs.{table}_{first}"))
        dropping = pool.submit(drop)
        wait_until_one_waits(engine, "relation")
        asked = 0
        while not dropping.done():
            with engine.begin() as connection:
                connection.execute(text("SET LOCAL statement_timeout = '5s'"))
                assert connection.execute(_PARENTS_LOCKED).scalar_one() == 0
                assert Recommender(connection).recommend("u", 1)
            asked += 1
        with pytest.raises(RecsError, match=f"model {first} was not dropped"):
            dropping.result()
    assert asked > 1
    assert shops.states(engine) == {first: "retired", second: "active"}
    with engine.connect() as connection:
        left = connection.execute(
            text("SELECT count(*) FROM recs.item_embeddings WHERE model_id = :id"), {"id": first}
        )
        assert left.scalar_one() == N
    drop()
    assert shops.states(engine) == {second: "active"}


def test_a_drop_that_its_toast_table_holds_up_has_nobody_wait_behind_it(
    engine: Engine, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (shops.publish(engine, shops.publication(ids, vectors(s))) for s in range(2))
    monkeypatch.setattr(versions, "PATIENCE", 0)
    with engine.begin() as reading:
        toast = reading.execute(
            text("SELECT reltoastrelid::regclass FROM pg_class"
                 " WHERE oid = CAST(:name AS regclass)"),
            {"name": f"recs.user_embeddings_{first}"},
        ).scalar_one()  # fmt: skip
        reading.execute(text(f"SELECT FROM {toast}"))  # vacuumed on its own by autovacuum, too
        with engine.begin() as connection:
            connection.execute(text("SET LOCAL statement_timeout = '10s'"))
            with pytest.raises(RecsError, match=f"model {first} was not dropped"):
                versions.drop_version(connection, first)
            assert connection.execute(text("SHOW lock_timeout")).scalar_one() == "0"
    assert shops.states(engine) == {first: "retired", second: "active"}


def test_a_drop_makes_nobody_wait_for_a_transaction_that_has_written_items(
    engine: Engine, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = (shops.publish(engine, shops.publication(ids, vectors(s))) for s in range(2))
    monkeypatch.setattr(versions, "PATIENCE", 3)

    def drop() -> None:
        with engine.begin() as connection:
            versions.drop_version(connection, first)

    with ThreadPoolExecutor(1) as pool, engine.begin() as writing:
        Recommender(writing).upsert_items([Item("new")])
        dropping = pool.submit(drop)
        wait_until_one_waits(engine, "advisory")
        with engine.begin() as connection:  # it stands behind the drop, for a moment
            connection.execute(text("SET LOCAL statement_timeout = '5s'"))
            Recommender(connection).upsert_items([Item("newer")])
        with pytest.raises(RecsError, match=f"model {first} was not dropped"):
            dropping.result(10)


def test_a_version_that_is_being_activated_is_not_dropped_under_it(
    engine: Engine, ids: list[str]
) -> None:
    shops.publish(engine, shops.publication(ids, vectors(4)))
    second = shops.publish(engine, shops.publication(ids, vectors(2)), activate=False)

    def drop() -> None:
        with engine.begin() as connection:
            versions.drop_version(connection, second)

    with ThreadPoolExecutor(1) as pool, engine.begin() as connection:
        versions.activate(connection, second)
        dropping = pool.submit(drop)
        wait_until_one_waits(engine, "advisory")
        connection.commit()
        with pytest.raises(BadInput, match=f"model {second} is active"):
            dropping.result()
    assert shops.states(engine)[second] == "active"


def test_a_version_dropped_while_it_is_published_leaves_no_table(
    engine: Engine, ids: list[str]
) -> None:
    def drop() -> None:
        with engine.begin() as connection:
            versions.drop_version(connection, model_id)

    with ThreadPoolExecutor(1) as pool:

        def drop_it(step: str, done: int, _total: int) -> None:
            if step == "build index" and not done:
                dropping.append(pool.submit(drop))
                wait_until_one_waits(engine, "transactionid")

        dropping: list[Future[None]] = []
        with versions.new_version(engine, name="dropped", dimension=8) as model_id:
            what = shops.publication(ids, vectors(4))
            publishing.publish(engine, model_id, what, on_progress=drop_it)
        dropping[0].result()
    with engine.connect() as connection:
        left = connection.execute(
            text("SELECT count(*) FROM pg_class WHERE relname LIKE :name"),
            {"name": f"%embeddings_{model_id}%"},
        ).scalar_one()
    assert left == 0
    assert shops.states(engine) == {}


def test_pruning_leaves_the_newest_and_what_serves_is_tried_trained_or_gone_back_to(
    engine: Engine, dsn: str, ids: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    what = shops.publication(ids, vectors(1))
    first, second, third = (shops.publish(engine, what) for _ in range(3))
    refused, tried, newest = (shops.publish(engine, what, activate=False) for _ in range(3))
    with engine.begin() as connection:
        versions.activate(connection, second)  # from the third
        versions.start_trial(connection, tried, 0.5)

    def prune(keep: int) -> list[int]:
        main(["--dsn", dsn, "--json", "models", "prune", "--keep", str(keep)])
        dropped: list[int] = json.loads(capsys.readouterr().out)["dropped"]
        return dropped

    assert prune(6) == []
    with versions.new_version(engine, name="being trained", dimension=8) as trained:
        assert prune(2) == [first, refused]
        assert set(shops.states(engine)) == {second, third, tried, newest, trained}
        assert prune(0) == [newest]
        publishing.publish(engine, trained, what)
    assert shops.states(engine) == {
        second: "active", third: "retired", tried: "ready", trained: "ready"
    }  # fmt: skip
    with engine.begin() as connection:
        assert versions.roll_back(connection) == third
    main(["--dsn", dsn, "models", "prune", "--keep", "4"])
    assert capsys.readouterr().out == "of 4 models none is to go\n"
    main(["--dsn", dsn, "models", "stop-trial"])
    main(["--dsn", dsn, "models", "prune", "--keep", "1"])
    assert f"model {tried} is gone\n" in capsys.readouterr().out
    with engine.begin() as connection:
        versions.activate(
            connection, trained
        )  # from the third, which was activated from the second
    assert prune(0) == [second]


def test_pruning_counts_versions_that_have_vectors_and_not_trainings_that_failed(
    engine: Engine, dsn: str, ids: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> int:
        failing = versions.new_version(engine, name="fails", dimension=8)
        with suppress(InterruptedError), failing as model_id:
            raise InterruptedError
        return model_id

    what = shops.publication(ids, vectors(1))
    early = fail()
    oldest, older, active = (shops.publish(engine, what) for _ in range(3))
    between = fail()
    refused = shops.publish(engine, what, activate=False)
    late = [fail() for _ in range(3)]
    main(["--dsn", dsn, "--json", "models", "prune", "--keep", "2"])
    assert json.loads(capsys.readouterr().out) == {"dropped": [early, oldest]}
    assert set(shops.states(engine)) == {older, active, between, refused, *late}


def test_a_version_whose_predecessor_is_dropped_is_not_its_own(
    engine: Engine, ids: list[str]
) -> None:
    what = shops.publication(ids, vectors(1))
    first, second = (shops.publish(engine, what) for _ in range(2))
    with engine.begin() as connection:
        versions.activate(connection, first)  # each came after the other once
        versions.drop_version(connection, second)
    with engine.connect() as connection:
        active = versions.active_version(connection)
        assert active is not None
        assert (active.model_id, active.previous_model_id) == (first, None)
        with pytest.raises(DBAPIError, match="has no model to roll back to"):
            versions.roll_back(connection)
