"""What training costs as the data grow: `python -m benchmarks.training`.

Synthetic interactions at 1x, 4x and 16x (users and interactions grow, the catalog by their square
root), each in a process of its own, so that its peak memory is its own: the two-tower model, then
associations. The number of epochs is fixed: early stopping would hide how an epoch grows.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from typing import Any

import numpy as np

from benchmarks import harness
from recs.cli.output import Output
from recs.learning import TIMELESS, Interactions, TrainingConfig, signals_of, train


def main() -> None:
    """Measure and print; with --scale, be one of the processes."""
    options = _options()
    if options.scale:
        print(json.dumps(_train(options.scale, options)))
        return
    output = Output(as_json=options.json)
    with output.progress() as progress:
        runs = [
            _train_apart(scale, options)
            for scale in progress.track([1, 4, 16], description="train")
        ]
    document = {"epochs": options.epochs, "runs": runs, "machine": harness.machine()}
    _print(document, output)
    harness.publish_results("training", document, output)


def _options() -> argparse.Namespace:
    parser = harness.parser(__doc__)
    parser.add_argument("--users", type=int, default=2_500, help="at 1x")
    parser.add_argument("--items", type=int, default=2_000, help="at 1x")
    parser.add_argument("--length", type=int, default=25, help="mean interactions of a user")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--scale", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def _train_apart(scale: int, options: argparse.Namespace) -> dict[str, Any]:
    numbers = ("users", "items", "length", "epochs")
    arguments = [f"--{name}={getattr(options, name)}" for name in numbers]
    command = [sys.executable, "-m", "benchmarks.training", f"--scale={scale}", *arguments]
    run = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    result: dict[str, Any] = json.loads(run.stdout)
    return result


def _train(scale: int, options: argparse.Namespace) -> dict[str, Any]:
    interactions = _interactions(scale, options)
    before = _peak_mib()
    config = TrainingConfig(epochs=options.epochs, timescales=(TIMELESS,), device="cpu")
    start, cpu = time.perf_counter(), time.process_time()
    model = train(interactions, config=config)
    trained = time.perf_counter()
    signals_of(interactions, model)
    whole = time.perf_counter() - start
    phases = {**model.course.seconds, "associations": time.perf_counter() - trained}
    return {
        "scale": scale,
        "users": interactions.n_users,
        "items": interactions.n_items,
        "interactions": len(interactions),
        "seconds": round(whole, 2),
        "cpu_seconds": round(time.process_time() - cpu, 2),
        "peak_mib": _peak_mib(),
        "peak_mib_before": before,
        "shares": {name: round(seconds / whole, 3) for name, seconds in phases.items()},
    }


def _interactions(scale: int, options: argparse.Namespace) -> Interactions:
    """Draw users who keep to one of 50 tastes two times in three, popular items more often."""
    random = np.random.default_rng(7)
    n_users, n_items = options.users * scale, round(options.items * scale**0.5)
    lengths = 2 + random.geometric(1 / (options.length - 1), n_users)
    user = np.repeat(np.arange(n_users), lengths)
    item = (n_items * random.beta(0.6, 2.0, len(user))).astype(np.int64)
    loyal = random.random(len(user)) < 2 / 3
    item = np.where(loyal, item - item % 50 + user % 50, item) % n_items
    pairs = np.unique(user * n_items + item)
    return Interactions.from_pairs(
        (pairs // n_items).astype(np.int32),
        (pairs % n_items).astype(np.int32),
        n_users=n_users,
        n_items=n_items,
    )


def _peak_mib() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1 << 20 if sys.platform == "darwin" else 1 << 10))


def _print(document: dict[str, Any], output: Output) -> None:
    first = document["runs"][0]
    output.table(
        ("scale", "users", "items", "interactions", "seconds", "CPU s", "CPU x", "peak MiB"),
        [
            (
                f"{run['scale']}x", f"{run['users']:,}", f"{run['items']:,}",
                f"{run['interactions']:,}", run["seconds"], run["cpu_seconds"],
                f"{run['cpu_seconds'] / first['cpu_seconds']:.1f}", run["peak_mib"],
            )
            for run in document["runs"]
        ],
        title=f"training, {document['epochs']} epochs",
    )  # fmt: skip
    phases = list(document["runs"][-1]["shares"])
    output.table(
        ("scale", *phases),
        [
            (f"{run['scale']}x", *(f"{run['shares'].get(name, 0):.1%}" for name in phases))
            for run in document["runs"]
        ],
        title="shares of the time",
    )
    machine = document["machine"]
    output.say(f"{machine['cores']} cores, load average {machine['load']}")


if __name__ == "__main__":
    main()
