"""Make PostgreSQL the recommender: pgvector, a two-tower model, cold start as SQL.

The main path, in the order it runs: `recs.loading` (files into tables), `recs.training`
(train, publish, gate), `sql/functions/recommend.sql` (serve) and `recs.repository` (call it
from Python).
"""

from recs.async_repository import AsyncRecommender
from recs.errors import RecsError
from recs.records import Interaction, Item, User
from recs.repository import PopularItem, Recommendation, Recommender

__all__ = [
    "AsyncRecommender",
    "Interaction",
    "Item",
    "PopularItem",
    "Recommendation",
    "Recommender",
    "RecsError",
    "User",
]
