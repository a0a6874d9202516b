"""What sessions that ask at once get, up to where it breaks: `python -m benchmarks.concurrency`.

The shop of benchmarks.serving, and pgbench, which takes its share of the cores where the server is
on the same machine. Sessions double until the server refuses some; those that it lets in go on,
each asking for the next list as soon as it has one. Two mixes: `reads` are lists of random users;
in `shop` one transaction in ten records a purchase first, and asks for that user's list in the same
transaction. A transaction is one list. The mixes take turns; what was recorded is taken out after
each level, so that all meet the same shop. The first seconds do not count: the first lists of a
session are slow.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psycopg

from benchmarks import harness, pgbench
from benchmarks.pgbench import Script
from benchmarks.serving_shop import make_shop
from recs.cli.output import Failure, Output
from recs.errors import ServerUnsuitable

READ = r"""\set user random(0, :users - 1)
SELECT * FROM recs.recommend('user-' || :user, :k);
"""
RECORD = r"""\set user random(0, :users - 1)
\set item random(0, :items - 1)
BEGIN;
SELECT recs.record_interaction('user-' || :user, 'item-' || :item, 'purchase');
SELECT * FROM recs.recommend('user-' || :user, :k);
COMMIT;
"""
MIXES = {"reads": (Script(READ),), "shop": (Script(READ, 9), Script(RECORD, 1))}
RETRY = "serialization failure or deadlock"  # what pgbench calls a failed transaction
NEAR = 0.95  # of the best throughput: more sessions are of no use


@dataclass(frozen=True)
class Level:
    """What so many sessions got; `error` is the first one, in the server's or pgbench's words.

    `refused` of the sessions were not let in; `errors` counts transactions of the others.
    """

    sessions: int
    refused: int
    lists_per_second: float
    p50: float | None
    p99: float | None
    errors: int
    error: str | None


def main() -> None:
    """Measure, print and plot."""
    options = _options()
    output = Output(as_json=options.json)
    try:
        program = pgbench.find()
    except ServerUnsuitable as error:
        output.failure(Failure(error.message, error.hint))
        sys.exit(1)
    machine = harness.machine()  # before the load is ours
    with harness.temporary_database(output) as dsn:
        make_shop(dsn, options, output)
        with psycopg.connect(dsn, autocommit=True) as connection:
            document = _measure(Load(program, dsn, connection, options), output)
    document["machine"] = machine
    _print(document, output)
    harness.publish_results("concurrency", document, output)
    _plot(document, output)


def _options() -> argparse.Namespace:
    parser = harness.parser(__doc__)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--dimension", type=int, default=128)
    parser.add_argument("--users", type=int, default=1_000, help="who ask; all have a history")
    parser.add_argument("--seen", type=int, default=100, help="items in a history")
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--overlap", type=float, default=1.0, help="of the clusters; 0: islands")
    parser.add_argument("--seconds", type=int, default=8, help="measured at each level")
    parser.add_argument("--warm-up", type=int, default=4, help="seconds before, not measured")
    parser.add_argument(
        "--sessions", type=int, nargs="+", help="the levels; 1, 2, 4, .. beyond max_connections"
    )
    return parser.parse_args()


def _measure(load: Load, output: Output) -> dict[str, Any]:
    most = load.max_connections()
    levels = sorted(set(load.options.sessions or _doubled(most)))
    found: dict[str, list[Level]] = {name: [] for name in MIXES}
    with output.progress() as progress:
        task = progress.add_task("ask", total=len(MIXES) * len(levels))
        for sessions in levels:
            for name, scripts in MIXES.items():
                progress.update(task, description=f"{name}, {sessions} sessions")
                found[name].append(load.level(scripts, sessions))
                progress.advance(task)
    noted = {name: value for name, value in vars(load.options).items() if name != "json"}
    return {
        "options": noted | {"sessions": levels},
        "max_connections": most,
        "levels": {name: [asdict(level) for level in rows] for name, rows in found.items()},
        "verdict": {name: verdict(rows) for name, rows in found.items()},
    }


def _doubled(most: int) -> list[int]:
    """Return 1, 2, 4, .. until more than `most`."""
    return [2**n for n in range(most.bit_length() + 1)]


class Load:
    """Sessions that ask at once, on a shop that is the same for each level."""

    def __init__(
        self,
        program: Path,
        dsn: str,
        connection: psycopg.Connection[Any],
        options: argparse.Namespace,
    ) -> None:
        self.options = options
        self._program, self._dsn, self._connection = program, dsn, connection

    def max_connections(self) -> int:
        """Return the server's limit, of which the benchmark itself takes two."""
        return int(self._one("SELECT current_setting('max_connections')"))

    def level(self, scripts: Sequence[Script], sessions: int) -> Level:
        """Let so many sessions run the scripts, or as many of them as the server lets in."""
        admitted, refusal = self._admitted(sessions)
        began = self._one("SELECT now()")
        log, errors = self._run(scripts, admitted)
        self._connection.execute("DELETE FROM recs.interactions WHERE occurred_at >= %s", [began])
        self._connection.execute("VACUUM ANALYZE recs.interactions")
        failure = errors[0] if errors else RETRY if log.failed else None
        counted = log.window(self.options.warm_up, self.options.seconds)
        p50, p99 = counted.percentiles(50, 99)
        served = len(counted.ended) - counted.failed
        return Level(
            sessions=sessions,
            refused=sessions - admitted,
            lists_per_second=round(served / self.options.seconds, 1),
            p50=p50,
            p99=p99,
            errors=log.failed + len(errors),
            error=refusal or failure,
        )

    def _run(self, scripts: Sequence[Script], sessions: int) -> tuple[pgbench.Log, list[str]]:
        numbers = {name: getattr(self.options, name) for name in ("users", "items", "k")}
        seconds = self.options.warm_up + self.options.seconds + 1  # it counts in whole ones
        return pgbench.run(
            self._program, self._dsn, scripts, sessions=sessions, seconds=seconds, variables=numbers
        )

    def _admitted(self, sessions: int) -> tuple[int, str | None]:
        """Return how many sessions the server lets in at once, and what it tells the next one."""
        admitted, refusal = 0, None
        with ExitStack() as opened:
            while admitted < sessions and refusal is None:
                try:
                    opened.enter_context(psycopg.connect(self._dsn))
                    admitted += 1
                except psycopg.OperationalError as error:
                    refusal = pgbench.reason(str(error))
        self._wait_until_alone()
        return admitted, refusal

    def _wait_until_alone(self) -> None:
        """Wait until the server has seen that sessions have ended: they hold places till then."""
        while self._one(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        ):
            time.sleep(0.05)
        time.sleep(0.2)  # they leave the view shortly before the place

    def _one(self, statement: str) -> Any:
        row = self._connection.execute(statement).fetchone()
        assert row is not None
        return row[0]


