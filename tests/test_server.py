"""The settings of the embedded server."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from recs import server
from recs.cli import main
from recs.cli.server import _variables
from recs.errors import ServerUnsuitable

GIB = 1 << 30


@pytest.mark.parametrize(
    ("memory", "shared", "wal"), [(GIB // 2, 128, 16), (3 * GIB, 384, 48), (64 * GIB, 512, 64)]
)
def test_buffers_are_an_eighth_of_memory_within_bounds(memory: int, shared: int, wal: int) -> None:
    lines = server.settings(memory).splitlines()
    assert f"shared_buffers = {shared}MB" in lines
    assert f"wal_buffers = {wal}MB" in lines


def test_settings_are_written_once_and_stay_as_the_user_leaves_them(tmp_path: Path) -> None:
    file = tmp_path / "postgresql.conf"
    file.write_text("port = 5433\n")
    server.configure(file)
    changed = file.read_text().replace("max_wal_size = 2GB", "max_wal_size = 9GB")
    file.write_text(changed)
    server.configure(file)
    assert file.read_text() == changed
    assert changed.startswith("port = 5433\n")
    assert "max_wal_size = 9GB" in changed


def test_a_container_counts_as_the_memory_it_may_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = [tmp_path / "unlimited", tmp_path / "limited", tmp_path / "missing"]
    limits[0].write_text("max\n")
    limits[1].write_text(f"{GIB // 4}\n")
    monkeypatch.setattr(server, "_CONTAINER_LIMITS", limits)
    file = tmp_path / "postgresql.conf"
    file.touch()
    server.configure(file)
    assert "shared_buffers = 128MB" in file.read_text()


def test_a_new_server_starts_with_the_settings(server_dsn: str) -> None:
    with psycopg.connect(server_dsn) as connection:
        found = dict(
            connection.execute(
                "SELECT name, sourcefile FROM pg_settings"
                " WHERE name IN ('shared_buffers', 'wal_buffers', 'max_wal_size', 'fsync')"
            ).fetchall()
        )
        row = connection.execute("SHOW data_directory").fetchone()
    assert row is not None
    conf = Path(row[0]) / "postgresql.conf"
    if os.environ.get("RECS_TEST_DSN") or not conf.is_file():
        pytest.skip("the server is not the embedded one")
    for name in ("shared_buffers", "wal_buffers", "max_wal_size"):
        assert found[name] == str(conf), name


def test_a_server_that_was_stopped_is_started_again_by_the_same_process(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("server") / "postgresql"
    try:
        for _ in range(2):
            running = server.start(folder, keep_running=True)
            with psycopg.connect(running.dsn) as connection:
                assert connection.execute("SELECT 1").fetchone() == (1,)
            assert server.stop(folder)
    finally:
        server.stop(folder)
    assert not server.stop(folder)


def test_the_dsn_of_the_embedded_server_is_not_diverted_by_variables_of_libpq(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("server") / "postgresql"
    monkeypatch.setenv("PGPORT", "6543")  # the server's, when it starts
    running = server.start(folder, keep_running=True)
    try:
        monkeypatch.setenv("PGPORT", "6544")
        monkeypatch.setenv("PGHOSTADDR", "192.0.2.1")  # nobody's, see RFC 5737
        with psycopg.connect(running.dsn, connect_timeout=5) as connection:
            row = connection.execute("SHOW data_directory").fetchone()
        assert row == (str(folder),)
    finally:
        server.stop(folder)


@pytest.mark.parametrize("gone", [False, True], ids=["another program", "nothing"])
def test_stopping_leaves_alone_what_has_the_number_of_a_server_that_crashed(
    tmp_path: Path, gone: bool
) -> None:
    # Killed at the end by its handle, which is this test's own.
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        if gone:
            other.kill()
            other.wait()
        (tmp_path / "postmaster.pid").write_text(
            f"{other.pid}\n{tmp_path}\n{int(time.time())}\n5432\n{tmp_path}\n\n\nready\n"
        )
        assert not server.stop(tmp_path)
        assert gone or other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_stopping_leaves_alone_a_postgres_that_began_at_another_time(
    tmp_path: Path, server_dsn: str
) -> None:
    with psycopg.connect(server_dsn) as connection:
        row = connection.execute("SHOW data_directory").fetchone()
    assert row is not None
    pid_file = Path(row[0]) / "postmaster.pid"
    if not pid_file.is_file():
        pytest.skip("the server is not the embedded one")
    pid, folder, began, *rest = pid_file.read_text().splitlines()
    before = str(int(began) - 3600)
    (tmp_path / "postmaster.pid").write_text("\n".join([pid, folder, before, *rest]))
    assert server._postmaster(pid_file) is not None
    assert server._postmaster(tmp_path / "postmaster.pid") is None


def test_finding_the_server_warns_nobody_of_a_missing_runtime_directory() -> None:
    without = {name: value for name, value in os.environ.items() if name != "XDG_RUNTIME_DIR"}
    found = subprocess.run(
        [sys.executable, "-W", "always", "-c", "from recs import server; server._programs()"],
        env=without,
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stderr
    assert "XDG_RUNTIME_DIR" not in found.stderr


@pytest.mark.parametrize(
    ("wanted", "url", "expected"),
    [
        (None, None, "postgres"),
        ("postgresql://postgres@/shop?host=/here", None, "shop"),
        ("postgresql+psycopg://postgres@/shop?host=/here", "dbname=other host=/here", "shop"),
        (None, "dbname=other host=/here", "other"),
        (None, "dbname=other host=/elsewhere", "postgres"),
        (None, "dbname=other", "postgres"),
        (None, "host=/here", "postgres"),
    ],
)
def test_psql_opens_the_database_that_is_named_on_the_embedded_server(
    monkeypatch: pytest.MonkeyPatch, wanted: str | None, url: str | None, expected: str
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    if url is not None:
        monkeypatch.setenv("DATABASE_URL", url)
    running = "postgresql://postgres@/postgres?host=/here&port=5433"
    assert _variables(running, wanted) == {
        "PGHOST": "/here", "PGPORT": "5433", "PGUSER": "postgres", "PGDATABASE": expected,
    }  # fmt: skip


def test_psql_is_called_with_its_arguments_and_not_diverted_by_variables_of_libpq(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dsn = "postgresql://postgres@/postgres?host=/here&port=5433"
    running = server.EmbeddedServer(dsn=dsn, folder=Path("/here"), programs=Path("/there"))
    monkeypatch.setattr(server, "start", lambda: running)
    for variable in ("PGHOSTADDR", "PGSERVICE", "PGHOST"):
        monkeypatch.setenv(variable, "elsewhere")
    calls: list[tuple[str, list[str], dict[str, str]]] = []
    monkeypatch.setattr(os, "execve", lambda *called: calls.append(called))
    main(["server", "psql", "-d", "other", "-c", "SELECT 1"])
    ((program, arguments, environment),) = calls
    assert (program, arguments[1:]) == ("/there/psql", ["-d", "other", "-c", "SELECT 1"])
    assert environment["PGHOST"] == "/here"
    assert {"PGHOSTADDR", "PGSERVICE"}.isdisjoint(environment)


def test_a_home_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ServerUnsuitable, match=r"cannot make .*/file/postgresql for the embedded"):
        server.start(tmp_path / "file" / "postgresql")
