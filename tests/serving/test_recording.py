"""recs.record_interaction: what a writer records, and what follows it at once."""

from __future__ import annotations

from sqlalchemy import Engine, text

from recs import Recommender
from tests.serving.conftest import D


def test_an_interaction_is_recorded_as_one_of_weight_1_now_unless_more_is_said(
    shop: Recommender, engine: Engine
) -> None:
    recorded = text(
        "SELECT tenant_id, user_id, item_id, interaction_type, weight, occurred_at = now()"
        " FROM recs.interactions WHERE user_id = 'u' ORDER BY weight"
    )
    with engine.connect() as connection:
        connection.execute(text("SET LOCAL ROLE recs_writer"))
        connection.execute(text("SELECT recs.record_interaction('u', 'item-7')"))
        before = Recommender(connection).recommend("u", D)
        assert {row.tier for row in before} == {"fold_in"}
        connection.execute(
            text("SELECT recs.record_interaction('u', 'item-8', 'view', 0.5, '2024-06-01Z')")
        )
        assert Recommender(connection).recommend("u", D) != before
        assert [tuple(row) for row in connection.execute(recorded)] == [
            ("default", "u", "item-8", "view", 0.5, False),
            ("default", "u", "item-7", "interaction", 1.0, True),
        ]
