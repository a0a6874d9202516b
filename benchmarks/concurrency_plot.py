"""The curves of benchmarks.concurrency: lists a second and p99 by sessions."""

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt


def draw(document: dict[str, Any], path: Path) -> None:
    """Write the plot of what the benchmark found."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
    for panel, part, label in zip(
        axes, ("lists_per_second", "p99"), ("lists a second", "p99, ms"), strict=True
    ):
        for name, levels in document["levels"].items():
            known = [level for level in levels if level[part] is not None]
            panel.plot(*zip(*((at["sessions"], at[part]) for at in known), strict=True),
                       marker="o", label=name)  # fmt: skip
        limit = document["max_connections"]
        panel.axvline(limit, color="grey", linestyle=":", label=f"max_connections {limit}")
        panel.set_xscale("log", base=2)
        sessions = document["options"]["sessions"]
        panel.set_xticks(sessions, [str(number) for number in sessions])
        panel.set(xlabel="sessions that ask at once", ylabel=label)
    axes[0].set_ylim(bottom=0)
    axes[1].set_yscale("log")
    axes[0].legend(fontsize="small")
    figure.savefig(path)
    plt.close(figure)
