"""The shop that serving is measured on: clustered vectors, and users with long histories."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from sqlalchemy import Engine

from benchmarks import harness
from recs import database
from recs.cli.output import Output
from recs.training import publishing, versions
from recs.training.publication import ItemVectors, Publication, UserVectors

TRAINED_UNTIL = datetime(2024, 6, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Shop:
    """What was published: item j has vector `items[j]`; user u has seen `seen[u]`."""

    model_id: int
    items: harness.Floats
    seen: NDArray[np.int64]


def make_shop(dsn: str, options: argparse.Namespace, output: Output) -> Shop:
    """Fill a database with it, and publish and activate a version."""
    engine = database.make_engine(dsn)
    random = np.random.default_rng(7)
    items, cluster = harness.clustered_vectors(
        random, options.items, options.dimension, overlap=options.overlap
    )
    seen = _histories(random, cluster, options.users, options.seen)
    with output.progress() as progress:
        task = progress.add_task("load", total=None)
        with engine.begin() as connection:
            _load(database.driver_connection(connection), options.items, seen)

        def on_progress(step: str, done: int, total: int) -> None:
            progress.update(task, description=step, completed=done, total=total)

        with versions.new_version(engine, name="bench", dimension=options.dimension) as model_id:
            what = _publication(engine, items, seen)
            publishing.publish(engine, model_id, what, on_progress=on_progress)
    with engine.begin() as connection:
        versions.activate(connection, model_id)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")
    return Shop(model_id, items, seen)


def _histories(
    random: np.random.Generator, cluster: NDArray[np.int64], users: int, length: int
) -> NDArray[np.int64]:
    """Return distinct items for each user [users, length], drawn from three clusters."""
    members = [np.flatnonzero(cluster == c) for c in range(cluster.max() + 1)]
    rows = []
    for _ in range(users):
        pool = np.concatenate([members[c] for c in random.choice(len(members), 3, replace=False)])
        if len(pool) < length:
            pool = np.arange(len(cluster))
        rows.append(random.choice(pool, length, replace=False))
    return np.array(rows)


def _load(driver: psycopg.Connection[Any], items: int, seen: NDArray[np.int64]) -> None:
    driver.execute(
        "INSERT INTO recs.items (item_id, title, attributes)"
        " SELECT 'item-' || j, 'title of item ' || j,"
        " jsonb_build_object('colour', j %% 10, 'brand', j / 10 %% 100, 'lot', j / 10)"
        " FROM generate_series(0, %s) AS j",
        [items - 1],
    )
    events = [(f"user-{u}", j, n) for u, row in enumerate(seen) for n, j in enumerate(row)]
    driver.execute("CREATE TABLE stock (shelf int PRIMARY KEY, item_id text NOT NULL)")
    driver.execute(
        "INSERT INTO stock SELECT row_number() OVER (ORDER BY hashint4(j)) - 1, 'item-' || j"
        " FROM generate_series(0, %s) AS j",
        [items - 1],
    )
    # They shop at different times: the order of the rows is not that of the users.
    order = np.random.default_rng(1).permutation(len(events))
    with driver.cursor().copy(
        "COPY recs.interactions (user_id, item_id, occurred_at) FROM STDIN"
    ) as copy:
        for user, item, n in (events[i] for i in order):
            copy.write_row((user, f"item-{item}", TRAINED_UNTIL - timedelta(hours=1 + n)))
        for user, item, n in _fold_in_events(items):
            copy.write_row((user, f"item-{item}", TRAINED_UNTIL + timedelta(hours=1 + n)))
    driver.execute("SELECT recs.refresh_popularity()")


def _fold_in_events(items: int) -> Iterable[tuple[str, int, int]]:
    random = np.random.default_rng(2)
    for user in range(100):
        for n, item in enumerate(random.choice(items, 5, replace=False)):
            yield f"newcomer-{user}", int(item), n


def _publication(engine: Engine, items: harness.Floats, seen: NDArray[np.int64]) -> Publication:
    with engine.connect() as connection:
        fingerprints = dict(
            database.driver_connection(connection)
            .execute(
                "SELECT user_id, sum(hashtext(item_id)::bigint)::bigint FROM recs.interactions"
                " WHERE occurred_at <= %s GROUP BY user_id",
                [TRAINED_UNTIL],
            )
            .fetchall()
        )
    users = [f"user-{u}" for u in range(len(seen))]
    history = np.array([items[row].sum(0) for row in seen], np.float32)
    return Publication(
        items=ItemVectors([f"item-{j}" for j in range(len(items))], items, items),
        users=UserVectors(
            users,
            history,
            np.full(len(seen), seen.shape[1], np.int32),
            np.array([fingerprints[user] for user in users], np.int64),
        ),
        terms=None,
        history_half_life=None,
        trained_until=TRAINED_UNTIL,
    )
