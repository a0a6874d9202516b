"""Where the migrations and the SQL files lie: inside the wheel, or at the top of a checkout."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_PACKAGE = Path(__file__).parent
# The order is the order of dependency: a view calls functions, a trigger names one.
SQL_KINDS = ("functions", "views", "triggers", "policies", "grants")


def _folder(name: str) -> Path:
    inside_wheel = _PACKAGE / name
    return inside_wheel if inside_wheel.is_dir() else _PACKAGE.parent / name


def migrations_folder() -> Path:
    """Return the folder with Alembic's env.py."""
    return _folder("migrations")


def sql_files() -> Iterator[Path]:
    """Yield every file under sql/, kind by kind, each kind in the order of its names."""
    for kind in SQL_KINDS:
        yield from sorted((_folder("sql") / kind).glob("*.sql"))
