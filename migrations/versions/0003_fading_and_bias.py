"""Let the two-tower model fade again where much is known of a user, and a bias be below zero.

Versions so far never faded.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

S = "recs"
_BIAS = "models_new_item_bias_check"
_ADDED = "added to the score of an item placed by its content"
_PARTS = (
    "num_nulls(tower_dimension, tower_weight, tower_support,{fading} low_pass_dimension,"
    " detail_dimension, association_support, popularity_weight,"
    " new_item_tower, new_item_bias, embedding_scale) IN (0, {count})"
)


def upgrade() -> None:
    """Add the column: a million items, which nobody has, where there is a blend."""
    op.add_column(
        "models",
        sa.Column(
            "tower_fading",
            sa.Double,
            comment="distinct items of a user at which it has faded to half again",
        ),
        schema=S,
    )
    op.execute("UPDATE recs.models SET tower_fading = 1e6 WHERE tower_dimension IS NOT NULL")
    op.create_check_constraint(
        op.f("models_tower_fading_check"), "models", "tower_fading > 0", schema=S
    )
    _require_parts(_PARTS.format(fading=" tower_fading,", count=11))
    op.drop_constraint(op.f(_BIAS), "models", schema=S)
    op.alter_column("models", "new_item_bias", comment=_ADDED + ", or taken off it", schema=S)


def downgrade() -> None:
    """Drop it; new items are put back no more."""
    op.execute("UPDATE recs.models SET new_item_bias = 0 WHERE new_item_bias < 0")
    op.create_check_constraint(op.f(_BIAS), "models", "new_item_bias >= 0", schema=S)
    op.alter_column("models", "new_item_bias", comment=_ADDED, schema=S)
    _require_parts(_PARTS.format(fading="", count=10))
    op.drop_column("models", "tower_fading", schema=S)


def _require_parts(condition: str) -> None:
    op.drop_constraint(op.f("models_blend_check"), "models", schema=S)
    op.create_check_constraint(op.f("models_blend_check"), "models", condition, schema=S)
