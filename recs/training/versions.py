"""Model versions: their rows in recs.models, from the first line of training to the last flip."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from recs.database import driver_connection
from recs.errors import BadInput, RecsError
from recs.schema import PARTITIONED_BY_MODEL

# Functions of a version's own, see create_serving_function.sql and create_user_functions.sql.
SERVING_FUNCTIONS = ("nearest_items", "stored_user", "user_history")
PUBLISHED = ("ready", "active", "retired")  # states of versions that have vectors
PATIENCE = 30  # seconds that a drop waits for transactions that use recs
LOCK_TIMEOUT = "300ms"  # of a try, while others wait behind it
PAUSE = 0.5  # seconds until the next
# In the order in which an answer reads them.
_AS_READ = ("user_embeddings", "item_embeddings", "content_terms")

# First key of the advisory locks that trainings hold; the second is the model_id.
_TRAINING_LOCK = 0x72656373


@dataclass(frozen=True)
class ModelVersion:
    """A row of recs.models, as `recs models list` shows it."""

    model_id: int
    name: str
    state: str
    dimension: int
    metrics: Mapping[str, Any]
    parameters: Mapping[str, Any]
    trained_until: datetime | None
    created_at: datetime
    activated_at: datetime | None
    previous_model_id: int | None
    trial_share: float | None


_SELECT = (
    "SELECT model_id, name, state, dimension, metrics, parameters, trained_until, created_at,"
    " activated_at, previous_model_id, trial_share FROM recs.models"
    " WHERE tenant_id = recs.current_tenant()"
)


def list_versions(connection: Connection) -> list[ModelVersion]:
    """Return the tenant's versions, newest first."""
    rows = connection.execute(text(_SELECT + " ORDER BY model_id DESC"))
    return [ModelVersion(*row) for row in rows]


def active_version(connection: Connection) -> ModelVersion | None:
    """Return the version that serves, or None."""
    row = connection.execute(text(_SELECT + " AND state = 'active'")).one_or_none()
    return None if row is None else ModelVersion(*row)


def get_version(connection: Connection, model_id: int) -> ModelVersion:
    """Return one version.

    Raises:
        BadInput: the tenant has no such model.
    """
    row = connection.execute(text(_SELECT + " AND model_id = :id"), {"id": model_id}).one_or_none()
    if row is None:
        tenant = connection.execute(text("SELECT recs.current_tenant()")).scalar_one()
        raise BadInput(
            f"tenant {tenant} has no model {model_id}", hint="list them: recs models list"
        )
    return ModelVersion(*row)


def get_published(connection: Connection, model_id: int) -> ModelVersion:
    """Return one version that has vectors.

    Raises:
        BadInput: the tenant has no such model, or its training goes on or has failed.
    """
    version = get_version(connection, model_id)
    if version.state not in PUBLISHED:
        raise BadInput(
            f"model {model_id} is {version.state}, expected ready, active or retired",
            hint="list them: recs models list",
        )
    return version


@contextmanager
def new_version(engine: Engine, *, name: str, dimension: int) -> Iterator[int]:
    """Register a version in state 'training' and yield its model_id.

    While the block runs, a transaction of its own holds an advisory lock, so that a training that
    died can be told from one that runs: the next one clears what the dead one left. If the block
    raises, the version is 'failed'.
    """
    # At READ COMMITTED it holds no snapshot, and keeps VACUUM from nothing.
    with engine.connect().execution_options(isolation_level="READ COMMITTED") as session:
        clear_litter(session)
        model_id: int = session.execute(
            text("SELECT nextval('recs.models_model_id_seq')")
        ).scalar_one()
        session.commit()
        _hold(session, model_id)
        with engine.begin() as connection:
            connection.execute(
                text(
                    "INSERT INTO recs.models (model_id, name, dimension)"
                    " OVERRIDING SYSTEM VALUE VALUES (:id, :name, :dimension)"
                ),
                {"id": model_id, "name": name, "dimension": dimension},
            )
        try:
            yield model_id
        except BaseException:
            # Where the server is gone, what went wrong first is what there is to say.
            with suppress(DBAPIError):
                _fail(engine, model_id)
            raise
        finally:
            with suppress(DBAPIError):
                session.rollback()


