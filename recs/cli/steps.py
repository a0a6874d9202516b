"""Progress bars for training and publishing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import TaskID

from recs.cli.output import Output

OnStep = Callable[[str, float], None]
OnProgress = Callable[[str, int, int], None]


@contextmanager
def training_progress(output: Output) -> Iterator[tuple[OnStep, OnProgress]]:
    """Show one bar a step; yield the callbacks (step done, step advanced).

    A step that stops before its total, as a trial does that no longer improves, ends when the next
    one begins.
    """
    with output.progress() as progress:
        bars: dict[str, TaskID] = {}

        def on_progress(step: str, done: int, total: int) -> None:
            if step not in bars:
                for task in progress.tasks:
                    progress.update(task.id, total=task.completed)
                bars[step] = progress.add_task(step, total=total)
            progress.update(bars[step], completed=done, total=total)

        def on_step(step: str, seconds: float) -> None:
            if not output.as_json:
                progress.console.print(f"{step}: {seconds:.1f} s", style="dim")

        yield on_step, on_progress
