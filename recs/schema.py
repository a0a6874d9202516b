"""Tables, constraints and indexes of the schema `recs`: their current definition.

Functions, views, triggers, policies and grants are defined in sql/, one object per file.
`tenant_id` leads every key. Ids are the application's own keys as text (bigint and uuid cast to
text and back without loss), compared bytewise (COLLATE "C"): the fastest order an index can have.
"""

from __future__ import annotations

from pgvector.sqlalchemy import HALFVEC, VECTOR
from sqlalchemy import (
    DDL,
    REAL,
    TIMESTAMP,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    Identity,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    event,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

SCHEMA = "recs"
METRIC = "inner_product"

metadata = MetaData(
    schema=SCHEMA,
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
    },
)


def id_type() -> Text:
    """Return the type of every id."""
    return Text(collation="C")


def _tenant(**options: object) -> Column[str]:
    return Column(
        "tenant_id",
        id_type(),
        nullable=False,
        server_default=text("recs.current_tenant()"),
        **options,  # type: ignore[arg-type]
    )


def _now(name: str) -> Column[object]:
    return Column(name, TIMESTAMP(timezone=True), nullable=False, server_default=text("now()"))


def _json(name: str) -> Column[object]:
    return Column(name, JSONB, nullable=False, server_default=text("'{}'::jsonb"))


tenants = Table(
    "tenants",
    metadata,
    Column("tenant_id", id_type(), nullable=False),
    Column(
        "text_search_config", Text, nullable=False, server_default=text("'english'"),
        comment="the text search configuration that turns titles and descriptions into terms",
    ),
    Column(
        "popularity_half_life", Double,
        comment="days after which an interaction counts half in popularity; NULL: as the active "
        "model found, else 120",
    ),
    _now("created_at"),
    PrimaryKeyConstraint("tenant_id"),
    CheckConstraint("popularity_half_life > 0", name="popularity_half_life"),
    comment="who shares this database; row-level security keeps tenants apart",
)  # fmt: skip

users = Table(
    "users",
    metadata,
    _tenant(),
    Column("user_id", id_type(), nullable=False),
    Column("segment", Text, comment="the group whose popularity a stranger of it is shown"),
    _json("attributes"),
    _now("created_at"),
    PrimaryKeyConstraint("tenant_id", "user_id"),
    CheckConstraint("user_id <> ''", name="user_id"),
    # Popularity is kept by segment: one that no index holds would stop it for everybody.
    CheckConstraint("octet_length(segment) <= 1000", name="segment"),
    comment="what is known of users besides their interactions; a user needs no row here",
)

items = Table(
    "items",
    metadata,
    _tenant(),
    Column("item_id", id_type(), nullable=False),
    Column("title", Text, nullable=False, server_default=text("''")),
    Column("description", Text, nullable=False, server_default=text("''")),
    _json("attributes"),
    Column(
        "available", Boolean, nullable=False, server_default=text("true"),
        comment="false: never recommended, still learned from",
    ),
    Column(
        "content_vector", VECTOR(),
        comment="the application's own content vector; where it is NULL, title, description and "
        "attributes are encoded",
    ),
    _now("created_at"),
    PrimaryKeyConstraint("tenant_id", "item_id"),
    CheckConstraint("item_id <> ''", name="item_id"),
    CheckConstraint("jsonb_typeof(attributes) = 'object'", name="attributes"),
    CheckConstraint("vector_norm(content_vector) > 0", name="content_vector"),
    comment="the catalog",
)  # fmt: skip

# Without a list of pending entries: a search would have to read all of it.
items_attributes_idx = Index(
    "items_attributes_idx",
    items.c.attributes,
    postgresql_using="gin",
    postgresql_ops={"attributes": "jsonb_path_ops"},
    postgresql_with={"fastupdate": "off"},
)

# What nobody has touched comes newest first: what a shop without interactions shows.
items_newest_idx = Index(
    "items_newest_idx", items.c.tenant_id, items.c.created_at.desc(), items.c.item_id
)

