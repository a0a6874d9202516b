"""Let a version answer a share of the users beside the active one.

Functions that measure the index and that erase a user come with sql/.

Revision ID: 0008
Revises: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

S = "recs"


def upgrade() -> None:
    """Add the column, its checks and the index by which an answer finds it."""
    op.add_column(
        "models",
        sa.Column(
            "trial_share",
            sa.REAL,
            comment="the share of users that it answers beside the active version;"
            " NULL: it is not on trial",
        ),
        schema=S,
    )
    op.create_check_constraint(
        op.f("models_trial_share_check"), "models", "trial_share > 0 AND trial_share < 1", schema=S
    )
    op.create_check_constraint(
        op.f("models_trial_check"),
        "models",
        "trial_share IS NULL OR state IN ('ready', 'retired')",
        schema=S,
    )
    op.create_index(
        "models_trial_idx",
        "models",
        ["tenant_id"],
        unique=True,
        schema=S,
        postgresql_where=sa.text("trial_share IS NOT NULL"),
    )


def downgrade() -> None:
    """Drop what the release of 0007 does not know; the active version answers all users."""
    for function in (
        "serving_model(text)",
        "is_in_trial(text, bigint, real)",
        "start_trial(bigint, real)",
        "stop_trial()",
        "measure_ann_recall(integer, integer, bigint, bigint)",
        "erase_user(text)",
    ):
        op.execute(f"DROP FUNCTION IF EXISTS recs.{function}")
    op.drop_column("models", "trial_share", schema=S)