def _hold(session: Connection, model_id: int) -> None:
    """Lock a number of a version until the transaction ends.

    Of the transaction, not of the session: a pooler would give that to others meanwhile. It is idle
    for as long as the training takes: were it ended, the next training would think this one dead.
    """
    session.execute(
        text("SELECT pg_advisory_xact_lock(:key, :id)"), {"key": _TRAINING_LOCK, "id": model_id}
    )
    # Last, and without parameters: what has some leaves a portal open, and its snapshot with it.
    session.execute(
        text(
            "SELECT set_config(name, '0', true) FROM pg_settings"
            " WHERE name IN ('idle_in_transaction_session_timeout', 'transaction_timeout')"
        )
    )


def clear_litter(session: Connection) -> None:
    """Mark versions whose training died as failed; publishing itself leaves nothing behind."""
    candidates = session.execute(
        text("SELECT model_id FROM recs.models WHERE state = 'training'")
    ).scalars()
    for model_id in candidates.all():
        keys = {"key": _TRAINING_LOCK, "id": model_id}
        dead = session.execute(text("SELECT pg_try_advisory_xact_lock(:key, :id)"), keys)
        if dead.scalar_one():
            session.execute(
                text(
                    "UPDATE recs.models SET state = 'failed'"
                    " WHERE model_id = :id AND state = 'training'"
                ),
                keys,
            )
    session.commit()


def _fail(engine: Engine, model_id: int) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE recs.models SET state = 'failed'"
                " WHERE model_id = :id AND state = 'training'"
            ),
            {"id": model_id},
        )


def activate(connection: Connection, model_id: int) -> None:
    """Make a version the one that serves, at commit of the caller's transaction."""
    connection.execute(text("SELECT recs.activate_model(:id)"), {"id": model_id})


def roll_back(connection: Connection) -> int:
    """Activate the version that served before; return its model_id."""
    return int(connection.execute(text("SELECT recs.roll_back_model()")).scalar_one())


def start_trial(connection: Connection, model_id: int, share: float) -> None:
    """Let a version answer a share of the users beside the active one, at the caller's commit."""
    connection.execute(
        text("SELECT recs.start_trial(:id, CAST(:share AS real))"),
        {"id": model_id, "share": share},
    )


def stop_trial(connection: Connection) -> int | None:
    """Let the active version answer all users again; return the model_id of the other, if any."""
    stopped: int | None = connection.execute(text("SELECT recs.stop_trial()")).scalar_one()
    return stopped


def lock_placement(connection: Connection) -> None:
    """Wait for placements, erasures and flips of the tenant; keep others out until commit."""
    connection.execute(text("SELECT recs.lock_placement()"))


def drop_version(connection: Connection, model_id: int) -> None:
    """Drop a version and its vectors, in the caller's transaction.

    It waits for half a minute: for a flip or a publishing that is under way, for transactions that
    have asked recs or written items and go on, and for who works on the version's own tables. A
    moment at a time, since who drops a partition has the whole table, and whoever asks or writes
    stands in line behind.

    Raises:
        BadInput: it is active or on trial, or there is none.
        RecsError: its tables were always in use; nothing has changed.
    """
    end = time.monotonic() + PATIENCE
    while not _try_to_drop(connection, model_id):
        if time.monotonic() > end:
            raise RecsError(
                f"model {model_id} was not dropped: for {PATIENCE} seconds there was a transaction"
                " that had asked recs or written items, made a model or used this one's tables",
                hint="nothing has changed; end it, or drop the model when it is over",
            )
        time.sleep(PAUSE)


