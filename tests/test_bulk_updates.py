"""A plan that a session keeps from a row updated alone must not serve an update of all of them."""

from __future__ import annotations

import time

from sqlalchemy import Engine, text

from tests import shops

N = 4000
ENOUGH_TO_KEEP_A_PLAN = 8


def test_an_update_of_all_items_after_updates_of_one_takes_no_longer(engine: Engine) -> None:
    shops.insert_items(engine, N)
    update = "UPDATE recs.items SET available = true"

    def seconds(before: int) -> float:
        with engine.connect() as connection:
            for n in range(before):
                connection.execute(text(f"{update} WHERE item_id = 'item-{n}'"))
            start = time.perf_counter()
            connection.execute(text(update))
            return time.perf_counter() - start

    alone = seconds(0)
    assert seconds(ENOUGH_TO_KEEP_A_PLAN) < 5 * alone + 0.5
