"""Waiting until another session waits for a lock, so that a race is no matter of luck."""

from __future__ import annotations

import time
from typing import Literal

from sqlalchemy import Engine, text

SECONDS = 20
# Of this database; who waits for a transaction waits in none.
_WAITING = text("""
SELECT count(*) FROM pg_locks l
WHERE l.locktype = :kind AND NOT l.granted
  AND (l.database IS NULL
       OR l.database = (SELECT oid FROM pg_database WHERE datname = current_database()))""")


def wait_until_one_waits(
    engine: Engine, kind: Literal["advisory", "relation", "transactionid"]
) -> None:
    """Return once a session waits for a lock of that kind.

    Raises:
        AssertionError: none does, for twenty seconds.
    """
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            if connection.execute(_WAITING, {"kind": kind}).scalar_one():
                return
            time.sleep(0.05)
    raise AssertionError(f"nobody waits for a lock of kind {kind} after {SECONDS} seconds")
