"""The settings of the embedded server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from recs import server

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
    if not conf.is_file():
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
