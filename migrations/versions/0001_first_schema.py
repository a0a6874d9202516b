"""First schema: tenants, users, items, interactions, popularity, models, embeddings.

Revision ID: 0001
Revises: nothing
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from pgvector.sqlalchemy import HALFVEC, VECTOR
from sqlalchemy.dialects.postgresql import JSONB

from recs.database import driver_connection
from recs.migration import read_sql
from recs.resources import sql_files

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

S = "recs"
ID = sa.Text(collation="C")
NOW = sa.text("now()")
EMPTY = sa.text("'{}'::jsonb")
TIME = sa.TIMESTAMP(timezone=True)


def tenant() -> sa.Column[str]:
    """Return the column that leads every key."""
    return sa.Column(
        "tenant_id", ID, nullable=False, server_default=sa.text("recs.current_tenant()"),
    )  # fmt: skip


def create_current_tenant() -> None:
    """Create the function that the defaults of the tables call."""
    (path,) = (path for path in sql_files() if path.stem == "current_tenant")
    context = op.get_context()
    if context.as_sql:
        context.impl.static_output(read_sql(path))
    else:
        driver_connection(op.get_bind()).execute(read_sql(path).encode())


def upgrade() -> None:
    """Create all tables and indexes."""
    create_current_tenant()
    op.create_table(
        "tenants",
        sa.Column("tenant_id", ID, nullable=False),
        sa.Column(
            "text_search_config", sa.Text, nullable=False, server_default=sa.text("'english'"),
            comment="the text search configuration that turns titles and descriptions into terms",
        ),
        sa.Column(
            "popularity_half_life", sa.Double,
            comment="days after which an interaction counts half in popularity; NULL: as the "
            "active model found, else 120",
        ),
        sa.Column("created_at", TIME, nullable=False, server_default=NOW),
        sa.PrimaryKeyConstraint("tenant_id", name="tenants_pkey"),
        sa.CheckConstraint(
            "popularity_half_life > 0", name=op.f("tenants_popularity_half_life_check")
        ),
        schema=S,
        comment="who shares this database; row-level security keeps tenants apart",
    )  # fmt: skip
    op.execute("INSERT INTO recs.tenants (tenant_id) VALUES ('default')")
    op.create_table(
        "users",
        tenant(),
        sa.Column("user_id", ID, nullable=False),
        sa.Column(
            "segment", sa.Text, comment="the group whose popularity a stranger of it is shown"
        ),
        sa.Column("attributes", JSONB, nullable=False, server_default=EMPTY),
        sa.Column("created_at", TIME, nullable=False, server_default=NOW),
        sa.PrimaryKeyConstraint("tenant_id", "user_id", name="users_pkey"),
        sa.CheckConstraint("user_id <> ''", name=op.f("users_user_id_check")),
        schema=S,
        comment="what is known of users besides their interactions; a user needs no row here",
    )
    op.create_table(
        "items",
        tenant(),
        sa.Column("item_id", ID, nullable=False),
        sa.Column("title", sa.Text, nullable=False, server_default=sa.text("''")),
        sa.Column("description", sa.Text, nullable=False, server_default=sa.text("''")),
        sa.Column("attributes", JSONB, nullable=False, server_default=EMPTY),
        sa.Column(
            "available", sa.Boolean, nullable=False, server_default=sa.text("true"),
            comment="false: never recommended, still learned from",
        ),
        sa.Column(
            "content_vector", VECTOR(),
            comment="the application's own content vector; where it is NULL, title, description "
            "and attributes are encoded",
        ),
        sa.Column("created_at", TIME, nullable=False, server_default=NOW),
        sa.PrimaryKeyConstraint("tenant_id", "item_id", name="items_pkey"),
        sa.CheckConstraint("item_id <> ''", name=op.f("items_item_id_check")),
        sa.CheckConstraint(
            "jsonb_typeof(attributes) = 'object'", name=op.f("items_attributes_check")
        ),
        sa.CheckConstraint(
            "vector_norm(content_vector) > 0", name=op.f("items_content_vector_check")
        ),
        schema=S,
        comment="the catalog",
    )  # fmt: skip
    # Without a list of pending entries: a search would have to read all of it.
    op.create_index(
        "items_attributes_idx",
        "items",
        ["attributes"],
        schema=S,
        postgresql_using="gin",
        postgresql_ops={"attributes": "jsonb_path_ops"},
        postgresql_with={"fastupdate": "off"},
    )
    op.create_index(
        "items_newest_idx",
        "items",
        ["tenant_id", sa.text("created_at DESC"), "item_id"],
        schema=S,
    )
    op.create_table(
        "interactions",
        tenant(),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("item_id", ID, nullable=False),
        sa.Column(
            "interaction_type", sa.Text, nullable=False, server_default=sa.text("'interaction'")
        ),
        sa.Column("weight", sa.REAL, nullable=False, server_default=sa.text("1")),
        sa.Column("occurred_at", TIME, nullable=False, server_default=NOW),
        sa.CheckConstraint("user_id <> ''", name=op.f("interactions_user_id_check")),
        sa.CheckConstraint(
            "weight > 0 AND weight < 'Infinity'", name=op.f("interactions_weight_check")
        ),
        sa.CheckConstraint("isfinite(occurred_at)", name=op.f("interactions_occurred_at_check")),
        schema=S,
        comment="what users did; a trigger refuses items that are not in the catalog",
    )
    op.create_index(
        "interactions_user_idx",
        "interactions",
        ["tenant_id", "user_id", "item_id"],
        schema=S,
        postgresql_include=["occurred_at", "weight"],
        postgresql_ops={"tenant_id": "text_pattern_ops"},
    )
    op.create_table(
        "item_popularity",
        tenant(),
        sa.Column(
            "segment", sa.Text, nullable=False, comment="a segment of users; empty: all users"
        ),
        sa.Column("item_id", ID, nullable=False),
        sa.Column(
            "popularity", sa.Double, nullable=False,
            comment="sum of weight * 0.5 ^ (age / half-life), as of the last "
            "refresh_popularity()",
        ),
        sa.Column("support", sa.Integer, nullable=False, comment="distinct users"),
        sa.PrimaryKeyConstraint("tenant_id", "segment", "item_id", name="item_popularity_pkey"),
        schema=S,
        comment="time-decayed popularity, made by recs.refresh_popularity()",
    )  # fmt: skip
    op.create_index(
        "item_popularity_rank_idx",
        "item_popularity",
        ["tenant_id", "segment", sa.text("popularity DESC"), "item_id"],
        schema=S,
    )
    op.create_table(
        "models",
        tenant(),
        sa.Column("model_id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False, server_default=sa.text("'training'")),
        sa.Column("dimension", sa.Integer, nullable=False),
        sa.Column(
            "metric", sa.Text, nullable=False, server_default=sa.text("'inner_product'")
        ),
        sa.Column("content_dimension", sa.Integer, comment="NULL: the model knows no content"),
        sa.Column(
            "history_half_life", sa.Double,
            comment="days after which an interaction counts half in a user vector; NULL: never",
        ),
        sa.Column(
            "popularity_half_life", sa.Double,
            comment="days after which an interaction counts half in popularity; "
            "NULL: as in a history",
        ),
        sa.Column(
            "exact_search", sa.Boolean, nullable=False, server_default=sa.text("false"),
            comment="all learned items are compared, since the index missed too many of the "
            "nearest",
        ),
        sa.Column(
            "trained_until", TIME,
            comment="interactions recorded later are not in user_embeddings, they are folded in",
        ),
        sa.Column(
            "content_neighbors", sa.Integer, nullable=False, server_default=sa.text("100"),
            comment="how many learned items, nearest by content, place a new item",
        ),
        sa.Column(
            "tower_dimension", sa.Integer,
            comment="of the two-tower model's part of vectors; NULL: compared as they are",
        ),
        sa.Column(
            "tower_weight", sa.Double,
            comment="what the two-tower model counts for a user of whom very much is known",
        ),
        sa.Column(
            "tower_support", sa.Double,
            comment="distinct items of a user at which it counts half of that",
        ),
        sa.Column(
            "low_pass_dimension", sa.Integer,
            comment="of the part of associations that is a low-pass filter; the first of them",
        ),
        sa.Column(
            "detail_dimension", sa.Integer,
            comment="of the part of associations that is fine detail; the last of them",
        ),
        sa.Column(
            "association_support", sa.Double,
            comment="distinct items of a user at which either counts half",
        ),
        sa.Column(
            "popularity_weight", sa.Double,
            comment="how many interactions popularity is worth to a user of whom little is known",
        ),
        sa.Column(
            "new_item_tower", sa.Double,
            comment="what the two-tower model counts for an item placed by its content",
        ),
        sa.Column(
            "new_item_bias", sa.Double,
            comment="added to the score of an item placed by its content",
        ),
        sa.Column(
            "embedding_scale", sa.Double,
            comment="what items were divided by, so that the longest has norm 1",
        ),
        sa.Column("parameters", JSONB, nullable=False, server_default=EMPTY),
        sa.Column("metrics", JSONB, nullable=False, server_default=EMPTY),
        sa.Column(
            "previous_model_id", sa.BigInteger,
            comment="active before this one: roll back goes there",
        ),
        sa.Column("created_at", TIME, nullable=False, server_default=NOW),
        sa.Column("activated_at", TIME),
        sa.PrimaryKeyConstraint("tenant_id", "model_id", name="models_pkey"),
        sa.CheckConstraint(
            "state IN ('training', 'ready', 'active', 'retired', 'failed')",
            name=op.f("models_state_check"),
        ),
        sa.CheckConstraint("dimension BETWEEN 1 AND 4000", name=op.f("models_dimension_check")),
        sa.CheckConstraint("metric = 'inner_product'", name=op.f("models_metric_check")),
        sa.CheckConstraint("history_half_life > 0", name=op.f("models_history_half_life_check")),
        sa.CheckConstraint(
            "popularity_half_life > 0", name=op.f("models_popularity_half_life_check")
        ),
        sa.CheckConstraint("content_neighbors > 0", name=op.f("models_content_neighbors_check")),
        sa.CheckConstraint("tower_weight >= 0", name=op.f("models_tower_weight_check")),
        sa.CheckConstraint("tower_support > 0", name=op.f("models_tower_support_check")),
        sa.CheckConstraint(
            "low_pass_dimension BETWEEN 0 AND dimension - tower_dimension - 2",
            name=op.f("models_low_pass_dimension_check"),
        ),
        sa.CheckConstraint(
            "association_support > 0", name=op.f("models_association_support_check")
        ),
        sa.CheckConstraint(
            "detail_dimension BETWEEN 0 AND dimension - tower_dimension - 2 - low_pass_dimension",
            name=op.f("models_detail_dimension_check"),
        ),
        sa.CheckConstraint("popularity_weight >= 0", name=op.f("models_popularity_weight_check")),
        sa.CheckConstraint("new_item_tower >= 0", name=op.f("models_new_item_tower_check")),
        sa.CheckConstraint("new_item_bias >= 0", name=op.f("models_new_item_bias_check")),
        sa.CheckConstraint("embedding_scale > 0", name=op.f("models_embedding_scale_check")),
        sa.CheckConstraint(
            "tower_dimension BETWEEN 1 AND dimension - 3",
            name=op.f("models_tower_dimension_check"),
        ),
        sa.CheckConstraint(
            "num_nulls(tower_dimension, tower_weight, tower_support, low_pass_dimension,"
            " detail_dimension, association_support, popularity_weight,"
            " new_item_tower, new_item_bias, embedding_scale)"
            " IN (0, 10)",
            name=op.f("models_blend_check"),
        ),
        schema=S,
        comment="model versions; the vectors of each lie in partitions of their own",
    )  # fmt: skip
    op.create_index(
        "models_active_idx",
        "models",
        ["tenant_id"],
        schema=S,
        unique=True,
        postgresql_where=sa.text("state = 'active'"),
    )
    op.create_table(
        "item_embeddings",
        tenant(),
        sa.Column("model_id", sa.BigInteger, nullable=False),
        sa.Column("item_id", ID, nullable=False),
        sa.Column(
            "embedding", HALFVEC(), nullable=False, comment="norm 1 at most; indexed with HNSW"
        ),
        sa.Column(
            "history_embedding", HALFVEC(), nullable=False,
            comment="what one interaction with the item adds to a user vector",
        ),
        sa.Column(
            "content_embedding", HALFVEC(), comment="unit norm; NULL: the item has no content"
        ),
        sa.Column(
            "seasonality", sa.REAL, nullable=False, server_default=sa.text("1"),
            comment="how much more of the item is wanted in the season ahead than of late, and "
            "of new items like it",
        ),
        sa.Column(
            "source", sa.Text, nullable=False, server_default=sa.text("'content'"),
            comment="interactions: learned; content: placed by its content, in SQL",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "model_id", "item_id", name="item_embeddings_pkey"),
        sa.CheckConstraint(
            "source IN ('interactions', 'content')", name=op.f("item_embeddings_source_check")
        ),
        schema=S,
        comment="one vector per item and model version; a partition per version",
        postgresql_partition_by="LIST (model_id)",
    )  # fmt: skip
    # In the row, not beside it: an exact search reads every vector, and is five times as fast.
    op.execute("ALTER TABLE recs.item_embeddings ALTER COLUMN embedding SET STORAGE MAIN")
    op.create_table(
        "user_embeddings",
        tenant(),
        sa.Column("model_id", sa.BigInteger, nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.Column(
            "history", VECTOR(), nullable=False,
            comment="sum of decayed weight * history_embedding up to trained_until, "
            "not normalised",
        ),
        sa.Column(
            "support", sa.Integer, nullable=False, comment="distinct items in the sum"
        ),
        sa.Column(
            "fingerprint", sa.BigInteger, nullable=False,
            comment="sum(hashtext(item_id)) of the interactions in the sum: where it no longer "
            "fits, one was deleted or came late, and the user is folded in anew",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "model_id", "user_id", name="user_embeddings_pkey"),
        schema=S,
        comment="users as of a model's trained_until; what they did since is folded in when asked",
        postgresql_partition_by="LIST (model_id)",
    )  # fmt: skip
    op.create_table(
        "content_terms",
        tenant(),
        sa.Column("model_id", sa.BigInteger, nullable=False),
        sa.Column("term", ID, nullable=False),
        sa.Column("inverse_document_frequency", sa.REAL, nullable=False),
        sa.Column("embedding", HALFVEC(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "model_id", "term", name="content_terms_pkey"),
        schema=S,
        comment="the default content encoder of a model version: a content vector is the "
        "normalised sum of its terms' vectors",
        postgresql_partition_by="LIST (model_id)",
    )


def downgrade() -> None:
    """Drop all that recs made but its version table: every model and interaction with it."""
    for table in (
        "content_terms", "user_embeddings", "item_embeddings", "models",
        "item_popularity", "interactions", "items", "users", "tenants",
    ):  # fmt: skip
        op.execute(f"DROP TABLE recs.{table} CASCADE")
    op.execute("""
        DO $$
        DECLARE
          v_function text;
        BEGIN
          -- Named before the first is dropped: what falls with another has no name any more.
          FOREACH v_function IN ARRAY ARRAY(
            SELECT p.oid::regprocedure::text FROM pg_proc p
            WHERE p.pronamespace = 'recs'::regnamespace)
          LOOP
            EXECUTE format('DROP FUNCTION IF EXISTS %s CASCADE', v_function);
          END LOOP;
        END
        $$""")
