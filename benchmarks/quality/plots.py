"""The curves: quality of a new user by known items, quality against the cost of training."""

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt

from benchmarks.quality.tables import NEW_USERS, RECALL, Entry
from benchmarks.quality.tasks import KNOWN, K

OURS = "recs"
ALONE = ("popularity", "TF-IDF profile")  # what a blend starts from
TOP = 3  # other methods in the curve, the best ones by their mean


def draw(entries: list[Entry], folder: Path) -> None:
    """Write the plots that the entries allow."""
    for dataset in dict.fromkeys(entry.dataset for entry in entries):
        group = [entry for entry in entries if entry.dataset == dataset and not entry.reason]
        _cold_curves(dataset, group, folder / f"new-users-{dataset}.svg")
        _cost(dataset, group, folder / f"cost-{dataset}.svg")


def _cold_curves(dataset: str, group: list[Entry], path: Path) -> None:
    curves = _curves(group)
    if not curves:
        return
    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for method in _shown(curves):
        ours = method.startswith(OURS)
        alone = method in ALONE
        axes.plot(
            range(len(KNOWN)),
            curves[method],
            label=f"{method} alone" if alone else method,
            linewidth=2.5 if ours else 1.2,
            linestyle="--" if alone else "-",
            marker="o" if ours else None,
        )
    axes.set_xticks(range(len(KNOWN)), [str(n) for n in KNOWN])
    axes.set(xlabel="known items of a new user", ylabel=RECALL, title=f"{dataset}: new users")
    axes.legend(fontsize="small")
    figure.savefig(path)
    plt.close(figure)


def _curves(group: list[Entry]) -> dict[str, list[float]]:
    """Return recall by n for every method that has it at each n."""
    found = {(entry.method, entry.task): entry.mean[RECALL] for entry in group}
    return {
        method: [found[method, task] for task in NEW_USERS]
        for method in dict.fromkeys(entry.method for entry in group)
        if all((method, task) in found for task in NEW_USERS)
    }


def _shown(curves: dict[str, list[float]]) -> list[str]:
    """Return ours, what it blends, and the best peers."""
    ranked = sorted(curves, key=lambda method: -sum(curves[method]))
    fixed = [m for m in ranked if m.startswith(OURS) or m in ALONE]
    return fixed + [method for method in ranked if method not in fixed][:TOP]


def _cost(dataset: str, group: list[Entry], path: Path) -> None:
    warm = [entry for entry in group if entry.task == "warm"]
    if not warm:
        return
    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for entry in warm:
        place = (max(entry.seconds, 0.1), entry.mean[RECALL])
        axes.scatter(*place, s=40 if entry.method.startswith(OURS) else 15)
        axes.annotate(
            entry.method, place, fontsize="x-small", xytext=(3, 3), textcoords="offset points"
        )
    axes.set_xscale("log")
    axes.set(
        xlabel="seconds of one training", ylabel=RECALL, title=f"{dataset}: warm users, top {K}"
    )
    figure.savefig(path)
    plt.close(figure)