def verdict(levels: Sequence[Level]) -> dict[str, Any]:
    """Return where throughput stops growing, the best of it, and the first level that broke."""
    best = max(levels, key=lambda level: level.lists_per_second)
    enough = next(
        level for level in levels if level.lists_per_second >= NEAR * best.lists_per_second
    )
    broken = next((level for level in levels if level.refused or level.errors), None)
    return {
        "enough": asdict(enough),
        "best": asdict(best),
        "broken": None if broken is None else asdict(broken),
    }


def _print(document: dict[str, Any], output: Output) -> None:
    options, machine = document["options"], document["machine"]
    for name, levels in document["levels"].items():
        output.table(
            ("sessions", "refused", "lists/s", "p50 ms", "p99 ms", "errors"),
            [
                (
                    level["sessions"], level["refused"], f"{level['lists_per_second']:>7,.0f}",
                    _milliseconds(level["p50"]), _milliseconds(level["p99"]), level["errors"],
                )
                for level in levels
            ],
            title=name,
        )  # fmt: skip
    for name, found in document["verdict"].items():
        output.plain(f"{name}: {_sentence(found)}")
    output.say(
        f"{options['items']:,} items x {options['dimension']}, {options['users']:,} users with "
        f"{options['seen']} seen, k = {options['k']}, {options['seconds']} s a level"
    )
    output.say(
        f"max_connections {document['max_connections']}; {machine['cores']} cores, which pgbench "
        f"shares; load average before: {machine['load']}"
    )


def _milliseconds(time: float | None) -> str:
    return "-" if time is None else f"{time:>7,.1f}"


def _sentence(found: dict[str, Any]) -> str:
    enough, best = found["enough"], found["best"]
    return (
        f"throughput stops growing at {enough['sessions']} sessions, "
        f"{enough['lists_per_second']:,.0f} lists/s with a p99 of "
        f"{_milliseconds(enough['p99']).strip()} ms (the best: {best['lists_per_second']:,.0f} at "
        f"{best['sessions']}); {_break(found['broken'])}"
    )


def _break(level: dict[str, Any] | None) -> str:
    if level is None:
        return "nothing broke"
    what = (
        f"{level['refused']} are refused" if level["refused"] else f"{level['errors']} lists fail"
    )
    return f"the first to break: of {level['sessions']} sessions {what} ({level['error']})"


def _plot(document: dict[str, Any], output: Output) -> None:
    try:
        from benchmarks import concurrency_plot
    except ImportError:
        output.warn("no plot without matplotlib: pip install 'pgrecs[bench]'")
        return
    concurrency_plot.draw(document, harness.RESULTS / "concurrency.svg")


if __name__ == "__main__":
    main()
