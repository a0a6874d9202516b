"""The repository for asyncio: the same methods, over SQLAlchemy's asynchronous engines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession
from sqlalchemy.orm import Session

from recs.arguments import Id, tenant_text
from recs.database import require_bind
from recs.records import Interaction, Item, User
from recs.repository import PopularItem, Recommendation, Recommender

AsyncBind: TypeAlias = AsyncEngine | AsyncConnection | AsyncSession
Answer = TypeVar("Answer")


class AsyncRecommender:
    """`Recommender` for an AsyncEngine, or the caller's AsyncConnection or AsyncSession."""

    def __init__(self, bind: AsyncBind, *, tenant_id: Id | None = None) -> None:
        self._tenant_id = None if tenant_id is None else tenant_text(tenant_id)
        require_bind(bind, AsyncEngine, AsyncConnection, AsyncSession)
        self._bind = bind

    async def recommend(
        self,
        user_id: Id,
        k: int = 10,
        *,
        include_seen: bool = False,
        filter: Mapping[str, Any] | None = None,
        candidates: Iterable[Id] | None = None,
        exclude: Iterable[Id] | None = None,
    ) -> list[Recommendation]:
        """See `Recommender.recommend`."""
        return await self._run(
            lambda sync: sync.recommend(
                user_id, k, include_seen=include_seen,
                filter=filter, candidates=candidates, exclude=exclude,
            )
        )  # fmt: skip

    async def recommend_many(
        self,
        user_ids: Iterable[Id],
        k: int = 10,
        *,
        include_seen: bool = False,
        filter: Mapping[str, Any] | None = None,
        candidates: Iterable[Id] | None = None,
        exclude: Iterable[Id] | None = None,
    ) -> dict[str, list[Recommendation]]:
        """See `Recommender.recommend_many`."""
        return await self._run(
            lambda sync: sync.recommend_many(
                user_ids, k, include_seen=include_seen,
                filter=filter, candidates=candidates, exclude=exclude,
            )
        )  # fmt: skip

    async def recommend_for_items(
        self,
        item_ids: Iterable[Id],
        k: int = 10,
        *,
        filter: Mapping[str, Any] | None = None,
        candidates: Iterable[Id] | None = None,
        exclude: Iterable[Id] | None = None,
    ) -> list[Recommendation]:
        """See `Recommender.recommend_for_items`."""
        return await self._run(
            lambda sync: sync.recommend_for_items(
                item_ids, k, filter=filter, candidates=candidates, exclude=exclude
            )
        )

    async def similar_items(
        self,
        item_id: Id,
        k: int = 10,
        *,
        filter: Mapping[str, Any] | None = None,
        candidates: Iterable[Id] | None = None,
        exclude: Iterable[Id] | None = None,
    ) -> list[Recommendation]:
        """See `Recommender.similar_items`."""
        return await self._run(
            lambda sync: sync.similar_items(
                item_id, k, filter=filter, candidates=candidates, exclude=exclude
            )
        )

    async def popular_items(self, k: int = 10, *, segment: str = "") -> list[PopularItem]:
        """See `Recommender.popular_items`."""
        return await self._run(lambda sync: sync.popular_items(k, segment=segment))

    async def record_interactions(self, interactions: Iterable[Interaction]) -> int:
        """See `Recommender.record_interactions`."""
        return await self._run(lambda sync: sync.record_interactions(interactions))

    async def upsert_items(self, items: Iterable[Item]) -> int:
        """See `Recommender.upsert_items`."""
        return await self._run(lambda sync: sync.upsert_items(items))

    async def upsert_users(self, users: Iterable[User]) -> int:
        """See `Recommender.upsert_users`."""
        return await self._run(lambda sync: sync.upsert_users(users))

    async def erase_user(self, user_id: Id) -> int:
        """See `Recommender.erase_user`."""
        return await self._run(lambda sync: sync.erase_user(user_id))

    async def _run(self, call: Callable[[Recommender], Answer]) -> Answer:
        def in_sync(bind: Connection | Session) -> Answer:
            return call(Recommender(bind, tenant_id=self._tenant_id))

        if not isinstance(self._bind, AsyncEngine):
            return await self._bind.run_sync(in_sync)
        async with self._bind.begin() as connection:
            return await connection.run_sync(in_sync)
