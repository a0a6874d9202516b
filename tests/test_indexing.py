"""What building an index asks of the server."""

from __future__ import annotations

from typing import Any

import pytest

from recs.database import driver_connection
from recs.training.indexing import IndexOptions, ask_for_room


@pytest.mark.parametrize(
    ("memory", "workers", "expected"),
    [("64MB", 0, ("1GB", "2")), ("3GB", 5, ("3GB", "5")), ("3GB", 1, ("3GB", "2"))],
)
def test_a_build_has_the_room_it_asks_for_or_what_the_server_gives_if_that_is_more(
    connection: Any, memory: str, workers: int, expected: tuple[str, str]
) -> None:
    driver = driver_connection(connection)
    names = ("maintenance_work_mem", "max_parallel_maintenance_workers")
    for name, value in zip(names, (memory, str(workers)), strict=True):
        driver.execute("SELECT set_config(%s, %s, false)", [name, value])
    ask_for_room(driver, IndexOptions())
    found = driver.execute("SELECT current_setting(%s), current_setting(%s)", names).fetchone()
    assert found == expected
