"""Our method, judged on the rows that the database returns, index included.

A database of its own is loaded from files, trained and published by the package as a user would;
a request is a transaction that records what new users did, asks recs.recommend, and rolls back.
"""

import json
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import Connection, Engine, text

from benchmarks.quality.datasets import IntArray, Interactions
from benchmarks.quality.method import Params
from benchmarks.quality.protocols import Split
from benchmarks.quality.tasks import Request
from recs import Interaction, Item, Recommender, database, loading, migration, server
from recs.learning import TrainingConfig
from recs.metrics import PADDING
from recs.training.pipeline import train_model
from recs.tuning import tune

BATCH = 100  # users in one statement
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class Served:
    """A database with an active model."""

    split: Split
    folder: Path
    engine: Engine
    details: dict[str, Any] = field(default_factory=dict)
    catalog: set[int] = field(default_factory=set)  # items in the database

    def recommend(self, request: Request, *, k: int) -> IntArray:
        """Ask the database; an item that it may know and must not list is dropped from its rows."""
        self._extend_catalog(request.candidates)
        lists = np.full((len(request.users), k), PADDING, np.int64)
        with self._situation(request) as connection:
            spare = self._most_unseen_exclusions(request)
            for rows in _batches(len(request.users)):
                answers = self._answers(connection, request.users[rows], k + spare)
                for row, items in zip(rows, answers, strict=True):
                    barred = request.excluded[[row]].indices
                    kept = items[~np.isin(items, barred)][:k]
                    lists[row, : len(kept)] = kept
        return lists

    def close(self) -> None:
        """Stop the server and remove its folder."""
        self.engine.dispose()
        server.stop(self.folder / "server")
        shutil.rmtree(self.folder, ignore_errors=True)

    def _extend_catalog(self, candidates: IntArray) -> None:
        """Insert items that the database has not, as a shop does with new arrivals."""
        new = sorted(set(candidates.tolist()) - self.catalog)
        if new:
            Recommender(self.engine).upsert_items(item(self.split, one) for one in new)
            self.catalog.update(new)

    @contextmanager
    def _situation(self, request: Request) -> Iterator[Connection]:
        """Open a transaction in which only the candidates are on sale and the known is recorded."""
        keys = self.split.dataset.item_keys
        withdrawn = sorted(self.catalog - set(request.candidates.tolist()))
        with self.engine.connect() as connection:
            if withdrawn:
                connection.execute(
                    text("UPDATE recs.items SET available = false WHERE item_id = ANY(:ids)"),
                    {"ids": [keys[one] for one in withdrawn]},
                )
            Recommender(connection).record_interactions(self._events(request.known))
            yield connection
            connection.rollback()

    def _events(self, events: Interactions) -> Iterator[Interaction]:
        dataset = self.split.dataset
        for user, one, day in zip(events.users, events.items, events.days, strict=True):
            yield Interaction(
                dataset.user_keys[user], dataset.item_keys[one], occurred_at=moment(day)
            )

    def _most_unseen_exclusions(self, request: Request) -> int:
        """Return how many excluded items a user may have that the database does not know of."""
        told = np.bincount(request.known.users, minlength=self.split.dataset.n_users)
        trained = np.isin(request.users, self.split.train.users)
        excluded = np.diff(request.excluded.indptr)
        unseen = np.where(trained, 0, excluded - told[request.users])
        return int(unseen.max(initial=0))

    def _answers(self, connection: Connection, users: IntArray, k: int) -> list[IntArray]:
        """Return the items of every user, best first."""
        keys = [self.split.dataset.user_keys[user] for user in users]
        answers = Recommender(connection).recommend_many(keys, k)
        return [
            np.array([self._numbers[row.item_id] for row in answers[key]], np.int64) for key in keys
        ]

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {key: number for number, key in enumerate(self.split.dataset.item_keys)}


def fit(split: Split, params: Params, seed: int) -> Served:
    """Load a fresh embedded server, train, publish and activate, whatever the gate says."""
    with _started(split) as served:
        _train(served, TrainingConfig(seed=seed, **params))
    return served


def fit_tuned(split: Split, params: Params, seed: int) -> Served:
    """Do the same with the best settings that `recs tune` finds in the trials it is given."""
    with _started(split) as served:
        begun = time.perf_counter()
        report = tune(served.engine, trials=params["trials"], seed=seed)
        seconds = time.perf_counter() - begun
        _train(served, TrainingConfig(seed=seed, **report.best.parameters))
        found = report.document()
        served.details["tuning"] = {name: found[name] for name in found if name != "trials"}
        served.details["training_seconds"] += seconds
    return served


@contextmanager
def _started(split: Split) -> Iterator[Served]:
    """Load a fresh embedded server, and stop it if what follows fails."""
    folder = Path(tempfile.mkdtemp(prefix="recs-quality-"))
    started = server.start(folder / "server", keep_running=True)
    engine = database.make_engine(started.dsn)
    served = Served(split, folder, engine, catalog=set(split.warm_items.tolist()))
    try:
        migration.migrate(engine)
        load(engine, split, folder)
        yield served
    except BaseException:
        served.close()
        raise


def _train(served: Served, config: TrainingConfig) -> None:
    report = train_model(served.engine, config=config, force=True)
    served.details.update(
        report.document(),
        training_seconds=sum(report.seconds.values()),
        training_peak_mb=report.peak_memory_mib,
    )


def load(engine: Engine, split: Split, folder: Path) -> None:
    """Write the training part to files and load them."""
    loading.load_items(engine, write_items(split, folder / "items.jsonl"))
    loading.load_interactions(engine, write_interactions(split, folder / "interactions.parquet"))


def write_items(split: Split, path: Path) -> Path:
    """Write the items of the training as JSON lines."""
    with path.open("w") as lines:
        for one in split.warm_items.tolist():
            known = item(split, one)
            row = {"item_id": known.item_id, "title": known.title, "description": known.description}
            lines.write(json.dumps({**row, "attributes": known.attributes}) + "\n")
    return path


def write_interactions(split: Split, path: Path) -> Path:
    """Write the events of the training as Parquet."""
    train, dataset = split.train, split.dataset
    moments = (train.days * 86_400_000).round().astype("datetime64[ms]")
    table = {
        "user_id": _keys(dataset.user_keys, train.users),
        "item_id": _keys(dataset.item_keys, train.items),
        "occurred_at": pa.array(moments, pa.timestamp("ms", tz="UTC")),
    }
    pq.write_table(pa.table(table), path)
    return path


def item(split: Split, one: int) -> Item:
    """Return an item as the application would insert it."""
    key = split.dataset.item_keys[one]
    if not split.contents:
        return Item(key)
    content = split.contents[one]
    return Item(
        key,
        title=content.title,
        description=content.description,
        attributes=content.attributes,
    )


def moment(day: float) -> datetime:
    """Return the time of a day counted from the epoch."""
    return EPOCH + timedelta(days=float(day))


def _keys(keys: tuple[str, ...], ids: IntArray) -> pa.Array:
    return pa.array(np.asarray(keys, dtype=object)[ids], pa.string())


def _batches(count: int) -> Iterable[range]:
    return (range(start, min(start + BATCH, count)) for start in range(0, count, BATCH))
