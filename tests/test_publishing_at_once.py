"""Who publishes while others write, erase and publish: nobody waits longer than what they share."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, text

from recs import Item, Recommender
from recs.database import make_engine
from recs.training import publishing
from recs.training.search import Search
from tests import shops
from tests.locks import wait_until_one_waits

N = 10
HISTORIES = {"stays": [0], "goes": [1]}


def publication(seed: int = 0) -> publishing.Publication:
    vectors = np.random.default_rng(seed).normal(size=(N, 8))
    return shops.publication(shops.item_ids(N), vectors, histories=HISTORIES)


@pytest.fixture
def shop(engine: Engine) -> Engine:
    """Return a shop of ten items and two users."""
    ids = shops.insert_items(engine, N)
    shops.record(engine, [("stays", ids[0]), ("goes", ids[1])])
    return engine


@pytest.fixture
def acme(shop: Engine, dsn: str) -> Iterator[Engine]:
    """Return the engine of another tenant of the same items and users."""
    with shop.begin() as connection:
        connection.execute(text("INSERT INTO recs.tenants (tenant_id) VALUES ('acme')"))
    ids = shops.insert_items(shop, N, tenant="acme")
    shops.record(shop, [("stays", ids[0]), ("goes", ids[1])], tenant="acme")
    engine = make_engine(dsn, tenant_id="acme")
    yield engine
    engine.dispose()


def users_with_vectors(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return sorted(
            connection.execute(text("SELECT user_id FROM recs.user_embeddings")).scalars()
        )


@pytest.mark.parametrize(
    "change",
    ["INSERT INTO recs.items (item_id) VALUES ('new')", "SELECT recs.erase_user('goes')"],
)
def test_a_tenants_open_transaction_holds_up_its_own_publishing_and_no_others(
    shop: Engine, acme: Engine, change: str
) -> None:
    with ThreadPoolExecutor(2) as pool, shop.begin() as writing:
        writing.execute(text(change))
        own = pool.submit(shops.publish, shop, publication())
        wait_until_one_waits(shop, "advisory")
        other = pool.submit(shops.publish, acme, publication())
        model_id = other.result(20)
        assert shops.states(acme) == {model_id: "active"}
        assert not own.done()
        writing.commit()
        model_id = own.result(30)
        assert shops.states(shop)[model_id] == "active"


@pytest.mark.parametrize("table", ["item_embeddings", "user_embeddings"])
def test_who_writes_items_does_not_wait_for_what_keeps_a_version_from_being_attached(
    shop: Engine, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    locked, over = threading.Event(), threading.Event()

    def lock() -> None:
        with shop.begin() as connection:
            statement = f"LOCK TABLE ONLY recs.{table} IN SHARE UPDATE EXCLUSIVE MODE"
            connection.execute(text(statement))
            locked.set()
            assert over.wait(60)

    def choose_search(*arguments: Any) -> Search:
        search = choose(*arguments)
        locking.append(pool.submit(lock))  # next in line
        wait_until_one_waits(shop, "relation")
        return search

    choose, locking = publishing.choose_search, list[Future[None]]()
    monkeypatch.setattr(publishing, "choose_search", choose_search)
    with ThreadPoolExecutor(2) as pool:
        try:
            own = pool.submit(shops.publish, shop, publication())
            assert locked.wait(20)
            wait_until_one_waits(shop, "relation")
            for name in ("one", "two"):
                with shop.begin() as connection:
                    connection.execute(text("SET LOCAL lock_timeout = '5s'"))
                    Recommender(connection).upsert_items([Item(name)])
                    Recommender(connection).erase_user("goes")
            assert not own.done()
        finally:
            over.set()
        model_id = own.result(30)
        assert shops.states(shop)[model_id] == "active"
        locking[0].result(30)
    assert users_with_vectors(shop) == ["stays"]


def test_items_are_written_while_it_is_measured_how_a_version_is_searched(
    shop: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def choose_search(*arguments: Any) -> Search:
        with shop.begin() as connection:
            connection.execute(text("SET LOCAL lock_timeout = '2s'"))
            Recommender(connection).upsert_items([Item("new")])
        return choose(*arguments)

    choose = publishing.choose_search
    monkeypatch.setattr(publishing, "choose_search", choose_search)
    shops.publish(shop, publication())


def test_who_is_erased_after_a_version_was_freed_of_the_erased_has_no_vector_in_it(
    shop: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def erase() -> None:
        Recommender(shop).erase_user("goes")

    def forget_erased(*arguments: Any) -> None:
        forget(*arguments)
        erasing.append(pool.submit(erase))
        wait_until_one_waits(shop, "advisory")

    forget, erasing = publishing._forget_erased, list[Future[None]]()
    monkeypatch.setattr(publishing, "_forget_erased", forget_erased)
    with ThreadPoolExecutor(1) as pool:
        shops.publish(shop, publication(), activate=False)
        erasing[0].result(30)
    assert users_with_vectors(shop) == ["stays"]


@pytest.mark.parametrize("exact", [True, False])
def test_a_version_is_searched_as_was_measured_before_it_was_attached_for_good(
    shop: Engine, monkeypatch: pytest.MonkeyPatch, exact: bool
) -> None:
    monkeypatch.setattr("recs.training.search.ENOUGH_RECALL", 2 if exact else 0)
    model_id = shops.publish(shop, publication())
    with shop.connect() as connection:
        found = connection.execute(
            text(
                "SELECT exact_search, metrics->'ann_recall' AS ann_recall,"
                " pg_get_functiondef(CAST(:name AS regproc)) ~"
                " 'v.embedding <#> p_embedding AS distance\\s+FROM recs.item_embeddings v"
                "\\s+WHERE v.model_id = \\d+ AND v.tenant_id = p_tenant_id"
                " AND v.source = ''interactions'' ORDER BY distance LIMIT greatest' AS exactly"
                " FROM recs.models WHERE model_id = :id"
            ),
            {"id": model_id, "name": f"recs.nearest_items_{model_id}"},
        ).one()
    assert (found.exact_search, found.exactly, found.ann_recall) == (exact, exact, 1)
    assert {row.tier for row in Recommender(shop).recommend("stays", 3)} == {"model"}
