"""Which trials a run consists of, in which order, and what is chosen from them.

For every method: each of its settings is trained on the validation split, the best one of each
case is trained on the test split with every seed. A trial whose result is on disk is not run.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from benchmarks.quality import sets
from benchmarks.quality.datasets import Dataset
from benchmarks.quality.method import Method
from benchmarks.quality.methods import METHODS
from benchmarks.quality.protocols import Phase, splits
from benchmarks.quality.tasks import Case, K
from benchmarks.quality.trial import Params, Result, Trial, load, parse, save

Report = Callable[[str], None]
Cases = dict[str, set[Case]]  # of every split


@dataclass(frozen=True)
class Choice:
    """The settings that won on validation data in one case of one split."""

    method: str
    dataset: str
    split: str
    case: Case
    params: Params
    validation: float  # mean of recall and ndcg over the tasks; nan if alone


@dataclass(frozen=True)
class Campaign:
    """A run of the benchmark."""

    data: Path
    results: Path
    sets: tuple[str, ...]
    methods: tuple[str, ...]
    seeds: int = 3
    threads: int = 2
    jobs: int = 1  # trials at once; timings are only comparable at 1
    timeout: float = 3600.0
    stored_only: bool = False  # train nothing, use what is on disk
    report: Report = field(default=print)

    def run(self) -> tuple[list[Choice], list[Result]]:
        """Return what was chosen and the test results, running what is missing."""
        choices: list[Choice] = []
        results: list[Result] = []
        for name in self.sets:
            dataset = sets.read(self.data, name)
            cases = split_cases(dataset)
            for method in (METHODS[one] for one in self.methods):
                chosen, tested = self._method(method, dataset, cases)
                choices += chosen
                results += tested
        return choices, results

    def _method(
        self, method: Method, dataset: Dataset, cases: Cases
    ) -> tuple[list[Choice], list[Result]]:
        settings = method.trials(dataset)
        if len(settings) == 1:
            chosen = _unrivalled(method, dataset, cases, settings[0])
        else:
            chosen = choose(method, self._all(list(self._planned(method, dataset, cases))))
        return chosen, self._all(list(self._finals(method, chosen)))

    def _planned(self, method: Method, dataset: Dataset, cases: Cases) -> Iterator[Trial]:
        settings = method.trials(dataset)
        for name in cases:
            if cases[name] & method.cases:
                for params in settings:
                    yield self._trial(method, dataset.name, name, "validation", params, 0)

    def _finals(self, method: Method, choices: list[Choice]) -> Iterator[Trial]:
        wanted = {(c.dataset, c.split, json.dumps(dict(c.params))): c for c in choices}
        for choice in wanted.values():
            for seed in range(self.seeds if method.random else 1):
                yield self._trial(method, choice.dataset, choice.split, "test", choice.params, seed)

    @staticmethod
    def _trial(
        method: Method, dataset: str, split: str, phase: Phase, params: Params, seed: int
    ) -> Trial:
        return Trial(method.name, dataset, split, phase, dict(params), seed, method.revision)

    def _all(self, trials: list[Trial]) -> list[Result]:
        with ThreadPoolExecutor(self.jobs) as pool:
            return list(pool.map(self._one, trials))

    def _one(self, trial: Trial) -> Result:
        """Return the kept result of a trial, or run it; without a code, it is as good as ever."""
        code = METHODS[trial.method].code
        folder = self.results / sets.edition(self.data, trial.dataset)
        kept = load(trial, folder)
        if kept is not None and (kept.code in {code, ""} or self.stored_only):
            return kept
        if self.stored_only:
            return Result(trial, reason="not run yet")
        result = replace(self._spawn(trial), code=code)
        if result.done:
            save(result, folder)
        self.report(_line(result))
        return result

    def _spawn(self, trial: Trial) -> Result:
        """Run a trial in a process of its own."""
        order = json.dumps({"trial": asdict(trial), "data": str(self.data)})
        command = [sys.executable, "-W", "ignore", "-m", "benchmarks.quality.worker"]
        count = str(self.threads)
        limits = {"OMP_NUM_THREADS": count, "OPENBLAS_NUM_THREADS": count}
        worker = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **limits},
        )
        try:
            answer, errors = worker.communicate(order, self.timeout)
        except subprocess.TimeoutExpired:
            return Result(trial, reason=f"took longer than {self.timeout:.0f} s")
        finally:
            _end(worker)
        if worker.returncode:
            lines = errors.strip().splitlines() or [f"exit status {worker.returncode}"]
            return Result(trial, reason=f"failed: {lines[-1]}")
        return parse(answer.strip().splitlines()[-1])


def _end(worker: "subprocess.Popen[str]") -> None:
    """Ask a worker that still runs to stop, so that it stops the server it may have started."""
    if worker.poll() is None:
        worker.terminate()
        worker.communicate()


def split_cases(dataset: Dataset) -> Cases:
    """Return the cases that every split of a data set judges."""
    made = splits(dataset, "validation")
    return {split.name: {task.case for task in split.tasks} for split in made}


def _unrivalled(method: Method, dataset: Dataset, cases: Cases, params: Params) -> list[Choice]:
    """Choose the only settings there are, without a validation run."""
    return [
        Choice(method.name, dataset.name, split, case, params, float("nan"))
        for split, judged in cases.items()
        for case in sorted(judged & method.cases)
    ]


def choose(method: Method, validated: list[Result]) -> list[Choice]:
    """Keep the best settings of every case."""
    best: dict[tuple[str, str, Case], Choice] = {}
    for result in validated:
        for case in method.cases if result.done else ():
            value = objective(result, case)
            trial = result.trial
            place = (trial.dataset, trial.split, case)
            if value is not None and (place not in best or value > best[place].validation):
                best[place] = Choice(
                    method.name, trial.dataset, trial.split, case, trial.params, value
                )
    return list(best.values())


def objective(result: Result, case: Case) -> float | None:
    """Return the mean of recall and ndcg over the tasks of a case, None without such a task."""
    scores = [score for task, score in result.scores.items() if task.split(",")[0] == case]
    if not scores:
        return None
    return sum(score[f"recall@{K}"] + score[f"ndcg@{K}"] for score in scores) / 2 / len(scores)


def _line(result: Result) -> str:
    """Return a line on a finished trial."""
    if not result.done:
        return f"{result.trial.label}: {result.reason}"
    name, score = next(iter(result.scores.items()))
    return (
        f"{result.trial.label}: {name} {score[f'recall@{K}']:.4f} / {score[f'ndcg@{K}']:.4f}, "
        f"{result.seconds:.0f} s, {result.peak_mb:.0f} MB"
    )
