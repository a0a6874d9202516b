"""What publishing costs over a bare COPY and CREATE INDEX: `python -m benchmarks.writeback`.

Both write the same vectors and build the same HNSW index (m, ef_construction, memory, workers) in a
database of their own, by turns. The bare one writes one vector an item, with binary COPY, and knows
nothing else; publishing writes two, the user vectors, constraints, a primary key, and attaches.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import numpy as np
import psycopg
from pgvector import HalfVector
from pgvector.psycopg import register_vector
from psycopg import sql
from sqlalchemy import Engine

from benchmarks import harness
from recs import database
from recs.cli.output import Output
from recs.training import publishing, versions
from recs.training.indexing import IndexOptions
from recs.training.publication import ItemVectors, Publication, UserVectors

TARGET = 1.25
INDEX = IndexOptions()


def main() -> None:
    """Measure and print."""
    options = _options()
    output = Output(as_json=options.json)
    vectors, _ = harness.clustered_vectors(
        np.random.default_rng(7), options.items, options.dimension
    )
    rounds = []
    with harness.temporary_database(output) as dsn, output.progress() as progress:
        engine = database.make_engine(dsn)
        what = _publication(vectors)
        for _ in progress.track(range(options.rounds), description="write back"):
            bare = _write_bare(dsn, vectors)
            rounds.append({"bare": bare, "publish": _publish(engine, what)})
    document = _document(rounds, options)
    _print(document, output)
    harness.publish_results("writeback", document, output)


def _options() -> argparse.Namespace:
    parser = harness.parser(__doc__)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--dimension", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


def _write_bare(dsn: str, vectors: harness.Floats) -> dict[str, float]:
    """Write and index the vectors as a script would; return the seconds of each part."""
    halves = vectors.astype(np.float16)
    with psycopg.connect(dsn) as connection:
        register_vector(connection)
        clock = _Clock()
        connection.execute("CREATE TABLE bare (item_id text, embedding halfvec)")
        with connection.cursor().copy("COPY bare FROM STDIN (FORMAT binary, FREEZE)") as copy:
            copy.set_types(["text", "halfvec"])
            for j, half in enumerate(halves):
                copy.write_row((f"item-{j}", HalfVector(half)))
        clock.lap("copy")
        for setting in ("maintenance_work_mem", "max_parallel_maintenance_workers"):
            value = str(getattr(INDEX, setting))
            connection.execute("SELECT set_config(%s, %s, true)", [setting, value])
        connection.execute(
            sql.SQL(
                "CREATE INDEX ON bare USING hnsw ((embedding::halfvec({})) halfvec_ip_ops)"
                " WITH (m = {}, ef_construction = {})"
            ).format(vectors.shape[1], INDEX.m, INDEX.ef_construction)
        )
        connection.commit()
        clock.lap("index")
        connection.execute("DROP TABLE bare")
    return clock.laps


def _publish(engine: Engine, what: Publication) -> dict[str, float]:
    """Publish a version and drop it; return the seconds of each part."""
    dimension = what.items.embedding.shape[1]
    with versions.new_version(engine, name="bench", dimension=dimension) as model_id:
        clock = _Clock()

        def on_progress(step: str, done: int, total: int) -> None:
            if done == total:
                clock.lap(step)

        publishing.publish(engine, model_id, what, index=INDEX, on_progress=on_progress)
        clock.lap("attach and commit")
    with engine.begin() as connection:
        versions.drop_version(connection, model_id)
    return clock.laps


class _Clock:
    """Seconds between laps."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = self.laps.get(name, 0.0) + now - self._last
        self._last = now


def _publication(vectors: harness.Floats) -> Publication:
    items, dimension = vectors.shape
    return Publication(
        items=ItemVectors([f"item-{j}" for j in range(items)], vectors, vectors),
        users=UserVectors(
            [], np.empty((0, dimension), np.float32), np.empty(0, np.int32), np.empty(0, np.int64)
        ),
        terms=None,
        history_half_life=None,
        trained_until=datetime(2024, 6, 1, tzinfo=UTC),
    )


def _document(
    rounds: list[dict[str, dict[str, float]]], options: argparse.Namespace
) -> dict[str, Any]:
    medians = {
        way: {part: _median([found[way][part] for found in rounds]) for part in rounds[0][way]}
        | {"in all": _median([sum(found[way].values()) for found in rounds])}
        for way in ("bare", "publish")
    }
    return {
        "options": {"items": options.items, "dimension": options.dimension} | asdict(INDEX),
        "rounds": [
            {way: round(sum(parts.values()), 2) for way, parts in r.items()} for r in rounds
        ],
        "median_seconds": medians,
        "ratio": round(medians["publish"]["in all"] / medians["bare"]["in all"], 3),
        "target_ratio": TARGET,
        "machine": harness.machine(),
    }


def _median(values: list[float]) -> float:
    return round(statistics.median(values), 2)


def _print(document: dict[str, Any], output: Output) -> None:
    options = document["options"]
    output.table(
        ("way", "part", "seconds"),
        [
            (way, part, seconds)
            for way, parts in document["median_seconds"].items()
            for part, seconds in parts.items()
        ],
        title=f"{options['items']:,} x {options['dimension']}, medians of "
        f"{len(document['rounds'])} rounds",
    )
    output.say(f"publish / bare: {document['ratio']:.2f} (target <= {TARGET})")
    machine = document["machine"]
    output.say(f"{machine['cores']} cores, load average {machine['load']}")


if __name__ == "__main__":
    main()
