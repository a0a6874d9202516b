"""Let the index be measured and users be erased by functions, which come with sql/.

Revision ID: 0008
Revises: 0007
"""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change no table."""


def downgrade() -> None:
    """Drop what the release of 0007 does not know."""
    op.execute("DROP FUNCTION IF EXISTS recs.measure_ann_recall(integer, integer, bigint, bigint)")
    op.execute("DROP FUNCTION IF EXISTS recs.erase_user(text)")
