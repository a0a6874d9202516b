"""The plans that serving relies on: which index, no sequential scan, a bound on rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import psycopg
import pytest

from recs import Item, Recommender, database
from tests import shops
from tests.conftest import Databases
from tests.serving.plans import Explained, assert_reads_few, nodes, rows_read, scans_of

ITEMS = 5000
USERS = 300
SEEN = 20
K = 10
DIMENSION = 16
NEW = 100
FEW = 1000  # new items up to which all are looked at
GOLD = 20  # items that pass a strict filter
BEST_SELLERS = 100  # of which hardly one passes a filter that may be strict


@pytest.fixture(scope="module")
def shop_dsn(databases: Databases, template: str) -> Iterator[str]:
    """Return the DSN of a shop of 5,000 items and 6,000 interactions."""
    name = databases.create(template)
    dsn = databases.dsn_of(name)
    _make_shop(dsn)
    yield dsn
    databases.drop(name)


def _make_shop(dsn: str) -> None:
    random = np.random.default_rng(5)
    engine = database.make_engine(dsn)
    ids = shops.insert_items(engine, ITEMS)
    histories = {f"user-{u}": random.choice(ITEMS, SEEN, replace=False) for u in range(USERS)}
    shops.record(engine, [(user, ids[j]) for user, items in histories.items() for j in items])
    vectors = shops.unit(random.normal(size=(ITEMS, DIMENSION)))
    shops.publish(engine, shops.publication(ids, vectors, histories=histories))
    Recommender(engine).upsert_items(
        Item(item, f"title of {item}", attributes={"colour": "gold"})
        for item in random.choice(ids, GOLD, replace=False)
    )
    new = shops.unit(random.normal(size=(NEW, DIMENSION)))
    Recommender(engine).upsert_items(Item(f"new-{n}", f"new item {n}") for n in range(NEW))
    shops.place(engine, {f"new-{n}": row for n, row in enumerate(new)})
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SELECT recs.refresh_popularity()")
        connection.execute("CREATE TABLE products (id bigint PRIMARY KEY, name text)")
        connection.execute(
            "INSERT INTO products SELECT n, 'product ' || n FROM generate_series(1, 20000) n"
        )
        connection.execute("VACUUM ANALYZE")


@pytest.fixture
def explained(shop_dsn: str) -> Iterator[Explained]:
    with psycopg.connect(shop_dsn, autocommit=True) as connection:
        yield Explained(connection)


@contextmanager
def more_new_items(explained: Explained, count: int) -> Iterator[None]:
    """Have more of a new item's kind beside it, each with a vector of its own; roll back.

    Of a thousand equal vectors an index of neighbours finds now ten and now nine.
    """
    random = np.random.default_rng(9)
    vectors = [str(row.tolist()) for row in shops.unit(random.normal(size=(count, DIMENSION)))]
    with explained.connection.transaction(force_rollback=True):
        explained.connection.execute(
            "INSERT INTO recs.items (item_id, tenant_id, title, available, attributes)"
            " SELECT 'more-' || n, tenant_id, title, available, attributes"
            " FROM recs.items, generate_series(1, %s) n WHERE item_id = 'new-1'",
            [count],
        )
        explained.connection.execute(
            "INSERT INTO recs.item_embeddings"
            " (item_id, tenant_id, model_id, embedding, history_embedding)"
            " SELECT 'more-' || n, tenant_id, model_id, v::halfvec, v::halfvec"
            " FROM recs.item_embeddings, unnest(%s::text[]) WITH ORDINALITY m (v, n)"
            " WHERE item_id = 'new-1'",
            [vectors],
        )
        yield


def model_id(dsn: str) -> int:
    with psycopg.connect(dsn) as connection:
        row = connection.execute("SELECT model_id FROM recs.models").fetchone()
    assert row is not None
    return int(row[0])


def test_recommend_searches_the_versions_own_index(explained: Explained, shop_dsn: str) -> None:
    plans = explained.plans("SELECT * FROM recs.recommend('user-1', %s)", K)
    index = f"item_embeddings_{model_id(shop_dsn)}_embedding_idx"
    assert_reads_few(plans, index=index, rows=NEW)


ASKING = [
    "recommend('user-1', %s)",
    "similar_items('item-1', %s)",
    "recommend_for_items('{item-1,item-2}', %s)",
]


@pytest.mark.parametrize("function", ASKING)
def test_few_new_items_are_searched_without_the_graph(
    explained: Explained, shop_dsn: str, function: str
) -> None:
    plans = explained.plans(f"SELECT * FROM recs.{function}", K)
    index = f"item_embeddings_{model_id(shop_dsn)}"
    exact = [node for node in scans_of(plans, f"{index}_new_idx") if rows_read(node) == NEW]
    assert exact, json.dumps(plans, indent=1)
    assert not scans_of(plans, f"{index}_new_embedding_idx"), json.dumps(plans, indent=1)
    # Only those near enough to be shown are joined to the catalog.
    joined = [node for node in nodes(plans) if node.get("Relation Name") == "items"]
    assert sum(map(rows_read, joined)) < NEW, json.dumps(plans, indent=1)


@pytest.mark.parametrize("function", ASKING)
def test_many_new_items_are_searched_by_an_index_of_their_own(
    explained: Explained, shop_dsn: str, function: str
) -> None:
    with more_new_items(explained, FEW):
        plans = explained.plans(f"SELECT * FROM recs.{function}", K)
    index = f"item_embeddings_{model_id(shop_dsn)}"
    assert scans_of(plans, f"{index}_new_embedding_idx"), json.dumps(plans, indent=1)
    counted = [rows_read(node) for node in scans_of(plans, f"{index}_new_idx")]
    assert counted == [FEW + 1], json.dumps(plans, indent=1)


@pytest.mark.parametrize("role", ["recs_reader", "none"])
@pytest.mark.parametrize(
    "function",
    [
        "recommend('user-1', %s, p_filter => %s)",
        "recommend('stranger', %s, p_filter => %s)",
        "similar_items('item-1', %s, %s)",
    ],
)
@pytest.mark.parametrize(("colour", "rows"), [("gold", GOLD), ("green", 0)])
def test_what_passes_a_strict_filter_is_looked_up(
    explained: Explained, role: str, function: str, colour: str, rows: int
) -> None:
    with explained.acting_as(role):
        plans = explained.plans(f"SELECT * FROM recs.{function}", GOLD, f'{{"colour": "{colour}"}}')
    assert plans[-1]["Plan"]["Actual Rows"] == rows
    assert_reads_few(plans, index="items_attributes_idx", rows=BEST_SELLERS + GOLD)


@pytest.mark.parametrize("role", ["recs_reader", "none"])
@pytest.mark.parametrize(
    "function",
    ["recommend('user-1', %s, p_filter => %s)", "similar_items('item-1', %s, p_filter => %s)"],
)
@pytest.mark.parametrize(("colour", "searched"), [("gold", False), ("red", True)])
def test_a_filter_is_answered_by_the_graph_or_by_what_passes_and_not_by_both(
    explained: Explained, shop_dsn: str, role: str, function: str, colour: str, searched: bool
) -> None:
    with explained.acting_as(role):
        plans = explained.plans(f"SELECT * FROM recs.{function}", K, f'{{"colour": "{colour}"}}')
    assert plans[-1]["Plan"]["Actual Rows"] == K
    index = f"item_embeddings_{model_id(shop_dsn)}_embedding_idx"
    assert bool(scans_of(plans, index)) == searched, json.dumps(plans, indent=1)
    assert bool(scans_of(plans, "items_attributes_idx")) != searched, json.dumps(plans, indent=1)


def test_of_many_candidates_that_the_graph_misses_only_the_nearest_are_joined(
    explained: Explained, shop_dsn: str
) -> None:
    candidates = [f"item-{n}" for n in range(ITEMS // 2)]
    plans = explained.plans(
        "SELECT * FROM recs.recommend('user-1', %s, p_candidates => %s, p_exclude => %s)",
        K, candidates, candidates[K:],
    )  # fmt: skip
    index = f"item_embeddings_{model_id(shop_dsn)}_embedding_idx"
    assert scans_of(plans, index), json.dumps(plans, indent=1)
    joined = [node for node in nodes(plans) if node.get("Relation Name") == "items"]
    assert sum(map(rows_read, joined)) < NEW, json.dumps(plans, indent=1)


BEST = "SELECT item_id FROM recs.popular_items ORDER BY popularity DESC LIMIT 2000"


@pytest.mark.parametrize(
    ("user", "exclude"), [("stranger", f", p_exclude => ARRAY({BEST})"), ("who has all", "")]
)
def test_what_is_left_out_does_not_make_a_filter_strict(
    explained: Explained, user: str, exclude: str
) -> None:
    # A third of the catalog passes, and more best sellers are left out than are walked.
    history = f"SELECT 'who has all', b.item_id FROM ({BEST}) b"
    with explained.after(f"INSERT INTO recs.interactions (user_id, item_id) {history}"):
        plans = explained.plans(
            f"SELECT * FROM recs.fill_recommendations('{user}', %s, p_filter => %s{exclude})",
            K, '{"colour": "red"}',
        )  # fmt: skip
    assert plans[-1]["Plan"]["Actual Rows"] == K
    assert not scans_of(plans, "items_attributes_idx"), json.dumps(plans, indent=1)


@pytest.mark.parametrize("role", ["recs_reader", "none"])
@pytest.mark.parametrize(
    "function",
    [
        "recommend('user-1', %s, p_candidates => %s)",
        "recommend('stranger', %s, p_candidates => %s)",
        "similar_items('item-1', %s, p_candidates => %s)",
    ],
)
def test_few_candidates_are_looked_up_one_by_one(
    explained: Explained, shop_dsn: str, role: str, function: str
) -> None:
    candidates = [f"item-{n}" for n in range(2, 91)]
    with explained.acting_as(role):
        plans = explained.plans(f"SELECT * FROM recs.{function}", K, candidates)
    assert plans[-1]["Plan"]["Actual Rows"] == K
    assert_reads_few(plans, index="items_pkey", rows=NEW)
    index = f"item_embeddings_{model_id(shop_dsn)}_embedding_idx"
    assert not scans_of(plans, index), json.dumps(plans, indent=1)


@pytest.mark.parametrize("function", ASKING)
def test_many_candidates_and_excluded_items_leave_the_search_to_the_index(
    explained: Explained, shop_dsn: str, function: str
) -> None:
    ids = [f"item-{n}" for n in range(ITEMS)]
    asked = function.replace(")", ", p_candidates => %s, p_exclude => %s)")
    plans = explained.plans(f"SELECT * FROM recs.{asked}", K, ids[: ITEMS // 2], ids[:FEW])
    index = f"item_embeddings_{model_id(shop_dsn)}_embedding_idx"
    assert plans[-1]["Plan"]["Actual Rows"] == K
    assert_reads_few(plans, index=index, rows=500)


def test_a_history_is_read_by_its_index(explained: Explained) -> None:
    plans = explained.plans("SELECT * FROM recs.user_vector('user-1')")
    assert_reads_few(plans, index="interactions_user_idx", rows=SEEN)


def test_interactions_come_in_the_order_of_users_without_a_sort(shop_dsn: str) -> None:
    with psycopg.connect(shop_dsn) as connection:
        connection.execute("SET enable_seqscan = off")
        row = connection.execute(
            "EXPLAIN (FORMAT json) SELECT user_id, count(*) FROM recs.interactions"
            " WHERE tenant_id = recs.current_tenant() GROUP BY user_id ORDER BY user_id"
        ).fetchone()
    assert row is not None
    shown = json.dumps(row[0], indent=1)
    assert '"Index Name": "interactions_user_idx"' in shown, shown
    assert '"Node Type": "Sort"' not in shown, shown


def test_a_new_user_is_folded_in_by_indexes(explained: Explained, shop_dsn: str) -> None:
    with psycopg.connect(shop_dsn) as connection:
        connection.execute(
            "INSERT INTO recs.interactions (user_id, item_id)"
            " SELECT 'newcomer', 'item-' || n FROM generate_series(1, 5) n"
            " WHERE NOT EXISTS (SELECT FROM recs.interactions WHERE user_id = 'newcomer')"
        )
    plans = explained.plans("SELECT * FROM recs.recommend('newcomer', %s)", K)
    index = f"item_embeddings_{model_id(shop_dsn)}_embedding_idx"
    assert_reads_few(plans, index=index, rows=NEW)


@pytest.mark.parametrize("function", ASKING[1:])
def test_items_beside_others_are_searched_by_the_versions_own_index(
    explained: Explained, shop_dsn: str, function: str
) -> None:
    plans = explained.plans(f"SELECT * FROM recs.{function}", K)
    index = f"item_embeddings_{model_id(shop_dsn)}_embedding_idx"
    assert_reads_few(plans, index=index, rows=NEW)


def test_popular_items_come_in_the_order_of_their_index(explained: Explained) -> None:
    plans = explained.plans(
        "SELECT * FROM recs.popular_items WHERE segment = '' ORDER BY popularity DESC LIMIT 10"
    )
    assert_reads_few(plans, index="item_popularity_rank_idx", rows=50)


@pytest.mark.parametrize("role", ["recs_trainer", "none"])
def test_popularity_is_made_by_one_reading_of_interactions_that_were_not_analyzed(
    dsn: str, role: str
) -> None:
    with psycopg.connect(dsn) as connection:  # in one transaction, which autovacuum does not see
        connection.execute(
            "INSERT INTO recs.items (item_id) SELECT n FROM generate_series(1, 500) n"
        )
        connection.execute(
            "INSERT INTO recs.interactions (user_id, item_id)"
            " SELECT n % 700, 1 + n * 7 % 500 FROM generate_series(1, 5000) n"
        )
        explained = Explained(connection)
        with explained.acting_as(role):
            plans = explained.plans("SELECT recs.refresh_popularity()")
    read = [node for node in nodes(plans) if node.get("Relation Name") == "interactions"]
    assert read
    assert [node["Actual Loops"] for node in read] == [1] * len(read), json.dumps(plans, indent=1)


def test_a_stranger_is_answered_by_the_index_of_popularity(explained: Explained) -> None:
    plans = explained.plans("SELECT * FROM recs.recommend('stranger', %s)", K)
    assert_reads_few(plans, index="item_popularity_rank_idx", rows=100)


@pytest.mark.parametrize("role", ["recs_reader", "none"])
def test_a_catalog_nobody_has_touched_is_read_by_the_index_of_newness(
    explained: Explained, role: str
) -> None:
    with explained.without_popularity(), explained.acting_as(role):
        plans = explained.plans("SELECT * FROM recs.recommend('stranger', %s)", K)
    assert_reads_few(plans, index="items_newest_idx", rows=2 * K)


@pytest.mark.parametrize("role", ["recs_reader", "none"])
def test_a_filter_that_most_items_pass_is_not_strict_where_few_are_popular(
    explained: Explained, role: str
) -> None:
    with explained.without_popularity(), explained.acting_as(role):
        plans = explained.plans("SELECT * FROM recs.recommend('stranger', %s, p_filter => '{}')", K)
    assert_reads_few(plans, index="items_newest_idx", rows=50 * K)


def test_recommendations_join_back_by_the_applications_own_key(explained: Explained) -> None:
    plans = explained.plans(
        "SELECT p.name FROM recs.recommend('user-1', %s) r"
        " JOIN products p ON p.id = regexp_replace(r.item_id, '\\D', '', 'g')::bigint",
        K,
    )
    assert scans_of(plans, "products_pkey"), json.dumps(plans, indent=1)
    assert not [n for n in nodes(plans) if n.get("Relation Name") == "products"
                and n["Node Type"] == "Seq Scan"], json.dumps(plans, indent=1)  # fmt: skip
