"""Let renames of items go by statement: the trigger and function that went by row go.

What takes their place is in sql/, as are the check of recs.tenants.text_search_config and what
makes the functions of a version.

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Drop them; a database made since never had them."""
    op.execute("DROP TRIGGER IF EXISTS items_rename ON recs.items")
    op.execute("DROP FUNCTION IF EXISTS recs.rename_item()")


def downgrade() -> None:
    """Drop what came with this; the SQL files of the release before make what it had anew."""
    op.execute("DROP FUNCTION IF EXISTS recs.rename_items() CASCADE")
    op.execute("DROP FUNCTION IF EXISTS recs.refuse_unknown_text_search_config() CASCADE")
    op.execute("DROP FUNCTION IF EXISTS recs.create_reader_function(text, text, text)")
    op.execute("DROP FUNCTION IF EXISTS recs.refuse_stale_snapshot(text)")
