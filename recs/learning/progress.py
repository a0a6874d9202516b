"""How far a training is, and where its time goes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Progress:
    """One finished epoch. recall and ndcg are nan when nothing is held out."""

    stage: str
    epoch: int
    epochs: int
    loss: float
    recall: float
    ndcg: float
    seconds: float


OnProgress = Callable[[Progress], None]


@dataclass
class Timings:
    """Seconds by phase, of all epochs together."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def measure(self, phase: str) -> Iterator[None]:
        """Add the time spent inside to a phase."""
        start = time.perf_counter()
        yield
        self.seconds[phase] = self.seconds.get(phase, 0.0) + time.perf_counter() - start


def report(
    on_progress: OnProgress | None,
    stage: str,
    epoch: int,
    epochs: int,
    loss: float,
    scores: tuple[float, float],
    timings: Timings,
) -> None:
    """Tell `on_progress`, if there is one, of an epoch that is over."""
    if on_progress is not None:
        elapsed = sum(timings.seconds.values())
        on_progress(Progress(stage, epoch, epochs, loss, *scores, elapsed))
