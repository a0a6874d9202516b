"""What recommend() costs over the bare index: `python -m benchmarks.serving`.

A catalog of clustered vectors is published as training publishes it, users have 100 seen items
each. One connection, prepared statements, binary results; for every user the plain index query
(the user's own vector, LIMIT k, the same ef_search) and recs.recommend() take turns, now the one
first and now the other, so that what else the machine does and warm caches meet both alike. The
rows of recommend() are compared with an exact search over the stored half floats, less the seen
items.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import psycopg
from pgvector import HalfVector
from pgvector.psycopg import register_vector
from psycopg import sql
from psycopg.types.json import Jsonb

from benchmarks import harness
from benchmarks.serving_shop import Shop, make_shop
from recs.cli.output import Output
from recs.metrics import PADDING, ann_recall_at_k
from recs.training import versions

PLAIN, RECOMMEND = "plain index query", "recommend"
TARGET_RATIO = 1.5
TARGET_RECALL = 0.99
EF_SEARCH = 200  # what recs.nearest_items_<model> sets
FILTERS = {  # of the catalog
    "10 % pass": {"colour": 3},
    "1 % pass": {"brand": 7},
    "10 items pass": {"lot": 11},
    "nothing passes": {"lot": "none"},
}
CANDIDATES = {  # so many in stock, in a table of the application's own
    "100 in stock": 100,
    "1,000 in stock": 1_000,
    "10,000 in stock": 10_000,
    "half in stock": 50_000,
}


def main() -> None:
    """Measure and print."""
    options = _options()
    output = Output(as_json=options.json)
    with harness.temporary_database(output) as dsn:
        shop = make_shop(dsn, options, output)
        with psycopg.connect(dsn, autocommit=True) as connection:
            register_vector(connection)
            document = _measure(connection, shop, options, output)
    _print(document, output)
    harness.publish_results("serving", document, output)


def _options() -> argparse.Namespace:
    parser = harness.parser(__doc__)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--dimension", type=int, default=128)
    parser.add_argument("--users", type=int, default=1_000, help="how many have a history")
    parser.add_argument("--queries", type=int, default=400, help="users asked in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seen", type=int, default=100, help="items in a history")
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--overlap", type=float, default=1.0, help="of the clusters; 0: islands")
    parser.add_argument("--others", type=int, default=30, help="strangers etc. asked in each round")
    return parser.parse_args()


def _measure(
    connection: psycopg.Connection[Any],
    shop: Shop,
    options: argparse.Namespace,
    output: Output,
) -> dict[str, Any]:
    connection.execute("SELECT set_config('hnsw.ef_search', %s, false)", [str(EF_SEARCH)])
    vectors = _user_vectors(connection, shop, options.queries)
    queries = Queries(connection, shop, options)
    users = [f"user-{u}" for u in range(len(vectors))]
    answers: dict[str, list[Any]] = {}
    clocks = Clocks()
    with output.progress() as progress:
        for _ in progress.track(range(options.rounds), description="ask"):
            answers = {PLAIN: [], RECOMMEND: []}
            for n, (user, vector) in enumerate(zip(users, vectors, strict=True)):
                asked = {PLAIN: (queries.plain, vector), RECOMMEND: (queries.recommend, user)}
                # Whichever comes second finds the same nodes of the index in the caches.
                for name in asked if n % 2 else reversed(asked):
                    answers[name].append(clocks.time(name, *asked[name]))
                clocks.time("user_vector", queries.user_vector, user)
            for n in range(options.others):
                clocks.time("similar_items", queries.similar_items, f"item-{n}")
                basket = [f"item-{n * 10 + j}" for j in range(5)]
                clocks.time("recommend_for_items, 5 items", queries.recommend_for_items, basket)
                clocks.time("recommend, stranger", queries.recommend, f"stranger-{n}")
                clocks.time("recommend, 5 new events", queries.recommend, f"newcomer-{n}")
            asking = {name: queries.filtered(passing) for name, passing in FILTERS.items()}
            asking |= {name: queries.in_stock(count) for name, count in CANDIDATES.items()}
            for name, ask in asking.items():
                for n in range(options.others):
                    clocks.time(f"recommend, {name}", ask, f"user-{n}")
                    clocks.time(f"stranger, {name}", ask, f"stranger-{n}")
    times = clocks.summary()
    return {
        "options": _noted(options) | {"ef_search": EF_SEARCH},
        "milliseconds": times,
        "p50_ratio": round(times[RECOMMEND]["p50"] / times[PLAIN]["p50"], 3),
        "target_p50_ratio": TARGET_RATIO,
        "ann_recall_at_k": {
            PLAIN: _recall(answers[PLAIN], shop, vectors, options.k, seen=False),
            RECOMMEND: _recall(answers[RECOMMEND], shop, vectors, options.k, seen=True),
        },
        "target_ann_recall": TARGET_RECALL,
        "index": _sizes(connection, shop.model_id),
        "machine": harness.machine(),
    }  # fmt: skip


def _noted(options: argparse.Namespace) -> dict[str, Any]:
    return {name: value for name, value in vars(options).items() if name != "json"}


class Queries:
    """What is timed; each is prepared by its first calls."""

    def __init__(
        self, connection: psycopg.Connection[Any], shop: Shop, options: argparse.Namespace
    ) -> None:
        self._cursor = connection.cursor(binary=True)
        self._k = options.k
        self._plain = sql.SQL(
            "SELECT item_id FROM {} WHERE source = 'interactions'"
            " ORDER BY embedding::halfvec({}) <#> %s LIMIT %s"
        ).format(
            versions.partition("item_embeddings", shop.model_id), sql.Literal(options.dimension)
        )

    def plain(self, vector: harness.Floats) -> list[Any]:
        """Search the index and nothing else."""
        return self._run(self._plain, [HalfVector(vector), self._k])

    def recommend(self, user_id: str) -> list[Any]:
        """Call recs.recommend."""
        return self._run("SELECT * FROM recs.recommend(%s, %s)", [user_id, self._k])

    def filtered(self, passing: dict[str, Any]) -> Callable[[str], list[Any]]:
        """Return a call of recs.recommend for what passes a filter."""
        ask = "SELECT * FROM recs.recommend(%s, %s, p_filter => %s)"
        return lambda user_id: self._run(ask, [user_id, self._k, Jsonb(passing)])

    def in_stock(self, count: int) -> Callable[[str], list[Any]]:
        """Return a call of recs.recommend for what a table of the application has in stock."""
        ask = (
            "SELECT * FROM recs.recommend(%s, %s,"
            " p_candidates => ARRAY(SELECT item_id FROM stock WHERE shelf < %s))"
        )
        return lambda user_id: self._run(ask, [user_id, self._k, count])

    def user_vector(self, user_id: str) -> list[Any]:
        """Call recs.user_vector, a part of recommend."""
        return self._run("SELECT * FROM recs.user_vector(%s)", [user_id])

    def similar_items(self, item_id: str) -> list[Any]:
        """Call recs.similar_items."""
        return self._run("SELECT * FROM recs.similar_items(%s, %s)", [item_id, self._k])

    def recommend_for_items(self, item_ids: list[str]) -> list[Any]:
        """Call recs.recommend_for_items."""
        return self._run("SELECT * FROM recs.recommend_for_items(%s, %s)", [item_ids, self._k])

    def _run(self, statement: Any, parameters: Sequence[Any]) -> list[Any]:
        return self._cursor.execute(statement, parameters, prepare=True).fetchall()


class Clocks:
    """Milliseconds of every call, by name."""

    def __init__(self) -> None:
        self._times: dict[str, list[float]] = {}

    def time(self, name: str, call: Callable[[Any], list[Any]], argument: Any) -> list[Any]:
        """Call, note how long it took, return what it returned."""
        start = time.perf_counter()
        result = call(argument)
        self._times.setdefault(name, []).append((time.perf_counter() - start) * 1000)
        return result

    def summary(self) -> dict[str, dict[str, float]]:
        """Return p50 and p99 of each name, without the first tenth of its calls."""
        return {
            name: _percentiles(times[len(times) // 10 :]) for name, times in self._times.items()
        }


def _percentiles(times: Sequence[float]) -> dict[str, float]:
    p50, p99 = np.percentile(times, [50, 99])
    return {"p50": round(float(p50), 3), "p99": round(float(p99), 3)}


def _user_vectors(connection: psycopg.Connection[Any], shop: Shop, queries: int) -> harness.Floats:
    """Return the vectors that recommend() searches with, so that the plain query has the same."""
    rows = connection.execute(
        "SELECT (SELECT embedding FROM recs.user_vector('user-' || u))"
        " FROM generate_series(0, %s) u ORDER BY u",
        [min(queries, len(shop.seen)) - 1],
    ).fetchall()
    return np.array([row[0].to_numpy() for row in rows], np.float32)


def _recall(
    rows: Sequence[Sequence[Any]],
    shop: Shop,
    vectors: harness.Floats,
    k: int,
    *,
    seen: bool,
) -> dict[str, float]:
    """Compare with an exact search over the half floats that are stored."""
    stored = shop.items.astype(np.float16).astype(np.float32)
    found = np.full((len(rows), k), PADDING)
    exact = np.empty((len(rows), k), np.int64)
    for u, (answer, vector) in enumerate(zip(rows, vectors, strict=True)):
        numbers = [int(row[0].removeprefix("item-")) for row in answer]
        found[u, : len(numbers)] = numbers
        scores = stored @ vector.astype(np.float16).astype(np.float32)
        if seen:
            scores[shop.seen[u]] = -np.inf
        exact[u] = np.argpartition(-scores, k)[:k]
    recall = ann_recall_at_k(found, exact, k=k)
    return {
        "mean": round(float(recall.mean()), 4),
        "p1": round(float(np.percentile(recall, 1)), 4),
        "min": round(float(recall.min()), 4),
    }


def _sizes(connection: psycopg.Connection[Any], model_id: int) -> dict[str, float | None]:
    name = f"recs.item_embeddings_{model_id}_embedding_idx"
    row = connection.execute("SELECT pg_relation_size(%s::regclass)", [name]).fetchone()
    assert row is not None
    return {"mib": round(row[0] / 2**20, 1), "buffered_mib": _buffered(connection, name)}


def _buffered(connection: psycopg.Connection[Any], name: str) -> float | None:
    try:
        connection.execute("CREATE EXTENSION IF NOT EXISTS pg_buffercache")
        row = connection.execute(
            "SELECT count(*) * current_setting('block_size')::int FROM pg_buffercache"
            " WHERE relfilenode = pg_relation_filenode(%s::regclass) AND reldatabase ="
            " (SELECT oid FROM pg_database WHERE datname = current_database())",
            [name],
        ).fetchone()
    except psycopg.Error:  # not installed on the server, or not permitted
        return None
    return None if row is None else round(row[0] / 2**20, 1)


def _print(document: dict[str, Any], output: Output) -> None:
    options, index = document["options"], document["index"]
    output.table(
        ("query", "p50 ms", "p99 ms"),
        [
            (name, f"{times['p50']:.3f}", f"{times['p99']:.3f}")
            for name, times in document["milliseconds"].items()
        ],
        title=f"{options['items']:,} items x {options['dimension']}, {options['seen']} seen, "
        f"k = {options['k']}, ef_search = {options['ef_search']}",
    )
    output.table(
        (f"ann_recall@{options['k']}", "mean", "p1", "min"),
        [
            (name, *(f"{recall[part]:.4f}" for part in ("mean", "p1", "min")))
            for name, recall in document["ann_recall_at_k"].items()
        ],
    )
    output.say(
        f"recommend / plain index query: {document['p50_ratio']:.2f} of p50 "
        f"(target <= {TARGET_RATIO}); ann_recall target >= {TARGET_RECALL}"
    )
    output.say(f"HNSW index: {index['mib']} MiB, {index['buffered_mib']} MiB of it in memory")
    machine = document["machine"]
    output.say(f"{machine['cores']} cores, load average {machine['load']}")


if __name__ == "__main__":
    main()
