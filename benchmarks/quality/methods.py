"""Every method with the settings it may choose from: at most TRIALS of them a data set."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.quality.datasets import Dataset
from benchmarks.quality.method import COLD_ITEMS, WARM, Fit, Method, Params, Recommender
from benchmarks.quality.protocols import Split

TRIALS = 4  # for everybody, on sets whose trainings take seconds
TRIALS_LARGE = 2  # for everybody, where one takes minutes
TUNING_TRIALS = 12  # of `recs tune`
LARGE = 500_000  # pairs of users and items
EVERYWHERE = WARM | COLD_ITEMS

Grid = Callable[[Dataset], list[Params]]


def _grid(*, large: Iterable[Params] = (), **axes: Iterable[Any]) -> Grid:
    """Return the product of the axes; `half_life` is a share of the data set's time."""
    few = list(large)

    def settings(dataset: Dataset) -> list[Params]:
        if few and _takes_minutes(dataset):
            return few[:TRIALS_LARGE]
        named = [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]
        return [_in_days(params, dataset) for params in named][:TRIALS]

    return settings


def _takes_minutes(dataset: Dataset) -> bool:
    return len(dataset.interactions) > LARGE and not dataset.has_time


def _in_days(params: dict[str, Any], dataset: Dataset) -> Params:
    """Turn shares of the data set's time into days."""
    days = dataset.interactions.days
    span = float(days.max() - days.min())
    shares = {name for name in ("half_life", "days") if name in params}
    return {
        name: round(value * span) if name in shares else value for name, value in params.items()
    }


# What asks and judges, whoever answers.
HARNESS = (
    "benchmarks/quality/datasets.py",
    "benchmarks/quality/method.py",
    "benchmarks/quality/own.py",
    "benchmarks/quality/protocols.py",
    "benchmarks/quality/tasks.py",
    "benchmarks/quality/worker.py",
    "recs/metrics.py",
)
OUR_CODE = (
    *HARNESS,
    "benchmarks/quality/ours.py",
    "recs/learning/*.py",
    "recs/training/*.py",
    "sql/**/*.sql",
    "migrations/**/*.py",
)
PEERS_CODE = (*HARNESS, "benchmarks/quality/peers/*.py")
SHARES = (0.08, 0.16)  # 59 and 118 days of the two years of online-retail
SHARES_FINE = (0.02, 0.04, 0.08, 0.16)


def _digest(patterns: Iterable[str]) -> str:
    """Return a hash of the files that decide what a method answers."""
    root = Path(__file__).resolve().parents[2]
    paths = sorted(path for pattern in patterns for path in root.glob(pattern))
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()[:16]


def _by(module: str, name: str = "fit") -> Fit:
    """Return a function of a module that is imported where it runs.

    So no package of one method is part of another's memory, or needed to read results.
    """

    def fit(split: Split, params: Params, seed: int) -> Recommender:
        found: Fit = getattr(import_module(f"benchmarks.quality.{module}"), name)
        return found(split, params, seed)

    return fit


def _tuning(dataset: Dataset) -> list[Params]:
    """Return the trials that `recs tune` gets: none where one takes minutes."""
    return [] if _takes_minutes(dataset) else [{"trials": TUNING_TRIALS}]