interactions = Table(
    "interactions",
    metadata,
    _tenant(),
    Column("user_id", id_type(), nullable=False),
    Column("item_id", id_type(), nullable=False),
    Column("interaction_type", Text, nullable=False, server_default=text("'interaction'")),
    Column("weight", REAL, nullable=False, server_default=text("1")),
    _now("occurred_at"),
    CheckConstraint("user_id <> ''", name="user_id"),
    # Squares of such, summed, are single numbers yet. NaN sorts above all of them in PostgreSQL.
    CheckConstraint("weight >= 1e-12::real AND weight <= 1e12::real", name="weight"),
    CheckConstraint("isfinite(occurred_at)", name="occurred_at"),
    comment="what users did; a trigger refuses items that are not in the catalog",
)
# No key to name a row by; logical replication, where it is on, names it by all of it.
event.listen(
    interactions,
    "after_create",
    DDL(f"ALTER TABLE {SCHEMA}.interactions REPLICA IDENTITY FULL"),  # type: ignore[no-untyped-call]
)
# No primary key: buying twice is two interactions. One index only, since it is what a load costs.
# Comparing is most of what an entry costs. text_pattern_ops, bytewise as COLLATE "C" is, compares
# tenants without looking the collation up; users and items keep the order that ORDER BY means.
interactions_user_idx = Index(
    "interactions_user_idx",
    interactions.c.tenant_id,
    interactions.c.user_id,
    interactions.c.item_id,
    postgresql_include=["occurred_at", "weight"],
    postgresql_ops={"tenant_id": "text_pattern_ops"},
)

item_popularity = Table(
    "item_popularity",
    metadata,
    _tenant(),
    Column("segment", Text, nullable=False, comment="a segment of users; empty: all users"),
    Column("item_id", id_type(), nullable=False),
    Column(
        "popularity", Double, nullable=False,
        comment="sum of weight * 0.5 ^ (age / half-life), as of the last refresh_popularity()",
    ),
    Column("support", Integer, nullable=False, comment="distinct users"),
    PrimaryKeyConstraint("tenant_id", "segment", "item_id"),
    comment="time-decayed popularity, made by recs.refresh_popularity()",
)  # fmt: skip
item_popularity_rank_idx = Index(
    "item_popularity_rank_idx",
    item_popularity.c.tenant_id,
    item_popularity.c.segment,
    item_popularity.c.popularity.desc(),
    item_popularity.c.item_id,
)

