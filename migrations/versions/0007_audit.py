"""Note who made which version serve, and who changed a tenant.

Revision ID: 0007
Revises: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

S = "recs"
ID = sa.Text(collation="C")


def upgrade() -> None:
    """Create the table; its triggers are under sql/."""
    op.create_table(
        "audit_events",
        sa.Column(
            "tenant_id", ID, nullable=False, server_default=sa.text("recs.current_tenant()")
        ),
        sa.Column("event_id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column(
            "occurred_at", sa.TIMESTAMP(timezone=True), nullable=False,
            server_default=sa.text("now()"),
        ),
        sa.Column(
            "login_role", sa.Text, nullable=False, comment="who was connected: session_user"
        ),
        sa.Column("acting_role", sa.Text, comment="as whom, by SET ROLE; NULL: as themselves"),
        sa.Column("subject", sa.Text, nullable=False, comment="the table: models or tenants"),
        sa.Column("subject_id", ID, nullable=False, comment="the model_id or tenant_id"),
        sa.Column("subject_name", sa.Text, comment="of a model version"),
        sa.Column(
            "action", sa.Text, nullable=False,
            comment="created, changed, dropped, or the state that a version has come to",
        ),
        sa.Column(
            "changes", JSONB, nullable=False, comment="by column: the value before and after"
        ),
        sa.PrimaryKeyConstraint("tenant_id", "event_id", name="audit_events_pkey"),
        schema=S,
        comment="who created, changed or dropped what decides on answers;"
        " written by triggers alone",
    )  # fmt: skip


def downgrade() -> None:
    """Drop it, and what would write into it."""
    op.execute("DROP FUNCTION IF EXISTS recs.note_change() CASCADE")
    op.drop_table("audit_events", schema=S)