_METHODS = (
    Method("recs", _by("ours"), _grid(), EVERYWHERE, random=True, code=_digest(OUR_CODE)),
    Method(
        "recs tuned",
        _by("ours", "fit_tuned"),
        _tuning,
        EVERYWHERE,
        code=_digest((*OUR_CODE, "recs/tuning.py")),
    ),
    Method("popularity", _by("peers.popularity"), _grid(), WARM | {"whole catalog"}),
    Method(
        "recent popularity",
        _by("peers.popularity"),
        _grid(days=SHARES_FINE),
        WARM | {"whole catalog"},
        needs_time=True,
    ),
    Method(
        "popularity decayed",
        _by("peers.popularity"),
        _grid(half_life=SHARES_FINE),
        WARM | {"whole catalog"},
        needs_time=True,
    ),
    Method(
        "item-kNN",
        _by("peers.neighbours"),
        _grid(
            neighbours=(100, 400),
            shrink=(0.0, 10.0),
            large=[{"neighbours": 100, "shrink": 10.0}, {"neighbours": 400, "shrink": 10.0}],
        ),
        WARM | {"whole catalog"},
    ),
    Method(
        "item-kNN decayed",
        _by("peers.neighbours"),
        _grid(neighbours=(100, 400), shrink=(3.0,), half_life=SHARES),
        WARM | {"whole catalog"},
        needs_time=True,
    ),
    Method(
        "EASE",
        _by("peers.ease"),
        _grid(
            regularization=(30.0, 100.0, 300.0, 1000.0),
            large=[{"regularization": 200.0}],
        ),
        WARM | {"whole catalog"},
    ),
    Method(
        "EASE decayed",
        _by("peers.ease"),
        _grid(regularization=(100.0, 300.0), half_life=SHARES),
        WARM | {"whole catalog"},
        needs_time=True,
    ),
    Method(
        "ALS",
        _by("peers.als"),
        _grid(
            factors=(64, 128),
            regularization=(5.0,),
            alpha=(5.0, 20.0),
            large=[
                {"factors": 128, "regularization": 5.0, "alpha": 20.0},
                {"factors": 128, "regularization": 30.0, "alpha": 20.0},
            ],
        ),
        WARM | {"whole catalog"},
        random=True,
    ),
    Method(
        "ALS decayed",
        _by("peers.als"),
        _grid(factors=(64,), regularization=(5.0,), alpha=(5.0, 10.0), half_life=SHARES),
        WARM | {"whole catalog"},
        needs_time=True,
        random=True,
    ),
    Method(
        "LightFM WARP",
        _by("peers.lightfm"),
        _grid(
            factors=(64, 128),
            epochs=(10, 20),
            large=[
                {"factors": 64, "epochs": 20, "max_sampled": 30},
                {"factors": 128, "epochs": 20, "max_sampled": 30},
            ],
        ),
        WARM | {"whole catalog"},
        random=True,
    ),
    Method(
        "LightFM WARP decayed",
        _by("peers.lightfm"),
        _grid(factors=(64,), epochs=(10, 20), half_life=SHARES),
        WARM | {"whole catalog"},
        needs_time=True,
        random=True,
    ),
    Method(
        "LightFM hybrid",
        _by("peers.lightfm"),
        _grid(content=(True,), identity=(True, False), factors=(64,), epochs=(8, 16)),
        EVERYWHERE,
        needs_content=True,
        random=True,
    ),
    Method(
        "LightFM hybrid decayed",
        _by("peers.lightfm"),
        _grid(
            content=(True,),
            identity=(True, False),
            factors=(64,),
            epochs=(12,),
            half_life=SHARES,
        ),
        EVERYWHERE,
        needs_time=True,
        needs_content=True,
        random=True,
    ),
    Method(
        "TF-IDF profile",
        _by("peers.content", "fit_profile"),
        _grid(ngrams=(1, 2), stop_words=(None, "english")),
        EVERYWHERE,
        needs_content=True,
    ),
    Method(
        "TF-IDF profile decayed",
        _by("peers.content", "fit_profile"),
        _grid(ngrams=(2,), stop_words=(None, "english"), half_life=SHARES),
        EVERYWHERE,
        needs_time=True,
        needs_content=True,
    ),
    Method(
        "content-kNN over ALS",
        _by("peers.content", "fit_neighbours"),
        _grid(
            factors=(64,),
            regularization=(5.0,),
            alpha=(5.0,),
            neighbours=(10, 40),
            stop_words=(None, "english"),
        ),
        COLD_ITEMS,
        needs_content=True,
        random=True,
    ),
    Method(
        "content-kNN over ALS decayed",
        _by("peers.content", "fit_neighbours"),
        _grid(
            factors=(64,),
            regularization=(5.0,),
            alpha=(5.0,),
            neighbours=(10, 40),
            stop_words=("english",),
            half_life=SHARES,
        ),
        COLD_ITEMS,
        needs_time=True,
        needs_content=True,
        random=True,
    ),
)

_PEERS = _digest(PEERS_CODE)
METHODS: dict[str, Method] = {
    method.name: method if method.code else replace(method, code=_PEERS) for method in _METHODS
}
