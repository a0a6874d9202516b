"""What the speed benchmarks share: a database of their own, a made-up shop, figures on disk."""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import conninfo, sql

from recs import database, migration, server
from recs.cli.output import Output

RESULTS = Path(__file__).parent / "results"

Floats = NDArray[np.float32]


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options that every benchmark has."""
    options = argparse.ArgumentParser(description=(description or "").split("\n")[0])
    options.add_argument("--json", action="store_true", help="print one JSON document")
    return options


@contextmanager
def temporary_database(output: Output) -> Iterator[str]:
    """Yield the DSN of a migrated database of our own, dropped afterwards.

    It lies on the server that DATABASE_URL names, else on an embedded one in a temporary folder.
    """
    given = os.environ.get("DATABASE_URL")
    with tempfile.TemporaryDirectory(prefix="recs-bench-") as folder:
        if given is None:
            output.say("[dim]starting a server ...[/dim]")
            given = server.start(Path(folder) / "postgresql", keep_running=False).dsn
        with _database_on(database.libpq_dsn(given)) as dsn:
            migration.migrate(database.make_engine(dsn))
            yield dsn


@contextmanager
def _database_on(server_dsn: str) -> Iterator[str]:
    name = sql.Identifier(f"recs_bench_{os.getpid()}")
    with psycopg.connect(server_dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
        try:
            yield conninfo.make_conninfo(server_dsn, dbname=f"recs_bench_{os.getpid()}")
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


def clustered_vectors(
    random: np.random.Generator,
    count: int,
    dimension: int,
    *,
    clusters: int = 500,
    overlap: float = 1.0,
) -> tuple[Floats, NDArray[np.int64]]:
    """Return unit vectors [count, dimension] around centres, and the cluster of each.

    Each leans towards two centres more, of strength `overlap`, as items that several tastes share.
    At 0 the clusters are islands (a cosine of .6 inside, 0 outside), the worst case for a graph.
    """
    centres = unit_rows(random.normal(size=(clusters, dimension)))
    cluster = random.integers(clusters, size=count)
    others = centres[random.integers(clusters, size=(count, 2))]  # [count, 2, D]
    strength = overlap * random.random((count, 2, 1))
    noise = unit_rows(random.normal(size=(count, dimension)))
    return unit_rows(centres[cluster] + (strength * others).sum(1) + 0.8 * noise), cluster


def unit_rows(rows: NDArray[Any]) -> Floats:
    """Return rows of norm 1."""
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def machine() -> dict[str, Any]:
    """Describe where the figures were measured; a loaded machine gives other ones."""
    return {
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
    }


def publish_results(name: str, document: Mapping[str, Any], output: Output) -> None:
    """Write a benchmark's figures to benchmarks/results/<name>.json, and print them with --json."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    output.result(document)
    where = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    output.say(f"[dim]written to {where}[/dim]")
