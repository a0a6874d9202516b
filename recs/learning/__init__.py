"""Learning: interactions in, vectors out. Knows nothing of databases."""

from recs.learning.config import TIMELESS, Timescale, TrainingConfig
from recs.learning.interactions import Interactions
from recs.learning.placement import ContentFeatures
from recs.learning.trained import ContentMaps, PooledUsers, TrainedModel, pool_history
from recs.learning.trainer import Progress, train

__all__ = [
    "TIMELESS",
    "ContentFeatures",
    "ContentMaps",
    "Interactions",
    "PooledUsers",
    "Progress",
    "Timescale",
    "TrainedModel",
    "TrainingConfig",
    "pool_history",
    "train",
]
