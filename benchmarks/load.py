"""How fast interactions load, and in how much memory: `python -m benchmarks.load`.

It makes a shop's files (Parquet, CSV, JSON Lines; in the order of time, popular items and eager
users more often), starts a server of its own unless DATABASE_URL names one, and loads each file
into an empty, indexed recs.interactions, trigger included, each in a fresh process. The memory is
that process's peak; it is measured for a quarter of the rows too, since it must not grow with them.
Client and server work at once, so on idle cores a load takes about as long as the CPU time of the
busier of the two; on a busy machine that is the figure to trust.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv, parquet

from benchmarks import harness
from recs import database
from recs.cli.output import Output

CHUNK = 250_000
TARGET = 150_000  # rows a second


def main() -> None:
    """Measure and print."""
    options = _options()
    output = Output(as_json=options.json)
    loads = []
    with (
        tempfile.TemporaryDirectory(prefix="recs-bench-files-") as folder,
        harness.temporary_database(output) as dsn,
    ):
        _make_items(dsn, options.items)
        for kind in options.kinds:
            for rows in (options.rows // 4, options.rows):
                path = Path(folder) / f"interactions.{kind}"
                output.say(f"[dim]{path.name}, {rows:,} rows ...[/dim]")
                _WRITERS[kind](path, rows, options)
                loads.append(_measure(dsn, path, rows))
                path.unlink()
    document = {
        "options": {"items": options.items, "users": options.users},
        "target_rows_per_second": TARGET,
        "loads": loads,
        "machine": harness.machine(),
    }
    _print(document, output)
    harness.publish_results("load", document, output)


def _options() -> argparse.Namespace:
    parser = harness.parser(__doc__)
    parser.add_argument("--rows", type=int, default=4_000_000)
    parser.add_argument("--items", type=int, default=50_000)
    parser.add_argument("--users", type=int, default=200_000)
    parser.add_argument("--kinds", nargs="+", default=["parquet", "csv"], choices=list(_WRITERS))
    return parser.parse_args()


def _make_items(dsn: str, count: int) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "INSERT INTO recs.items (item_id) SELECT i::text FROM generate_series(1, %s) AS i",
            [count],
        )


def _interactions(rows: int, options: argparse.Namespace) -> Iterator[Any]:
    """Yield tables of interactions in the order of time."""
    random = np.random.default_rng(7)
    for start in range(0, rows, CHUNK):
        count = min(CHUNK, rows - start)
        seconds = 1_600_000_000 + 20 * np.arange(start, start + count)
        yield pa.table(
            {
                "user_id": (options.users * random.beta(0.8, 2.0, count)).astype(np.int64),
                "item_id": 1 + (options.items * random.beta(0.5, 3.0, count)).astype(np.int64),
                "interaction_type": np.array(["view", "buy"])[random.integers(2, size=count)],
                "weight": random.integers(1, 5, count).astype(np.float32),
                "occurred_at": pa.array(seconds).cast(pa.timestamp("s")).cast(pa.timestamp("us")),
            }
        )  # fmt: skip


def _write_parquet(path: Path, rows: int, options: argparse.Namespace) -> None:
    tables = _interactions(rows, options)
    first = next(tables)
    with parquet.ParquetWriter(path, first.schema) as file:
        file.write_table(first)
        for table in tables:
            file.write_table(table)


def _write_csv(path: Path, rows: int, options: argparse.Namespace) -> None:
    tables = _interactions(rows, options)
    first = next(tables)
    with csv.CSVWriter(path, first.schema) as file:
        file.write_table(first)
        for table in tables:
            file.write_table(table)


def _write_jsonl(path: Path, rows: int, options: argparse.Namespace) -> None:
    with path.open("w") as file:
        for table in _interactions(rows, options):
            text = table.set_column(4, "occurred_at", pc.strftime(table["occurred_at"]))
            file.writelines(json.dumps(row) + "\n" for row in text.to_pylist())


_WRITERS: dict[str, Callable[[Path, int, argparse.Namespace], None]] = {
    "parquet": _write_parquet,
    "csv": _write_csv,
    "jsonl": _write_jsonl,
}


def _measure(dsn: str, path: Path, rows: int) -> dict[str, Any]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("TRUNCATE recs.interactions")
        connection.execute("VACUUM ANALYZE recs.items")
        connection.execute("CHECKPOINT")
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_load, (dsn, str(path), rows))


def _load(dsn: str, path: str, rows: int) -> dict[str, Any]:
    from recs.loading import load_interactions

    before = _peak()
    started, client = time.perf_counter(), time.process_time()
    with database.make_engine(dsn).begin() as connection:
        backend = database.driver_connection(connection).info.backend_pid
        server_before = _cpu_of(backend)
        load_interactions(connection, path)
        server_after = _cpu_of(backend)
    seconds = time.perf_counter() - started
    return {
        "file": Path(path).suffix[1:],
        "rows": rows,
        "seconds": round(seconds, 2),
        "rows_per_second": round(rows / seconds),
        "client_cpu_seconds": round(time.process_time() - client, 2),
        "server_cpu_seconds": _difference(server_before, server_after),
        "peak_mib": _peak(),
        "peak_mib_before": before,
    }


def _cpu_of(process: int) -> float | None:
    """Return the CPU seconds of a process, where Linux and the same machine let us see them."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return None
    user, system = stat.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _difference(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else round(after - before, 2)


def _peak() -> int:
    """Return the most memory this process has held, in MiB."""
    try:  # Linux's ru_maxrss begins with that of the process that started this one
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) >> 10
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return round(peak / (1 << 20 if sys.platform == "darwin" else 1 << 10))


def _print(document: dict[str, Any], output: Output) -> None:
    output.table(
        ("file", "rows", "seconds", "rows/s", "CPU s: client", "server", "peak MiB"),
        [
            (
                load["file"], f"{load['rows']:,}", f"{load['seconds']:.1f}",
                f"{load['rows_per_second']:,}", load["client_cpu_seconds"],
                load["server_cpu_seconds"], load["peak_mib"],
            )
            for load in document["loads"]
        ],
        title="loading interactions",
    )  # fmt: skip
    machine = document["machine"]
    output.say(
        f"target: {TARGET:,} rows/s; {machine['cores']} cores, load average {machine['load']}"
    )


if __name__ == "__main__":
    main()
