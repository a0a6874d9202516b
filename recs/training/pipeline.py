"""`recs train` from end to end: read, encode content, learn, publish, gate, activate."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
from sqlalchemy import Engine, text

from recs.database import analyze
from recs.errors import BadInput, NothingToLearn
from recs.learning import (
    Interactions,
    Space,
    TrainedModel,
    TrainingConfig,
    fit_space,
    signals_of,
    train,
)
from recs.learning.catalog_defaults import catalog_defaults
from recs.learning.signals import FINE, USUAL, association_dimensions
from recs.learning.space import TAIL
from recs.learning.trained import Course
from recs.training import active, gate, publishing, reading, versions
from recs.training.encoding import Encoded, encode
from recs.training.indexing import IndexOptions
from recs.training.memory import peak_memory_mib
from recs.training.placement import place_missing
from recs.training.publication import (
    BlendWeights,
    ItemVectors,
    Publication,
    UserVectors,
)
from recs.training.reading import TrainingData

OnStep = Callable[[str, float], None]
WIDEST = 4000  # numbers of a halfvec that HNSW indexes


@dataclass(frozen=True)
class TrainingReport:
    """What a training did; `activated` is false where the gate refused."""

    model_id: int
    activated: bool
    gate: Mapping[str, Any]
    seconds: Mapping[str, float]
    shares: Mapping[str, float]
    peak_memory_mib: float
    users: int
    items: int
    interactions: int
    epochs: int
    history_half_life: float | None
    popularity_half_life: float | None
    ann_recall: float | None
    exact_search: bool

    def document(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


@dataclass
class _Clock:
    on_step: OnStep
    seconds: dict[str, float] = field(default_factory=dict)
    _since: float = field(default_factory=time.perf_counter)

    def done(self, step: str) -> None:
        now = time.perf_counter()
        self.seconds[step] = now - self._since
        self._since = now
        self.on_step(step, self.seconds[step])


def train_model(
    engine: Engine,
    *,
    name: str | None = None,
    config: TrainingConfig | None = None,
    index: IndexOptions | None = None,
    until: datetime | None = None,
    force: bool = False,
    activate: bool = True,
    on_step: OnStep | None = None,
    on_progress: publishing.OnProgress | None = None,
) -> TrainingReport:
    """Train a model on a tenant's data, publish it, and activate it if the gate lets it pass.

    Args:
        until: learn from interactions up to here only, so that `recs evaluate` can judge the rest;
            not activated, unless forced, where the active model has learned later ones.
        force: activate whatever the gate says.
        activate: false leaves it 'ready'.

    A crash at any point leaves the active model serving. Trainings at once do not disturb each
    other; the last one to activate serves.

    Raises:
        NothingToLearn: too few items, users or interactions; popularity is refreshed all the same.
        BadInput: settings that make vectors wider than an index holds.
    """
    config = config or TrainingConfig()
    _check_width(config, ())
    clock = _Clock(on_step or (lambda _step, _seconds: None))
    moment = datetime.now(UTC)
    name = name or f"{moment:%Y-%m-%d %H:%M:%S}"
    try:
        with versions.new_version(engine, name=name, dimension=config.dimension) as model_id:
            fitted = _fit(engine, config, until, clock, on_progress)
            publication = fitted.publication
            search = publishing.publish(
                engine, model_id, publication, index=index, on_progress=on_progress
            )
            clock.done("publish")
    except NothingToLearn:
        _finish(engine, None)  # popularity answers until there is something
        raise
    activated = activate and (force or fitted.verdict.passed)
    _finish(engine, model_id if activated else None)
    clock.done("activate")
    return TrainingReport(
        model_id=model_id,
        activated=activated,
        gate=fitted.verdict.document(),
        seconds=clock.seconds,
        shares=fitted.course.shares,
        peak_memory_mib=peak_memory_mib(),
        users=len(publication.users.user_ids),
        items=len(publication.items.item_ids),
        interactions=fitted.n_interactions,
        epochs=fitted.course.epochs,
        history_half_life=publication.history_half_life,
        popularity_half_life=publication.popularity_half_life,
        ann_recall=search.ann_recall,
        exact_search=search.exact,
    )


def _finish(engine: Engine, model_id: int | None) -> None:
    """Let a version serve, if one is given, then make popularity anew, by its half-life.

    In two transactions: who writes items or erases users waits for the first, and the second takes
    seconds. Should it fail, the version serves beside popularity as it was, until the next refresh.
    """
    if model_id is not None:
        place_missing(engine, model_id)
        with engine.begin() as connection:
            versions.activate(connection, model_id)
    with engine.begin() as connection:
        connection.execute(text("SELECT recs.refresh_popularity()"))
    analyze(engine, "item_popularity")


@dataclass(frozen=True)
class _Fitted:
    """What of a training is published and told; all else is let go of before that."""

    publication: Publication
    verdict: gate.Verdict
    course: Course
    n_interactions: int


def _fit(
    engine: Engine,
    config: TrainingConfig,
    until: datetime | None,
    clock: _Clock,
    on_progress: publishing.OnProgress | None,
) -> _Fitted:
    """Read, learn, join what is learned in a space, and let the gate judge it."""
    data = reading.read(engine, until=until)
    interactions = data.interactions
    _check_width(config, _finest(interactions, config))
    clock.done("read")
    model = _learn(interactions, config, on_progress)
    clock.done("learn")
    signals = signals_of(interactions, model)
    clock.done("associate")
    encoded = encode(data.content, interactions, signals, seed=config.seed)
    clock.done("encode content")
    validation = gate.validation_of(interactions, config)
    space, trial = fit_space(interactions, signals, validation, content=encoded.content)
    clock.done("blend")
    serving = active.read(engine, data.item_ids)
    verdict = gate.judge(
        interactions,
        trial,
        serving and serving[0],
        validation=validation,
        active_until=serving[1] if serving else -math.inf,
        held_back=until is not None,
    )
    clock.done("gate")
    publication = _publication(data, model, space, encoded, verdict)
    return _Fitted(publication, verdict, model.course, data.n_interactions)


def _finest(interactions: Interactions, config: TrainingConfig) -> tuple[int, int]:
    """Compute the most dimensions that associations can get, as adjustments.resolved tries them."""
    finer = catalog_defaults(interactions.n_items).fine and not interactions.has_times
    return association_dimensions(interactions, config, FINE if finer else USUAL)


def _check_width(config: TrainingConfig, associations: Sequence[int]) -> None:
    """Refuse settings whose vectors no index could hold, before hours are spent on them.

    Raises:
        BadInput: naming them.
    """
    width = config.dimension + sum(associations) + TAIL
    if width > WIDEST:
        raise BadInput(
            f"vectors could have {width} numbers with dimension {config.dimension} and "
            f"association_dimension {config.association_dimension}, expected {WIDEST} at most",
            hint="make one of them smaller: --parameters FILE",
        )


def _learn(
    interactions: Interactions,
    config: TrainingConfig,
    on_progress: publishing.OnProgress | None,
) -> TrainedModel:
    if not (interactions.lengths >= 2).any():
        raise NothingToLearn(
            "no user has interacted with two different items",
            hint="load more interactions; until then recs.recommend answers by popularity",
        )
    return train(
        interactions,
        config=config,
        on_progress=on_progress
        and (lambda p: on_progress(f"learn ({p.stage})", p.epoch, p.epochs)),
    )


def _publication(
    data: TrainingData, model: TrainedModel, space: Space, encoded: Encoded, verdict: gate.Verdict
) -> Publication:
    """Put together what is learned; items without interactions are placed in SQL when activated."""
    course = model.course
    return Publication(
        items=ItemVectors(
            data.item_ids,
            space.item_embeddings,
            space.history_embeddings,
            encoded.content,
            space.seasonality,
            learned=space.learned,
        ),
        users=UserVectors(
            data.user_ids,
            space.stream_histories(data.interactions),
            data.interactions.lengths.astype(np.int32),
            data.fingerprint,
        ),
        terms=encoded.terms,
        history_half_life=_finite(space.half_life_days),
        popularity_half_life=space.popularity_half_life_days,
        trained_until=data.trained_until,
        blend=blend_weights(space),
        parameters=_plain(asdict(model.config)),
        metrics={
            "gate": verdict.document(),
            "term_kinds": asdict(encoded.kinds) if encoded.kinds else {},
            "draw_strength": space.draw_strength,
            "resolution": asdict(space.resolution),
            "cold_start_curve": space.blend.curve if space.blend else {},
            "epochs": course.epochs,
            "seconds": course.seconds,
            "shares": course.shares,
        },
    )


def blend_weights(space: Space) -> BlendWeights | None:
    """Return what the parts of a space count for, as recs.models has it; None without parts."""
    blend = space.blend
    if blend is None:
        return None
    return BlendWeights(
        tower_dimension=space.tower_dimension,
        tower_weight=blend.tower_weight / space.tower_length,
        tower_support=blend.tower_support,
        tower_fading=blend.tower_fading,
        low_pass_dimension=space.fading.low_pass_dimension,
        detail_dimension=space.fading.detail_dimension,
        association_support=space.fading.support,
        popularity_weight=blend.popularity_weight,
        new_item_tower=blend.new_item_tower * space.tower_length,
        new_item_bias=blend.new_item_bias,
        embedding_scale=space.scale,
    )


def _finite(half_life: float) -> float | None:
    return half_life if math.isfinite(half_life) else None


def _plain(value: Any) -> Any:
    """Replace what JSON has no word for: infinity becomes null."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
