"""The version of a training: published whole, cut off, taken for dead, beside others."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psycopg
import pytest
from sqlalchemy import Connection, Engine, event, text

from recs import database
from recs.errors import BadInput
from recs.training import publishing, versions
from tests import shops

N = 60


@pytest.fixture
def ids(engine: Engine) -> list[str]:
    return shops.insert_items(engine, N)


def vectors(seed: int, dimension: int = 8) -> np.ndarray:
    return shops.unit(np.random.default_rng(seed).normal(size=(N, dimension)))


def _publish_and_die(dsn: str, step: str) -> None:
    def die(current: str, done: int, total: int) -> None:
        if current == step and (done > 0 or step == "build index"):
            os.kill(os.getpid(), signal.SIGKILL)

    engine = database.make_engine(dsn)
    what = shops.publication(shops.item_ids(N), vectors(2), histories={"u": [1, 2]})
    with versions.new_version(engine, name="dies", dimension=8) as model_id:
        publishing.publish(engine, model_id, what, on_progress=die)


@pytest.mark.parametrize("step", ["write items", "write users", "build index"])
def test_a_crash_in_write_back_leaves_the_active_model_serving_and_no_litter(
    engine: Engine, dsn: str, ids: list[str], step: str
) -> None:
    old = vectors(4)
    survivor = shops.publish(engine, shops.publication(ids, old))
    relations = "SELECT count(*) FROM pg_class WHERE relnamespace = 'recs'::regnamespace"
    with engine.connect() as connection:
        before = connection.execute(text(relations)).scalar_one()
    process = multiprocessing.get_context("spawn").Process(
        target=_publish_and_die, args=(dsn, step)
    )
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert shops.first_choice(engine) == shops.nearest_to_first(old)
    _wait_for_backends_to_notice(engine)
    with engine.connect() as connection:
        assert connection.execute(text(relations)).scalar_one() == before
        versions.clear_litter(connection)
    assert sorted(shops.states(engine).values()) == ["active", "failed"]
    new = vectors(5)
    shops.publish(engine, shops.publication(ids, new))
    assert shops.first_choice(engine) == shops.nearest_to_first(new)
    with engine.begin() as connection:
        assert versions.roll_back(connection) == survivor


def _wait_for_backends_to_notice(engine: Engine) -> None:
    for _ in range(100):
        with engine.connect() as connection:
            others = connection.execute(
                text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                     " AND pid <> pg_backend_pid()")
            ).scalar_one()  # fmt: skip
        if not others:
            return
        time.sleep(0.05)
    raise AssertionError("the killed client's sessions are still there")


def test_a_running_training_is_not_taken_for_litter(engine: Engine, ids: list[str]) -> None:
    with versions.new_version(engine, name="slow", dimension=8) as running:
        shops.publish(engine, shops.publication(ids, vectors(4)))
        assert shops.states(engine)[running] == "training"
        publishing.publish(engine, running, shops.publication(ids, vectors(2)))
    assert shops.states(engine)[running] == "ready"


def test_a_training_that_died_is_marked_as_failed_by_the_next(
    engine: Engine, ids: list[str]
) -> None:
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO recs.models (name, dimension) VALUES ('dead', 8)"))
    with versions.new_version(engine, name="next", dimension=8) as model_id:
        assert sorted(shops.states(engine).values()) == ["failed", "training"]
        publishing.publish(engine, model_id, shops.publication(ids, vectors(4)))
    assert sorted(shops.states(engine).values()) == ["failed", "ready"]


def test_a_version_that_is_published_stays_ready_whatever_fails_after(
    engine: Engine, ids: list[str]
) -> None:
    def publish_and_fail() -> None:
        with versions.new_version(engine, name="done", dimension=8) as model_id:
            publishing.publish(engine, model_id, shops.publication(ids, vectors(4)))
            raise InterruptedError

    with pytest.raises(InterruptedError):
        publish_and_fail()
    assert list(shops.states(engine).values()) == ["ready"]


def test_a_training_that_is_interrupted_has_failed_at_once(engine: Engine) -> None:
    def interrupted() -> None:
        with versions.new_version(engine, name="stopped", dimension=8):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(shops.states(engine).values()) == ["failed"]


@pytest.mark.parametrize(
    "setting",
    ["idle_session_timeout", "idle_in_transaction_session_timeout", "transaction_timeout"],
)
def test_a_training_outlives_the_time_that_sessions_may_be_idle(
    engine: Engine, dsn: str, setting: str
) -> None:
    with engine.begin() as connection:
        known = text("SELECT FROM pg_settings WHERE name = :setting")
        if not connection.execute(known, {"setting": setting}).all():
            pytest.skip(f"{setting} is of PostgreSQL 17")
        name = connection.execute(text("SELECT quote_ident(current_database())")).scalar_one()
        connection.execute(text(f"ALTER DATABASE {name} SET {setting} = '300ms'"))
    slow = database.make_engine(dsn)
    with versions.new_version(slow, name="slow", dimension=8) as model_id:
        with psycopg.connect(dsn) as other:  # as idle as the training's own session
            other.execute("SELECT")
            if setting == "idle_session_timeout":
                other.commit()
            time.sleep(1)
            with pytest.raises(psycopg.Error, match="terminating"):
                other.execute("SELECT")
        with slow.connect() as connection:
            versions.clear_litter(connection)
            assert versions.get_version(connection, model_id).state == "training"


def test_a_training_holds_nothing_that_vacuum_waits_for_and_no_lock_of_a_session(
    engine: Engine, dsn: str
) -> None:
    strict = engine.execution_options(isolation_level="REPEATABLE READ")
    with (
        versions.new_version(strict, name="slow", dimension=8) as model_id,
        engine.connect() as connection,
    ):
        held = connection.execute(
            text(
                "SELECT a.state, a.backend_xid, a.backend_xmin FROM pg_locks l"
                " JOIN pg_stat_activity a USING (pid)"
                " WHERE l.locktype = 'advisory' AND l.granted AND l.objid = :id AND l.objsubid = 2"
            ),
            {"id": model_id},
        ).one()
    # As a lock of a transaction: of a session, it would be held by one that is idle.
    assert held == ("idle in transaction", None, None)


def test_what_a_training_died_of_is_told_though_the_server_is_gone_by_then(engine: Engine) -> None:
    def training() -> None:
        with versions.new_version(engine, name="cut off", dimension=8):
            event.listen(engine, "do_connect", refuse)
            raise InterruptedError("the first cause")

    def refuse(*_: object) -> None:
        raise psycopg.OperationalError("no server")

    try:
        with pytest.raises(InterruptedError, match="the first cause"):
            training()
    finally:
        event.remove(engine, "do_connect", refuse)


def test_a_version_is_freed_of_who_was_erased_in_the_transaction_that_publishes_it(
    engine: Engine, ids: list[str]
) -> None:
    begun = []

    def count(connection: Connection) -> None:
        begun.append(connection)

    what = shops.publication(ids, vectors(4), histories={"erased since": [1]})
    with versions.new_version(engine, name="new", dimension=8) as model_id:
        event.listen(engine, "begin", count)
        publishing.publish(engine, model_id, what)
        event.remove(engine, "begin", count)
    assert len(begun) == 1  # or what dies between two leaves it in a version that is ready
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM recs.user_embeddings")).scalar() == 0


def test_a_version_that_was_taken_for_dead_is_not_published(engine: Engine, ids: list[str]) -> None:
    with versions.new_version(engine, name="slow", dimension=8) as model_id:
        with engine.begin() as connection:
            connection.execute(text("UPDATE recs.models SET state = 'failed'"))
        with pytest.raises(BadInput, match=f"model {model_id} is failed, expected training"):
            publishing.publish(engine, model_id, shops.publication(ids, vectors(4)))
    assert shops.states(engine) == {model_id: "failed"}


def test_a_version_published_while_litter_is_looked_for_is_not_taken_for_it(
    engine: Engine, ids: list[str]
) -> None:
    with versions.new_version(engine, name="slow", dimension=8) as slow:
        publishing.publish(engine, slow, shops.publication(ids, vectors(2)))
    # As a session sees it that has read the states before, and gets the lock after.
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE recs.models SET state = 'training' WHERE model_id = :id"), {"id": slow}
        )

    def finish(_connection: Connection, *clauses: object) -> None:
        if "pg_try_advisory_xact_lock" in str(clauses[1]):
            with engine.begin() as other:
                other.execute(text("UPDATE recs.models SET state = 'ready'"))

    with engine.connect() as session:
        event.listen(session, "before_cursor_execute", finish)
        versions.clear_litter(session)
    assert shops.states(engine)[slow] == "ready"


def test_two_publications_at_once_do_not_disturb_each_other(engine: Engine, ids: list[str]) -> None:
    def publish(seed: int) -> int:
        return shops.publish(engine, shops.publication(ids, vectors(seed)), activate=False)

    with ThreadPoolExecutor(2) as pool:
        assert len(set(pool.map(publish, (1, 2)))) == 2
    assert set(shops.states(engine).values()) == {"ready"}
