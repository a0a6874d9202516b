"""Let lists be asked of given candidates, and without given items, by two arguments more.

Where a view of the application calls a function of before, PostgreSQL names it and nothing
changes.

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

OLD = (
    "recommend_many(text[], integer, boolean, jsonb)",  # it names recommend
    "recommend(text, integer, boolean, jsonb)",
    "similar_items(text, integer, jsonb)",
    "fill_recommendations(text, integer, boolean, jsonb, text[])",
    "matching_items(jsonb)",
)
NEW = (
    "recommend_many(text[], integer, boolean, jsonb, text[], text[])",
    "recommend(text, integer, boolean, jsonb, text[], text[])",
    "similar_items(text, integer, jsonb, text[], text[])",
    "fill_recommendations(text, integer, boolean, jsonb, text[], text[], text[])",
    "matching_items(jsonb, text[])",
)


def upgrade() -> None:
    """Drop those of fewer arguments: beside the new ones, a call would mean either."""
    _drop(OLD)


def downgrade() -> None:
    """Drop these; the release of 0005 makes its own when it migrates."""
    _drop(NEW)


def _drop(functions: tuple[str, ...]) -> None:
    for function in functions:
        op.execute(f"DROP FUNCTION IF EXISTS recs.{function}")