def _try_to_drop(connection: Connection, model_id: int) -> bool:
    """Drop a version whole, or nothing where a lock is not to be had in a moment.

    That is less than PostgreSQL waits before it looks for a deadlock. It holds for the drop itself
    too, which locks what cannot be locked before it: TOAST tables, which are vacuumed on their own.
    """
    before = connection.execute(text("SHOW lock_timeout")).scalar_one()

    def drop() -> None:
        set_lock_timeout(connection, LOCK_TIMEOUT)
        _lock_to_drop(connection, model_id)
        _drop(driver_connection(connection), model_id)
        set_lock_timeout(connection, before)

    return done_in_time(connection, drop)


def done_in_time(connection: Connection, step: Callable[[], None]) -> bool:
    """Take a step in a savepoint; say whether lock_timeout let it, else nothing is changed."""
    try:
        with connection.begin_nested():
            step()
    except (DBAPIError, psycopg.Error) as error:
        if isinstance(getattr(error, "orig", error), psycopg.errors.LockNotAvailable):
            return False
        raise
    return True


def _lock_to_drop(connection: Connection, model_id: int) -> None:
    """Lock a version and what holds its partitions; these last, as all who ask read them."""
    driver = driver_connection(connection)
    lock_placement(connection)
    driver.execute("SELECT FROM recs.models WHERE model_id = %s FOR UPDATE", [model_id])
    _require_unused(get_version(connection, model_id))
    own = [partition(name, model_id) for name in _AS_READ if has_partition(driver, name, model_id)]
    parents = [sql.SQL("ONLY {}").format(sql.Identifier("recs", name)) for name in _AS_READ]
    driver.execute(
        sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(sql.SQL(", ").join(own + parents))
    )


def _drop(driver: psycopg.Connection[Any], model_id: int) -> None:
    for table in PARTITIONED_BY_MODEL:
        driver.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(partition(table.name, model_id)))
    for function in SERVING_FUNCTIONS:
        name = sql.Identifier("recs", f"{function}_{model_id}")
        driver.execute(sql.SQL("DROP FUNCTION IF EXISTS {}").format(name))
    # Who would have gone back to it goes back to the one before it, if that is another.
    driver.execute(
        "UPDATE recs.models m SET previous_model_id = nullif(d.previous_model_id, m.model_id)"
        " FROM recs.models d"
        " WHERE d.model_id = %s AND m.previous_model_id = d.model_id",
        [model_id],
    )
    driver.execute("DELETE FROM recs.models WHERE model_id = %s", [model_id])


def set_lock_timeout(connection: Connection, value: str) -> None:
    """Set it until the end of the caller's transaction, or savepoint if that is rolled back."""
    connection.execute(text("SELECT set_config('lock_timeout', :value, true)"), {"value": value})


def _require_unused(version: ModelVersion) -> None:
    if version.state == "active":
        raise BadInput(
            f"model {version.model_id} is active",
            hint="activate another first: recs models activate ID",
        )
    if version.trial_share is not None:
        raise BadInput(
            f"model {version.model_id} is on trial", hint="stop that first: recs models stop-trial"
        )


def partition(table: str, model_id: int) -> sql.Identifier:
    """Return the name of the partition of `table` that holds a version's rows."""
    return sql.Identifier("recs", f"{table}_{model_id}")


def has_partition(driver: psycopg.Connection[Any], table: str, model_id: int) -> bool:
    """Say whether a version has one: a training that failed has none, others may lack terms."""
    row = driver.execute("SELECT to_regclass(%s)", [f"recs.{table}_{model_id}"]).fetchone()
    return row is not None and row[0] is not None


def require_training(connection: psycopg.Connection[Any], model_id: int) -> None:
    """Check that a version is still ours to publish.

    Raises:
        BadInput: another session failed it, or it was published already.
    """
    row = connection.execute(
        "SELECT state FROM recs.models WHERE model_id = %s FOR UPDATE", [model_id]
    ).fetchone()
    state = None if row is None else row[0]
    if state != "training":
        raise BadInput(
            f"model {model_id} is {state or 'not there'}, expected training",
            hint="train another: recs train",
        )
