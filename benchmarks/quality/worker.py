"""One trial in a process of its own, so that its peak memory is its own.

Reads the trial as JSON on standard input, writes the result as JSON on standard output.
"""

import json
import resource
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
from scipy.stats import sem

from benchmarks.quality import sets
from benchmarks.quality.datasets import IntArray
from benchmarks.quality.method import Recommender, Skipped
from benchmarks.quality.methods import METHODS
from benchmarks.quality.protocols import Split, splits
from benchmarks.quality.tasks import K, Task
from benchmarks.quality.trial import Result, Trial
from recs.metrics import (
    PADDING,
    catalog_coverage,
    hit_rate_at_k,
    hits_at_k,
    ndcg_at_k,
    recall_at_k,
)


def run(trial: Trial, data: Path) -> Result:
    """Train and judge."""
    dataset = sets.read(data, trial.dataset)
    split = next(s for s in splits(dataset, trial.phase) if s.name == trial.split)
    method = METHODS[trial.method]
    start = time.perf_counter()
    try:
        recommender = method.fit(split, trial.params, trial.seed)
    except Skipped as reason:
        return Result(trial, reason=str(reason))
    seconds, peak_mb = time.perf_counter() - start, _peak_mb()
    try:
        tasks = [task for task in split.tasks if task.case in method.cases]
        scores = {task.name: _judged(recommender, split, task) for task in tasks}
        details = getattr(recommender, "details", {})
    finally:
        recommender.close()
    return Result(
        trial,
        scores,
        details.get("training_seconds", seconds),
        details.get("training_peak_mb", peak_mb),
        details,
    )


def _judged(recommender: Recommender, split: Split, task: Task) -> dict[str, float]:
    start = time.perf_counter()
    lists = recommender.recommend(task.request, k=K)
    seconds = time.perf_counter() - start
    _check(lists, task)
    return {
        f"recall@{K}": recall_at_k(lists, task.relevant, k=K),
        f"recall@{K}_error": _error(lists, task),
        f"ndcg@{K}": ndcg_at_k(lists, task.relevant, k=K),
        f"hit_rate@{K}": hit_rate_at_k(lists, task.relevant, k=K),
        f"coverage@{K}": catalog_coverage(lists, n_items=len(task.request.candidates), k=K),
        "users": len(lists),
        "seconds": seconds,
        **(_by_age(lists, split, task) if task.case == "whole catalog" else {}),
    }


def _error(lists: IntArray, task: Task) -> float:
    """Compute the standard error of recall over the users who were asked."""
    hits, sizes = hits_at_k(lists, task.relevant, k=K)
    return float(sem(hits.sum(axis=1)[sizes > 0] / sizes[sizes > 0]))


def _by_age(lists: IntArray, split: Split, task: Task) -> dict[str, float]:
    """Tell recall on new items and on old ones, and the share of the lists that is new."""
    warm = split.warm_items
    parts = {
        "old": [items[np.isin(items, warm)] for items in task.relevant],
        "new": [items[~np.isin(items, warm)] for items in task.relevant],
    }
    shown = lists[lists != PADDING]
    return {
        **{f"recall@{K}_{age}": recall_at_k(lists, part, k=K) for age, part in parts.items()},
        "share_new": float((~np.isin(shown, warm)).mean()),
    }


def _check(lists: IntArray, task: Task) -> None:
    """Refuse lists that break the protocol, whoever made them."""
    shown = np.where(lists == PADDING, task.request.candidates[0], lists)
    if not np.isin(shown, task.request.candidates).all():
        raise ValueError(f"an item that is no candidate was recommended for {task.name}")
    rows, columns = np.nonzero(lists != PADDING)
    barred = task.request.excluded[rows, lists[rows, columns]]
    if barred.sum():
        raise ValueError(f"{int(barred.sum())} excluded items were recommended for {task.name}")


def _peak_mb() -> float:
    """Return the most memory this process and its largest child have held."""
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(resource.getrusage(one).ru_maxrss for one in who) / 1024


def main() -> None:
    """Answer one trial; a termination unwinds, so that what was started is stopped."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    order = json.loads(sys.stdin.read())
    result = run(Trial(**order["trial"]), Path(order["data"]))
    sys.stdout.write("\n" + json.dumps(asdict(result)))


if __name__ == "__main__":
    main()
