"""The same list for everybody."""

import numpy as np

from benchmarks.quality.datasets import IntArray
from benchmarks.quality.method import Params, Scores, Scoring, item_popularity
from benchmarks.quality.protocols import Split


def fit(split: Split, params: Params, seed: int) -> Scoring:
    """Rank by distinct buyers: all of them, those of the last `days`, or decayed by `half_life`."""
    del seed
    if params.get("days"):
        counts = _recent(split, float(params["days"] or 0))
    else:
        counts = item_popularity(split, half_life=params.get("half_life"))
    return Scoring(split, lambda users, _: _everywhere(counts, users))


def _everywhere(counts: Scores, users: IntArray) -> Scores:
    return np.tile(counts, (len(users), 1))


def _recent(split: Split, days: float) -> Scores:
    since = split.train.days >= split.trained_until - days
    pairs = np.unique(split.train.users[since] * split.dataset.n_items + split.train.items[since])
    return np.bincount(pairs % split.dataset.n_items, minlength=split.dataset.n_items).astype(
        np.float32
    )