models = Table(
    "models",
    metadata,
    _tenant(),
    Column("model_id", BigInteger, Identity(always=True), nullable=False),
    Column("name", Text, nullable=False),
    Column("state", Text, nullable=False, server_default=text("'training'")),
    Column("dimension", Integer, nullable=False),
    Column("metric", Text, nullable=False, server_default=text(f"'{METRIC}'")),
    Column("content_dimension", Integer, comment="NULL: the model knows no content"),
    Column(
        "history_half_life", Double,
        comment="days after which an interaction counts half in a user vector; NULL: never",
    ),
    Column(
        "popularity_half_life", Double,
        comment="days after which an interaction counts half in popularity; NULL: as in a history",
    ),
    Column(
        "exact_search", Boolean, nullable=False, server_default=text("false"),
        comment="all learned items are compared, since the index missed too many of the nearest",
    ),
    Column(
        "trained_until", TIMESTAMP(timezone=True),
        comment="interactions recorded later are not in user_embeddings, they are folded in",
    ),
    Column(
        "content_neighbors", Integer, nullable=False, server_default=text("100"),
        comment="how many learned items, nearest by content, place a new item",
    ),
    Column(
        "tower_dimension", Integer,
        comment="of the two-tower model's part of vectors; NULL: compared as they are",
    ),
    Column(
        "tower_weight", Double,
        comment="what the two-tower model counts for a user of whom very much is known",
    ),
    Column(
        "tower_support", Double,
        comment="distinct items of a user at which it counts half of that",
    ),
    Column(
        "low_pass_dimension", Integer,
        comment="of the part of associations that is a low-pass filter; the first of them",
    ),
    Column(
        "detail_dimension", Integer,
        comment="of the part of associations that is fine detail; the last of them",
    ),
    Column(
        "association_support", Double,
        comment="distinct items of a user at which either counts half",
    ),
    Column(
        "popularity_weight", Double,
        comment="how many interactions popularity is worth to a user of whom little is known",
    ),
    Column(
        "new_item_tower", Double,
        comment="what the two-tower model counts for an item placed by its content",
    ),
    Column(
        "new_item_bias", Double,
        comment="added to the score of an item placed by its content, or taken off it",
    ),
    Column(
        "embedding_scale", Double,
        comment="what items were divided by, so that the longest has norm 1",
    ),
    _json("parameters"),
    _json("metrics"),
    Column("previous_model_id", BigInteger, comment="active before this one: roll back goes there"),
    _now("created_at"),
    Column("activated_at", TIMESTAMP(timezone=True)),
    Column(
        "tower_fading", Double,
        comment="distinct items of a user at which it has faded to half again",
    ),
    Column(
        "trial_share", REAL,
        comment="the share of users that it answers beside the active version; NULL: it is not on "
        "trial",
    ),
    PrimaryKeyConstraint("tenant_id", "model_id"),
    CheckConstraint(
        "state IN ('training', 'ready', 'active', 'retired', 'failed')", name="state"
    ),
    CheckConstraint("trial_share > 0 AND trial_share < 1", name="trial_share"),
    CheckConstraint("trial_share IS NULL OR state IN ('ready', 'retired')", name="trial"),
    CheckConstraint("dimension BETWEEN 1 AND 4000", name="dimension"),
    CheckConstraint(f"metric = '{METRIC}'", name="metric"),
    CheckConstraint("history_half_life > 0", name="history_half_life"),
    CheckConstraint("popularity_half_life > 0", name="popularity_half_life"),
    CheckConstraint("content_neighbors > 0", name="content_neighbors"),
    CheckConstraint("tower_weight >= 0", name="tower_weight"),
    CheckConstraint("tower_support > 0", name="tower_support"),
    CheckConstraint("tower_fading > 0", name="tower_fading"),
    CheckConstraint(
        "low_pass_dimension BETWEEN 0 AND dimension - tower_dimension - 2",
        name="low_pass_dimension",
    ),
    CheckConstraint("association_support > 0", name="association_support"),
    CheckConstraint(
        "detail_dimension BETWEEN 0 AND dimension - tower_dimension - 2 - low_pass_dimension",
        name="detail_dimension",
    ),
    CheckConstraint("popularity_weight >= 0", name="popularity_weight"),
    CheckConstraint("new_item_tower >= 0", name="new_item_tower"),
    CheckConstraint("embedding_scale > 0", name="embedding_scale"),
    # Popularity and newness take two; associations stand between.
    CheckConstraint(
        "tower_dimension BETWEEN 1 AND dimension - 3", name="tower_dimension"
    ),
    CheckConstraint(
        "num_nulls(tower_dimension, tower_weight, tower_support, tower_fading,"
        " low_pass_dimension, detail_dimension, association_support, popularity_weight,"
        " new_item_tower, new_item_bias, embedding_scale)"
        " IN (0, 11)",
        name="blend",
    ),
    comment="model versions; the vectors of each lie in partitions of their own",
)  # fmt: skip
models_active_idx = Index(
    "models_active_idx",
    models.c.tenant_id,
    unique=True,
    postgresql_where=models.c.state == "active",
)
models_trial_idx = Index(
    "models_trial_idx",
    models.c.tenant_id,
    unique=True,
    postgresql_where=models.c.trial_share.is_not(None),
)

