"""One training of one method: what identifies it, what it yields, where its result is kept."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.quality.protocols import Phase

Params = Mapping[str, Any]
Scorecard = dict[str, dict[str, float]]  # task -> metric -> value


@dataclass(frozen=True)
class Trial:
    """A configuration that is trained once and judged on every task of its split."""

    method: str
    dataset: str
    split: str
    phase: Phase
    params: Params
    seed: int
    revision: int  # of the method's code: raise it and old results no longer count

    @property
    def key(self) -> str:
        """Return a hash of everything that can change the result."""
        canonical = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    @property
    def label(self) -> str:
        """Return a line for people."""
        settings = " ".join(f"{name}={value}" for name, value in self.params.items())
        return f"{self.dataset} {self.split} {self.phase} {self.method} {settings} #{self.seed}"

    def path(self, folder: Path) -> Path:
        """Return the file that holds the result."""
        return folder / self.dataset / self.method.replace(" ", "-") / f"{self.key}.json"


@dataclass(frozen=True)
class Result:
    """What a trial gave: quality by task, wall time and memory of its training."""

    trial: Trial
    scores: Scorecard = field(default_factory=dict)
    seconds: float = 0.0  # wall time of the training
    peak_mb: float = 0.0  # most memory that the training process held, data and libraries included
    details: dict[str, Any] = field(default_factory=dict)  # the method's own figures
    reason: str = ""  # why there is no score
    code: str = ""  # digest of the code that was measured; none in old results of peers

    @property
    def done(self) -> bool:
        """Tell whether there is a score."""
        return not self.reason


def save(result: Result, folder: Path) -> None:
    """Write a result so that a reader finds it whole or not at all."""
    path = result.trial.path(folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(asdict(result), indent=1))
    draft.replace(path)


def load(trial: Trial, folder: Path) -> Result | None:
    """Read the result of a trial, if it has finished."""
    path = trial.path(folder)
    return parse(path.read_text()) if path.exists() else None


def parse(text: str) -> Result:
    """Read a result from its JSON."""
    values = json.loads(text)
    return Result(**{**values, "trial": Trial(**values["trial"])})
