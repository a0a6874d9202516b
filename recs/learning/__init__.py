"""Learning: interactions in, vectors out. Knows nothing of databases."""

from recs.learning.config import TIMELESS, Timescale, TrainingConfig
from recs.learning.interactions import Interactions
from recs.learning.trained import PooledUsers, TrainedModel, pool_history
from recs.learning.trainer import Progress, train

__all__ = [
    "TIMELESS",
    "Interactions",
    "PooledUsers",
    "Progress",
    "Timescale",
    "TrainedModel",
    "TrainingConfig",
    "pool_history",
    "train",
]