audit_events = Table(
    "audit_events",
    metadata,
    _tenant(),
    Column("event_id", BigInteger, Identity(always=True), nullable=False),
    # now() would be when the transaction began, which may be as long ago as its author likes.
    Column(
        "occurred_at", TIMESTAMP(timezone=True), nullable=False,
        server_default=text("clock_timestamp()"),
    ),
    Column("login_role", Text, nullable=False, comment="who was connected: session_user"),
    Column("acting_role", Text, comment="as whom, by SET ROLE; NULL: as themselves"),
    Column("subject", Text, nullable=False, comment="the table: models or tenants"),
    Column("subject_id", id_type(), nullable=False, comment="the model_id or tenant_id"),
    Column("subject_name", Text, comment="of a model version"),
    Column(
        "action", Text, nullable=False,
        comment="created, changed, dropped, or the state that a version has come to",
    ),
    Column("changes", JSONB, nullable=False, comment="by column: the value before and after"),
    PrimaryKeyConstraint("tenant_id", "event_id"),
    comment="who created, changed or dropped what decides on answers; written by triggers alone",
)  # fmt: skip

_BY_MODEL = "LIST (model_id)"


def _model_id() -> Column[int]:
    return Column("model_id", BigInteger, nullable=False)


# Dimensions differ from version to version, so the columns are untyped; each partition has a
# CHECK on the dimension of its version, and its index casts to it.
item_embeddings = Table(
    "item_embeddings",
    metadata,
    _tenant(),
    _model_id(),
    Column("item_id", id_type(), nullable=False),
    Column("embedding", HALFVEC(), nullable=False, comment="norm 1 at most; indexed with HNSW"),
    Column(
        "history_embedding", HALFVEC(), nullable=False,
        comment="what one interaction with the item adds to a user vector",
    ),
    Column("content_embedding", HALFVEC(), comment="unit norm; NULL: the item has no content"),
    Column(
        "seasonality", REAL, nullable=False, server_default=text("1"),
        comment="how much more of the item is wanted in the season ahead than of late, and of "
        "new items like it",
    ),
    Column(
        "source", Text, nullable=False, server_default=text("'content'"),
        comment="interactions: learned; content: placed by its content, in SQL",
    ),
    PrimaryKeyConstraint("tenant_id", "model_id", "item_id"),
    CheckConstraint("source IN ('interactions', 'content')", name="source"),
    comment="one vector per item and model version; a partition per version",
    postgresql_partition_by=_BY_MODEL,
)  # fmt: skip

user_embeddings = Table(
    "user_embeddings",
    metadata,
    _tenant(),
    _model_id(),
    Column("user_id", id_type(), nullable=False),
    Column(
        "history", VECTOR(), nullable=False,
        comment="sum of decayed weight * history_embedding up to trained_until, not normalised",
    ),
    Column("support", Integer, nullable=False, comment="distinct items in the sum"),
    Column(
        "fingerprint", BigInteger, nullable=False,
        comment="sum(hashtext(item_id)) of the interactions in the sum: where it no longer fits, "
        "one was deleted or came late, and the user is folded in anew",
    ),
    PrimaryKeyConstraint("tenant_id", "model_id", "user_id"),
    comment="users as of a model's trained_until; what they did since is folded in when asked",
    postgresql_partition_by=_BY_MODEL,
)  # fmt: skip

content_terms = Table(
    "content_terms",
    metadata,
    _tenant(),
    _model_id(),
    Column("term", id_type(), nullable=False),
    Column("inverse_document_frequency", REAL, nullable=False),
    Column("embedding", HALFVEC(), nullable=False),
    PrimaryKeyConstraint("tenant_id", "model_id", "term"),
    comment="the default content encoder of a model version: a content vector is the normalised "
    "sum of its terms' vectors",
    postgresql_partition_by=_BY_MODEL,
)  # fmt: skip

PARTITIONED_BY_MODEL = (item_embeddings, user_embeddings, content_terms)
