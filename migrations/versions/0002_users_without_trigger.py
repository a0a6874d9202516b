"""Take away the trigger on recs.users: vectors go with a user's interactions, see sql/triggers.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Drop it; a database made since never had it."""
    op.execute("DROP TRIGGER IF EXISTS users_forget_deleted ON recs.users")


def downgrade() -> None:
    """Leave it: the SQL files of then make it anew."""
