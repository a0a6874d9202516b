"""Refuse what would stop training and popularity; note changes by the clock.

Rows that are there are not looked at, so that no table is locked for long.

Revision ID: 0009
Revises: 0008
"""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

S = "recs"
_CHECKS = {
    ("users", "users_segment_check"): "octet_length(segment) <= 1000",
    (
        "interactions",
        "interactions_weight_check",
    ): "weight >= 1e-12::real AND weight <= 1e12::real",
}


def upgrade() -> None:
    """Bound segments and weights; of an empty table nothing has to be taken on trust."""
    op.drop_constraint(op.f("interactions_weight_check"), "interactions", schema=S)
    for (table, name), check in _CHECKS.items():
        op.create_check_constraint(op.f(name), table, check, schema=S, postgresql_not_valid=True)
        op.execute(
            f"DO $$ BEGIN IF NOT EXISTS (SELECT FROM {S}.{table}) THEN"
            f" ALTER TABLE {S}.{table} VALIDATE CONSTRAINT {name}; END IF; END $$"
        )
    _note_by("clock_timestamp()")


def downgrade() -> None:
    """Take what the release of 0008 took."""
    op.drop_constraint(op.f("users_segment_check"), "users", schema=S)
    op.drop_constraint(op.f("interactions_weight_check"), "interactions", schema=S)
    op.create_check_constraint(
        op.f("interactions_weight_check"),
        "interactions",
        "weight > 0 AND weight < 'Infinity'",
        schema=S,
        postgresql_not_valid=True,
    )
    for table in ("models", "tenants"):
        op.execute(f"DROP TRIGGER IF EXISTS {table}_refuse_truncate ON {S}.{table}")
    op.execute(f"DROP FUNCTION IF EXISTS {S}.refuse_truncate()")
    for command in ("insert", "update", "delete"):
        op.execute(f"DROP POLICY IF EXISTS item_embeddings_placed_{command} ON {S}.item_embeddings")
    _note_by("now()")


def _note_by(clock: str) -> None:
    op.execute(f"ALTER TABLE {S}.audit_events ALTER COLUMN occurred_at SET DEFAULT {clock}")
