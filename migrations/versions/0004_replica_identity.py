"""Let interactions be replicated logically, and name what makes the functions of a version anew.

They have no key, so a publication of all tables refused to update or delete them. Where WAL is not
logical, a full identity costs nothing.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Identify a row of interactions by all of it."""
    op.execute("ALTER TABLE recs.interactions REPLICA IDENTITY FULL")
    op.execute("DROP FUNCTION IF EXISTS recs.create_serving_function(bigint)")


def downgrade() -> None:
    """Identify it by nothing; the release of 0003 makes its functions anew when it migrates."""
    op.execute("ALTER TABLE recs.interactions REPLICA IDENTITY DEFAULT")
    op.execute("DROP FUNCTION IF EXISTS recs.create_serving_functions(bigint)")
