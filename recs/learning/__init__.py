"""Learning: interactions in, vectors out. Knows nothing of databases."""

from recs.learning.config import TIMELESS, Timescale, TrainingConfig
from recs.learning.fitted_space import fit_space
from recs.learning.interactions import Interactions
from recs.learning.progress import Progress
from recs.learning.signals import signals_of
from recs.learning.space import PooledUsers, Space
from recs.learning.trained import TrainedModel
from recs.learning.trainer import train

__all__ = [
    "TIMELESS",
    "Interactions",
    "PooledUsers",
    "Progress",
    "Space",
    "Timescale",
    "TrainedModel",
    "TrainingConfig",
    "fit_space",
    "signals_of",
    "train",
]
