"""Work ahead: what PostgreSQL gets next is made in a thread while it takes what it has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Element = TypeVar("Element")


def ahead(elements: Iterable[Element]) -> Iterator[Element]:
    """Yield elements while the next one is made in a thread."""
    end, upcoming_elements = object(), iter(elements)
    with ThreadPoolExecutor(1, "recs-load") as pool:
        upcoming = pool.submit(next, upcoming_elements, end)
        while (element := upcoming.result()) is not end:
            upcoming = pool.submit(next, upcoming_elements, end)
            yield element  # type: ignore[misc]
