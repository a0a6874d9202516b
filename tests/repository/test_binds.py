"""What `Recommender` and `AsyncRecommender` may be given: engines, connections, sessions."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import combinations
from typing import Any

import numpy as np
import psycopg
import pytest
from psycopg import conninfo
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker
from sqlalchemy.pool import NullPool

from recs import AsyncRecommender, Interaction, Item, Recommender, User
from recs.errors import BadInput
from tests import shops

N = 40


@pytest.fixture
def shop(engine: Engine) -> Engine:
    ids = shops.insert_items(engine, N)
    shops.record(engine, [("u", ids[0])])
    vectors = np.random.default_rng(1).normal(size=(N, 8))
    shops.publish(engine, shops.publication(ids, vectors, histories={"u": [0]}))
    return engine


def run(dsn: str, work: Callable[[AsyncEngine], Awaitable[None]]) -> None:
    """Run `work` with an AsyncEngine on `dsn`."""

    async def with_engine() -> None:
        engine = create_async_engine(
            "postgresql+psycopg://",
            connect_args=conninfo.conninfo_to_dict(dsn),
            poolclass=NullPool,
        )
        await work(engine)
        await engine.dispose()

    asyncio.run(with_engine())


def test_a_session_is_joined_and_its_rollback_takes_back_what_was_recorded(shop: Engine) -> None:
    before = Recommender(shop).recommend("u", 10)
    with Session(shop) as session:
        within = Recommender(session)
        assert within.recommend("u", 10) == before
        within.record_interactions([Interaction("u", "item-20")])
        followed = within.recommend("u", 10)
        assert followed != before
        assert Recommender(shop).recommend("u", 10) == before
        session.rollback()
    assert Recommender(shop).recommend("u", 10) == before
    with Session(shop) as session:
        Recommender(session).record_interactions([Interaction("u", "item-20")])
        session.commit()
    assert [row.item_id for row in Recommender(shop).recommend("u", 10)] == [
        row.item_id for row in followed
    ]


def test_an_async_engine_gets_the_rows_that_an_engine_gets(shop: Engine, dsn: str) -> None:
    plain = Recommender(shop)
    plain.record_interactions([Interaction("v", "item-3")])

    async def ask(engine: AsyncEngine) -> None:
        mine = AsyncRecommender(engine)
        red = {"colour": "red"}
        assert await mine.recommend("u", 5) == plain.recommend("u", 5)
        assert await mine.recommend("u", 5, include_seen=True, filter=red) == plain.recommend(
            "u", 5, include_seen=True, filter=red
        )
        assert await mine.recommend_many(["u", "v"], 5) == plain.recommend_many(["u", "v"], 5)
        assert await mine.similar_items("item-1", 5) == plain.similar_items("item-1", 5)
        some = {"candidates": ["item-5", "item-6", "item-7"], "exclude": ["item-6"]}
        assert await mine.recommend("u", **some) == plain.recommend("u", **some)
        assert await mine.recommend_many(["u"], **some) == plain.recommend_many(["u"], **some)
        found = await mine.similar_items("item-1", **some)
        assert {row.item_id for row in found} == {"item-5", "item-7"}
        assert await mine.popular_items(5) == plain.popular_items(5)

    run(dsn, ask)


ANSWERS: list[Callable[[Any], Any]] = [
    lambda it: it.recommend("v"),
    lambda it: it.recommend("v", 3),
    lambda it: it.recommend("v", N),
    lambda it: it.recommend("v", N, include_seen=True),
    lambda it: it.recommend("v", N, filter={"colour": "red"}),
    lambda it: it.recommend("v", N, candidates=["item-8", "item-9"]),
    lambda it: it.recommend("v", N, exclude=["item-8", "item-9"]),
    lambda it: it.recommend_many(["v", "u"]),
    lambda it: it.recommend_many(["v", "u"], 3),
    lambda it: it.recommend_many(["v", "u"], N),
    lambda it: it.recommend_many(["v", "u"], N, include_seen=True),
    lambda it: it.recommend_many(["v", "u"], N, filter={"colour": "red"}),
    lambda it: it.recommend_many(["v", "u"], N, candidates=["item-8", "item-9"]),
    lambda it: it.recommend_many(["v", "u"], N, exclude=["item-8", "item-9"]),
    lambda it: it.similar_items("item-1"),
    lambda it: it.similar_items("item-1", 3),
    lambda it: it.similar_items("item-1", N),
    lambda it: it.similar_items("item-1", N, filter={"colour": "red"}),
    lambda it: it.similar_items("item-1", N, candidates=["item-8", "item-9"]),
    lambda it: it.similar_items("item-1", N, exclude=["item-8", "item-9"]),
    lambda it: it.recommend_for_items(["item-1", "item-2"]),
    lambda it: it.recommend_for_items(["item-1"]),
    lambda it: it.recommend_for_items(["item-1", "item-2"], 3),
    lambda it: it.recommend_for_items(["item-1", "item-2"], N),
    lambda it: it.recommend_for_items(["item-1", "item-2"], N, filter={"colour": "red"}),
    lambda it: it.recommend_for_items(["item-1"], N, candidates=["item-8", "item-9"]),
    lambda it: it.recommend_for_items(["item-1", "item-2"], N, exclude=["item-8", "item-9"]),
    lambda it: it.popular_items(),
    lambda it: it.popular_items(3),
    lambda it: it.popular_items(segment="France"),
    lambda it: it.popular_items(3, segment="France"),
]


def test_every_argument_changes_the_answer_and_an_async_recommender_passes_it_on(
    shop: Engine, dsn: str
) -> None:
    plain = Recommender(shop)
    plain.upsert_users([User("v", segment="France")])
    plain.record_interactions([Interaction("v", f"item-{n}") for n in range(3, 8)])
    plain.record_interactions([Interaction("u", f"item-{n}") for n in range(10, 25)])
    with shop.begin() as connection:
        connection.execute(text("SELECT recs.refresh_popularity()"))
    expected = [answer(plain) for answer in ANSWERS]
    assert all(expected)
    assert all(one != other for one, other in combinations(expected, 2))

    async def ask(engine: AsyncEngine) -> None:
        mine = AsyncRecommender(engine)
        assert [await answer(mine) for answer in ANSWERS] == expected

    run(dsn, ask)


def test_an_async_engine_commits_each_call(shop: Engine, dsn: str) -> None:
    async def write(engine: AsyncEngine) -> None:
        mine = AsyncRecommender(engine)
        assert await mine.upsert_items([Item("brand-new", "a new thing")]) == 1
        assert await mine.record_interactions([Interaction("u", "brand-new")]) == 1
        assert await mine.upsert_users([User("u", segment="France")]) == 1

    run(dsn, write)
    with shop.connect() as connection:
        assert connection.execute(text("SELECT segment FROM recs.users")).scalar_one() == "France"
    rows = Recommender(shop).recommend("u", N + 1, include_seen=True)
    assert "brand-new" in {row.item_id for row in rows}
    assert "brand-new" not in {row.item_id for row in Recommender(shop).recommend("u", N + 1)}


def test_an_async_engine_erases_a_user(shop: Engine, dsn: str) -> None:
    async def work(engine: AsyncEngine) -> None:
        assert await AsyncRecommender(engine).erase_user("u") == 1

    run(dsn, work)
    assert {row.tier for row in Recommender(shop).recommend("u", 3)} != {"model"}


def test_an_async_connection_and_an_async_session_are_joined(shop: Engine, dsn: str) -> None:
    before = Recommender(shop).recommend("u", 10)

    async def join(engine: AsyncEngine) -> None:
        for open_one in (engine.connect, lambda: AsyncSession(engine)):
            async with open_one() as bind:
                mine = AsyncRecommender(bind)
                await mine.record_interactions([Interaction("u", "item-20")])
                assert await mine.recommend("u", 10) != before
                await bind.rollback()

    run(dsn, join)
    assert Recommender(shop).recommend("u", 10) == before


def test_an_async_recommender_keeps_to_its_tenant(shop: Engine, dsn: str) -> None:
    async def ask(engine: AsyncEngine) -> None:
        assert await AsyncRecommender(engine, tenant_id="another").recommend("u", 5) == []

    run(dsn, ask)


def test_a_scoped_session_is_joined_as_its_session_is(shop: Engine) -> None:
    session = scoped_session(sessionmaker(shop))
    mine = Recommender(session, tenant_id="default")
    before = mine.recommend("u", 10)
    mine.record_interactions([Interaction("u", "item-20")])
    assert mine.recommend("u", 10) != before
    session.rollback()
    assert mine.recommend("u", 10) == before
    session.remove()


@pytest.mark.parametrize("of", [Recommender, AsyncRecommender])
def test_what_is_no_bind_is_refused_before_it_is_asked(dsn: str, of: Any) -> None:
    class Nothing:
        """Whatever else somebody may hold."""

    with psycopg.connect(dsn) as connection:
        for bind in (dsn, connection, Nothing(), None):
            with pytest.raises(
                BadInput, match=f"is given a {type(bind).__name__}, expected"
            ) as caught:
                of(bind)
            assert "postgresql+psycopg" in str(caught.value.hint)


def test_an_engine_of_the_other_kind_or_of_another_driver_is_refused(shop: Engine) -> None:
    with pytest.raises(BadInput, match="is given a AsyncEngine, expected"):
        Recommender(create_async_engine("postgresql+psycopg://"))  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="is given a Engine, expected"):
        AsyncRecommender(shop)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match=r"sqlite\+pysqlite, expected postgresql\+psycopg"):
        Recommender(create_engine("sqlite://"))
